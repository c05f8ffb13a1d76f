//! Fields that hold for one connection, removed both ways (RFC 9110 section 7.6.1).
//!
//! `Connection` and every field it names, `Keep-Alive`, `Proxy-*`, `TE` except for `trailers`,
//! `Transfer-Encoding`, and `Upgrade` unless the whole WebSocket handshake is there. A client
//! that lists fields which decide about routing, framing or authentication in `Connection` wants
//! them dropped between two readers; that is refused instead.
//!
//! The caller adds fields of its own after this step, so that `Connection` can't remove them.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, StatusCode};

use crate::retry::Payload;
use crate::trailers::Trailers;
use crate::websocket::{self, Accept};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Fields that no `Connection` may name.
const NEVER_NAMED: [HeaderName; 5] = [HOST, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, AUTHORIZATION];

/// A head that breaks a rule on which every reader must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// `Connection` names a field that isn't for one connection.
    #[error("Connection names a field that belongs to the message")]
    Connection,
    /// `Content-Length` and `Transfer-Encoding` in one head.
    #[error("Content-Length and Transfer-Encoding in one head")]
    BothLengths,
    /// `Transfer-Encoding` other than exactly `chunked`.
    #[error("Transfer-Encoding other than chunked")]
    TransferEncoding,
    /// A `101` that nobody asked for, or that doesn't fit what was asked.
    #[error("101 without the matching handshake")]
    Switch,
}

/// What was learned from a request's fields before they were removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    pub(crate) upgrade: Option<Accept>,
    pub(crate) trailers: Trailers,
}

/// Fields of a head that this module is about. Most heads have none or one of them, and to look
/// at each name once costs less than to look each of them up.
#[derive(Clone, Copy, Debug, Default)]
struct Present {
    hop_by_hop: bool,
    length: bool,
    expect: bool,
    trailer: bool,
}

impl Present {
    fn of(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "connection" | "keep-alive" | "te" | "transfer-encoding" | "upgrade" => present.hop_by_hop = true,
                "content-length" => present.length = true,
                "expect" => present.expect = true,
                "trailer" => present.trailer = true,
                other => present.hop_by_hop |= other.starts_with("proxy-"),
            }
        }
        present
    }
}

/// Removes what holds for the client's connection from a request's head.
///
/// # Errors
/// When `Connection` names a field that decides about routing, framing or authentication.
pub fn prepare(method: &Method, headers: &mut HeaderMap, payload: Payload) -> Result<Prepared, Malformed> {
    let present = Present::of(headers);
    let mut prepared = Prepared::default();
    if present.hop_by_hop {
        prepared.upgrade = websocket::offered(method, headers, payload);
        let takes_trailers = takes_trailers(headers);
        remove_hop_by_hop(headers)?;
        if prepared.upgrade.is_some() {
            websocket::switch(headers);
        } else if takes_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
    }
    if present.expect {
        // We answer it; the application gets the body in any case.
        headers.remove(EXPECT);
    }
    if present.trailer {
        prepared.trailers = Trailers::announced(headers);
    }
    Ok(prepared)
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().any(|value| {
        let codings = value.as_bytes().split(|byte| *byte == b',');
        codings.map(<[u8]>::trim_ascii).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    })
}

/// Removes what holds for the application's connection from an answer's head, and its framing,
/// which is made anew: only where there is no body is its length information that must be kept.
///
/// # Errors
/// When the head says in two ways where the body ends, or in one that nobody understands.
pub(crate) fn receive(method: &Method, status: StatusCode, headers: &mut HeaderMap) -> Result<Trailers, Malformed> {
    let present = Present::of(headers);
    if present.hop_by_hop {
        check_encoding(headers, present)?;
        remove_hop_by_hop(headers)?;
    }
    if present.length {
        rebuild_length(method, status, headers);
    }
    Ok(if present.trailer { Trailers::announced(headers) } else { Trailers::default() })
}

fn check_encoding(headers: &HeaderMap, present: Present) -> Result<(), Malformed> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else { return Ok(()) };
    if present.length {
        return Err(Malformed::BothLengths);
    }
    if encodings.next().is_some() || !encoding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Malformed::TransferEncoding);
    }
    Ok(())
}

