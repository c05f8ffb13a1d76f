//! Fields that hold for one connection, removed both ways (RFC 9110 section 7.6.1).
//!
//! `Connection` and every field it names, `Keep-Alive`, `Proxy-*`, `TE` except for `trailers`,
//! `Transfer-Encoding`, and `Upgrade` unless the whole WebSocket handshake is there. A client
//! that lists fields which decide about routing, framing or authentication in `Connection` wants
//! them dropped between two readers; that is refused instead.
//!
//! The caller's own changes come after these, so that `Connection` can't remove what it adds.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TE, TRANSFER_ENCODING};
use http::{Method, StatusCode};
use palisade_core::{Head, HeaderEdits, Single};

use crate::retry::Payload;
use crate::trailers::Trailers;
use crate::websocket::{self, Accept};

/// Fields that no `Connection` may name: to remove them would change the message.
const NEVER_NAMED: [&[u8]; 5] = [b"host", b"content-length", b"content-type", b"cookie", b"authorization"];

/// The same for all that begin so: they are the handshake that `Connection` itself announces.
const HANDSHAKE: &[u8] = b"sec-websocket-";

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
    fn of(head: &dyn Head) -> Self {
        let mut present = Self::default();
        head.fields(&mut |name, _| match name {
            b"connection" | b"keep-alive" | b"te" | b"transfer-encoding" | b"upgrade" => present.hop_by_hop = true,
            b"content-length" => present.length = true,
            b"expect" => present.expect = true,
            b"trailer" => present.trailer = true,
            other => present.hop_by_hop |= other.starts_with(b"proxy-"),
        });
        present
    }
}

/// What of a request's head holds for the client's connection, to be removed. A trailer may be
/// announced if `keep` lets its name, in lower case, pass.
///
/// # Errors
/// When `Connection` names a field that decides about routing, framing or authentication.
pub fn prepare(
    method: &Method,
    head: &dyn Head,
    payload: Payload,
    keep: &dyn Fn(&[u8]) -> bool,
    edits: &mut HeaderEdits,
) -> Result<Prepared, Malformed> {
    let present = Present::of(head);
    let mut prepared = Prepared::default();
    if present.hop_by_hop {
        prepared.upgrade = websocket::offered(method, head, payload);
        remove_hop_by_hop(head, edits)?;
        if prepared.upgrade.is_some() {
            websocket::switch(edits);
        } else if lists(head, &TE, b"trailers") {
            edits.set(TE, HeaderValue::from_static("trailers"));
            edits.set(CONNECTION, HeaderValue::from_static("te"));
        }
    }
    if present.expect {
        // We answer it; the application gets the body in any case.
        edits.remove(EXPECT);
    }
    if present.length {
        // Framing is made anew from the body that there is, whatever the head says.
        edits.remove(CONTENT_LENGTH);
    }
    if present.trailer {
        prepared.trailers = Trailers::announced(head, keep, edits);
    }
    Ok(prepared)
}

/// Whether a field that is a list has an element, in any case.
pub(crate) fn lists(head: &dyn Head, name: &HeaderName, element: &[u8]) -> bool {
    let mut found = false;
    head.each(name, &mut |value| {
        found |= value.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(element));
    });
    found
}

/// What of an answer's head holds for the application's connection, to be removed, and its framing,
/// which is made anew: only where there is no body is its length information that must be kept.
///
/// # Errors
/// When the head says in two ways where the body ends, or in one that nobody understands.
pub(crate) fn receive(
    method: &Method,
    status: StatusCode,
    head: &dyn Head,
    edits: &mut HeaderEdits,
) -> Result<Trailers, Malformed> {
    let present = Present::of(head);
    if present.hop_by_hop {
        check_encoding(head, present)?;
        remove_hop_by_hop(head, edits)?;
    }
    if present.length {
        rebuild_length(method, status, head, edits);
    }
    Ok(if present.trailer { Trailers::announced(head, &|_| true, edits) } else { Trailers::default() })
}

