//! The WebSocket handshake (RFC 6455 section 4), judged from both heads.
//!
//! It is the only upgrade that passes. What follows the handshake is bytes to us.

use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Method, StatusCode};
use palisade_core::{Head, HeaderEdits, Single};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::hop::lists;
use crate::retry::Payload;

/// What the application has to answer in `Sec-WebSocket-Accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accept([u8; 28]);

/// Whether the request asks for a WebSocket, with everything that belongs to that.
pub(crate) fn offered(method: &Method, head: &dyn Head, payload: Payload) -> Option<Accept> {
    if *method != Method::GET || payload != Payload::Empty || !switches_to_websocket(head) {
        return None;
    }
    match (head.single(&SEC_WEBSOCKET_VERSION), head.single(&SEC_WEBSOCKET_KEY)) {
        (Single::One(b"13"), Single::One(key)) if is_key(key) => Some(accept(key)),
        _ => None,
    }
}

/// Whether the answer opens the WebSocket that was asked for.
pub(crate) fn accepted(status: StatusCode, head: &dyn Head, expected: &Accept) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS
        && switches_to_websocket(head)
        && head.single(&SEC_WEBSOCKET_ACCEPT) == Single::One(&expected.0)
}

/// Puts back the two fields of the handshake that hold for one connection only.
pub(crate) fn switch(edits: &mut HeaderEdits) {
    edits.set(CONNECTION, HeaderValue::from_static("upgrade"));
    edits.set(UPGRADE, HeaderValue::from_static("websocket"));
}

fn switches_to_websocket(head: &dyn Head) -> bool {
    matches!(head.single(&UPGRADE), Single::One(to) if to.eq_ignore_ascii_case(b"websocket"))
        && lists(head, &CONNECTION, b"upgrade")
}

/// Sixteen bytes in base64.
fn is_key(key: &[u8]) -> bool {
    key.len() == 24
        && key.strip_suffix(b"==").is_some_and(|letters| {
            letters.iter().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'+' | b'/'))
        })
}

fn accept(key: &[u8]) -> Accept {
    let mut text = key.to_vec();
    text.extend_from_slice(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    Accept(base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, &text).as_ref()))
}

/// The 28 letters of a SHA-1 digest's 20 bytes.
#[expect(clippy::indexing_slicing, reason = "six bits index an array of 64")]
fn base64(bytes: &[u8]) -> [u8; 28] {
    const LETTERS: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = [b'='; 28];
    for (group, letters) in bytes.chunks(3).zip(text.chunks_mut(4)) {
        let mut bits = group.iter().fold(0u32, |bits, byte| (bits << 8) | u32::from(*byte));
        bits <<= 8 * (3 - group.len());
        for (place, letter) in letters.iter_mut().enumerate().take(group.len() + 1) {
            *letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderMap, HeaderName};

    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn headers(text: &str) -> HeaderMap {
        let lines = text.lines().filter_map(|line| line.trim().split_once(": "));
        lines.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_counts_as_an_offer() {
        let good = format!(
            "connection: keep-alive, Upgrade\nupgrade: WebSocket\nsec-websocket-version: 13\nsec-websocket-key: {KEY}"
        );
        assert_eq!(offered(&Method::GET, &headers(&good), Payload::Empty).unwrap().0, *ACCEPT.as_bytes());
        assert_eq!(offered(&Method::POST, &headers(&good), Payload::Empty), None);
        assert_eq!(offered(&Method::GET, &headers(&good), Payload::Streamed), None);
        for (from, to) in [
            ("Upgrade\n", "close\n"),
            ("WebSocket", "h2c"),
            ("WebSocket", "websocket, h2c"),
            ("version: 13", "version: 8"),
            (KEY, "dGhlIHNhbXBsZSBub25jZQ"),
            (KEY, "dGhlIHNhbXBsZSBub25j!Q=="),
            (KEY, "dGhlIHNhbXBsZSBub25jZQQ=="),
            ("upgrade: ", "upgrade: websocket\nupgrade: "),
        ] {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good);
            assert_eq!(offered(&Method::GET, &headers(&text), Payload::Empty), None, "{text}");
        }
    }

    #[test]
    fn what_counts_as_acceptance() {
        let expected = accept(KEY.as_bytes());
        let good = format!("connection: upgrade\nupgrade: websocket\nsec-websocket-accept: {ACCEPT}");
        assert!(accepted(StatusCode::SWITCHING_PROTOCOLS, &headers(&good), &expected));
        assert!(!accepted(StatusCode::OK, &headers(&good), &expected));
        for (from, to) in [("s3pP", "S3pP"), ("sec-websocket-accept", "x-accept"), ("connection: upgrade", "a: b")] {
            let text = good.replacen(from, to, 1);
            assert!(!accepted(StatusCode::SWITCHING_PROTOCOLS, &headers(&text), &expected), "{text}");
        }
    }
}