/// The answer to `HEAD` and a 304 tell a length that their missing body can't. Elsewhere it
/// follows from the body itself.
fn rebuild_length(method: &Method, status: StatusCode, headers: &mut HeaderMap) {
    let first = headers.remove(CONTENT_LENGTH);
    if let Some(length) = first
        && (method == Method::HEAD || status == StatusCode::NOT_MODIFIED)
        && length.as_bytes().iter().all(u8::is_ascii_digit)
    {
        headers.insert(CONTENT_LENGTH, length);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) -> Result<(), Malformed> {
    let mut named = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for token in value.as_bytes().split(|byte| *byte == b',') {
            let token = token.trim_ascii();
            // The usual two values name no field that could be there.
            if token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close") {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(token) {
                if NEVER_NAMED.contains(&name) {
                    return Err(Malformed::Connection);
                }
                named.push(name);
            }
        }
    }
    named.extend(headers.keys().filter(|name| name.as_str().starts_with("proxy-")).cloned());
    for name in [CONNECTION, KEEP_ALIVE, TE, TRANSFER_ENCODING, UPGRADE].iter().chain(&named) {
        headers.remove(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> HeaderMap {
        let fields = text.split(" | ").filter(|field| !field.is_empty()).map(|field| field.split_once(": ").unwrap());
        fields.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    fn text(headers: &HeaderMap) -> String {
        let fields = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let mut fields: Vec<_> = fields.collect();
        fields.sort();
        fields.join(" | ")
    }

    fn request(before: &str) -> String {
        let mut fields = headers(before);
        match prepare(&Method::GET, &mut fields, Payload::Empty) {
            Ok(_) => text(&fields),
            Err(malformed) => format!("{malformed:?}"),
        }
    }

    #[test]
    fn what_reaches_the_application() {
        for (before, after) in [
            ("accept: */* | host: a", "accept: */* | host: a"),
            ("connection: keep-alive | keep-alive: timeout=5 | a: 1", "a: 1"),
            ("connection: x-a, X-B | x-a: 1 | x-a: 2 | x-b: 3 | x-c: 4", "x-c: 4"),
            ("connection: close | connection: x-a | x-a: 1 | b: 2", "b: 2"),
            ("connection: ,, not a name,x-a | x-a: 1", ""),
            ("proxy-authorization: a | proxy-connection: b | proxy-x: c | proxyx: d", "proxyx: d"),
            ("transfer-encoding: chunked | a: 1", "a: 1"),
            ("te: gzip | a: 1", "a: 1"),
            ("te: gzip, Trailers | connection: te", "connection: te | te: trailers"),
            ("upgrade: h2c | connection: upgrade, http2-settings | http2-settings: x | a: 1", "a: 1"),
            ("expect: 100-continue | a: 1", "a: 1"),
            ("connection: Host | host: a", "Connection"),
            ("connection: close, content-length", "Connection"),
            ("connection: content-type", "Connection"),
            ("connection: cookie", "Connection"),
            ("connection: authorization", "Connection"),
            ("upgrade: websocket | connection: upgrade | sec-websocket-version: 13", "sec-websocket-version: 13"),
            (
                "upgrade: WebSocket | connection: keep-alive, Upgrade | sec-websocket-version: 13 | sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
                "connection: upgrade | sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ== | sec-websocket-version: 13 | upgrade: websocket",
            ),
        ] {
            assert_eq!(request(before), after, "{before}");
        }
    }

    #[test]
    fn what_reaches_the_client() {
        for (method, status, before, after) in [
            (Method::GET, 200, "content-length: 5 | a: 1", "a: 1"),
            (Method::GET, 200, "transfer-encoding: Chunked | connection: close | a: 1", "a: 1"),
            (Method::GET, 200, "connection: x-internal | x-internal: 1 | proxy-authenticate: x", ""),
            (Method::GET, 200, "upgrade: h2c | a: 1", "a: 1"),
            (Method::HEAD, 200, "content-length: 5", "content-length: 5"),
            (Method::GET, 304, "content-length: 5 | content-length: 5", "content-length: 5"),
            (Method::HEAD, 200, "content-length: 5, 5", ""),
            (Method::GET, 204, "content-length: 0", ""),
            (Method::GET, 200, "content-length: 5 | transfer-encoding: chunked", "BothLengths"),
            (Method::GET, 200, "transfer-encoding: gzip", "TransferEncoding"),
            (Method::GET, 200, "transfer-encoding: gzip, chunked", "TransferEncoding"),
            (Method::GET, 200, "transfer-encoding: chunked | transfer-encoding: chunked", "TransferEncoding"),
            (Method::GET, 200, "connection: content-type | content-type: text/html", "Connection"),
        ] {
            let mut fields = headers(before);
            let seen = match receive(&method, StatusCode::from_u16(status).unwrap(), &mut fields) {
                Ok(_) => text(&fields),
                Err(malformed) => format!("{malformed:?}"),
            };
            assert_eq!(seen, after, "{method} {status} {before}");
        }
    }
}