fn check_encoding(head: &dyn Head, present: Present) -> Result<(), Malformed> {
    match head.single(&TRANSFER_ENCODING) {
        Single::Absent => Ok(()),
        Single::One(_) | Single::Repeated if present.length => Err(Malformed::BothLengths),
        Single::One(encoding) if encoding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        Single::One(_) | Single::Repeated => Err(Malformed::TransferEncoding),
    }
}

/// The answer to `HEAD` and a 304 tell a length that their missing body can't. Elsewhere it
/// follows from the body itself.
fn rebuild_length(method: &Method, status: StatusCode, head: &dyn Head, edits: &mut HeaderEdits) {
    if *method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        match head.single(&CONTENT_LENGTH) {
            Single::One(digits) if digits.iter().all(u8::is_ascii_digit) => return,
            Single::One(_) | Single::Repeated | Single::Absent => {}
        }
    }
    edits.remove(CONTENT_LENGTH);
}

/// Fields that hold for one connection, whoever names them. Only those that are there become
/// changes.
fn remove_hop_by_hop(head: &dyn Head, edits: &mut HeaderEdits) -> Result<(), Malformed> {
    let mut result = Ok(());
    head.fields(&mut |name, value| {
        let is_hop_by_hop = matches!(name, b"connection" | b"keep-alive" | b"te" | b"transfer-encoding" | b"upgrade")
            || name.starts_with(b"proxy-");
        if is_hop_by_hop && let Ok(name) = HeaderName::from_bytes(name) {
            edits.remove(name);
        }
        if name == b"connection" {
            result = result.and(remove_named(value, edits));
        }
    });
    result
}

/// Whether a `Connection` must not name this field, in any case.
pub fn is_never_named(token: &[u8]) -> bool {
    NEVER_NAMED.iter().any(|name| token.eq_ignore_ascii_case(name))
        || token.get(..HANDSHAKE.len()).is_some_and(|start| start.eq_ignore_ascii_case(HANDSHAKE))
}

/// Removes what a `Connection` names.
fn remove_named(value: &[u8], edits: &mut HeaderEdits) -> Result<(), Malformed> {
    for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        // The usual two values name no field that could be there.
        if token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close") {
            continue;
        }
        if is_never_named(token) {
            return Err(Malformed::Connection);
        }
        if let Ok(name) = HeaderName::from_bytes(token) {
            edits.remove(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use palisade_core::Edited;

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
        let (fields, mut edits) = (headers(before), HeaderEdits::none());
        match prepare(&Method::GET, &fields, Payload::Empty, &|_| true, &mut edits) {
            Ok(_) => text(&Edited { head: &fields, edits: &edits }.to_map()),
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
            ("connection: upgrade, sec-websocket-key", "Connection"),
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
            (Method::GET, 304, "content-length: 5", "content-length: 5"),
            (Method::GET, 304, "content-length: 5 | content-length: 5", ""),
            (Method::HEAD, 200, "content-length: 5, 5", ""),
            (Method::GET, 204, "content-length: 0", ""),
            (Method::GET, 200, "content-length: 5 | transfer-encoding: chunked", "BothLengths"),
            (Method::GET, 200, "transfer-encoding: gzip", "TransferEncoding"),
            (Method::GET, 200, "transfer-encoding: gzip, chunked", "TransferEncoding"),
            (Method::GET, 200, "transfer-encoding: chunked | transfer-encoding: chunked", "TransferEncoding"),
            (Method::GET, 200, "connection: content-type | content-type: text/html", "Connection"),
            (Method::GET, 101, "connection: upgrade, Sec-WebSocket-Extensions | upgrade: websocket", "Connection"),
        ] {
            let (fields, mut edits) = (headers(before), HeaderEdits::none());
            let seen = match receive(&method, StatusCode::from_u16(status).unwrap(), &fields, &mut edits) {
                Ok(_) => text(&Edited { head: &fields, edits: &edits }.to_map()),
                Err(malformed) => format!("{malformed:?}"),
            };
            assert_eq!(seen, after, "{method} {status} {before}");
        }
    }
}
