//! The head of a request, checked once more where it has become fields: what every reader must
//! agree on beyond where the message ends.
//!
//! One request in is exactly one request out, for one host. Refused are (RFC 9112 §3.2, §6; RFC
//! 9113 §8.2, §8.3; RFC 6455 §4.1):
//!
//! 1. a length or an encoding that another reader could take differently; for HTTP/1.1 the
//!    follower in front has said so already, for HTTP/2 this is the place;
//! 2. no host, two, one that isn't `host[:port]`, or one that differs from the target's authority;
//! 3. a target that is no path, except `OPTIONS *`;
//! 4. in HTTP/2: fields that belong to a connection, and blanks around values;
//! 5. a `Connection` that names fields which are never a connection's;
//! 6. a WebSocket handshake that isn't one.
//!
//! `TRACE` and `CONNECT` pass, for they are well-formed: that they are never forwarded is said by
//! a policy. The target of `CONNECT` is an authority (RFC 9112 §3.2.3) and need not repeat `Host`,
//! since nobody will act upon either. What is merely removed (`Upgrade` to anything
//! else, hop-by-hop fields) is the proxy's to remove.

mod host;

use std::fmt;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Version};

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Neither HTTP/1.0 nor 1.1 nor 2.
    Version,
    /// `Content-Length`, or how often it was sent.
    Length,
    /// `Transfer-Encoding`, or beside what it was sent.
    Encoding,
    /// `Host` or `:authority`, or how often it was sent.
    Host,
    /// The target's authority isn't the host.
    OtherHost,
    /// The target is no path.
    Target,
    /// A field of a connection in HTTP/2.
    ConnectionField,
    /// Blanks around a value in HTTP/2.
    Blanks,
    /// `Connection` names a field that is never a connection's.
    Connection,
    /// A WebSocket handshake without one of its parts, or with a body.
    WebSocket,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "unknown version",
            Self::Length => "`Content-Length` repeated, or not a number",
            Self::Encoding => "`Transfer-Encoding` other than `chunked` alone",
            Self::Host => "not exactly one `Host` of the form host[:port]",
            Self::OtherHost => "the target's authority differs from `Host`",
            Self::Target => "the target is not a path",
            Self::ConnectionField => "a field of the connection in HTTP/2",
            Self::Blanks => "blanks around a field's value in HTTP/2",
            Self::Connection => "`Connection` names a field that is never a connection's",
            Self::WebSocket => "an incomplete WebSocket handshake",
        })
    }
}

/// What one pass over the fields finds.
#[derive(Default)]
struct Found<'a> {
    lengths: usize,
    encodings: usize,
    hosts: usize,
    host: Option<&'a HeaderValue>,
    websocket: bool,
    upgrade: bool,
    keys: usize,
    key: Option<&'a HeaderValue>,
    versions: usize,
    version: Option<&'a HeaderValue>,
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Checks a request's head.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn check(request: &Parts) -> Result<(), Malformed> {
    if ![Version::HTTP_10, Version::HTTP_11, Version::HTTP_2].contains(&request.version) {
        return Err(Malformed::Version);
    }
    let mut found = Found::default();
    for (name, value) in &request.headers {
        found.learn(name, value)?;
        if request.version == Version::HTTP_2 {
            check_h2(name, value)?;
        }
    }
    found.check_length(request.version)?;
    found.check_host(request)?;
    found.check_websocket(request)?;
    let path = request.uri.path();
    let asterisk = path == "*" && request.method == Method::OPTIONS;
    let tunnel = path.is_empty() && request.method == Method::CONNECT;
    if path.starts_with('/') || asterisk || tunnel { Ok(()) } else { Err(Malformed::Target) }
}

/// Joins the crumbs of a cookie that HTTP/2 sends as several fields (RFC 9113 §8.2.3), so that
/// everybody behind sees the one field that HTTP/1.1 knows.
pub fn join_cookies(head: &mut HeaderMap) {
    let mut crumbs = head.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return;
    };
    let mut whole = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        whole.extend_from_slice(b"; ");
        whole.extend_from_slice(crumb.as_bytes());
    }
    // Values joined by legal bytes are a legal value.
    if let Ok(whole) = HeaderValue::from_bytes(&whole) {
        head.insert(header::COOKIE, whole);
    }
}

impl<'a> Found<'a> {
    fn learn(&mut self, name: &HeaderName, value: &'a HeaderValue) -> Result<(), Malformed> {
        match *name {
            header::CONTENT_LENGTH => {
                self.lengths += 1;
                let digits = value.as_bytes();
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) || parse_length(digits).is_none() {
                    return Err(Malformed::Length);
                }
            }
            header::TRANSFER_ENCODING => {
                self.encodings += 1;
                if !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed::Encoding);
                }
            }
            header::HOST => {
                self.hosts += 1;
                self.host = Some(value);
            }
            header::CONNECTION => {
                for token in tokens(value) {
                    if is_never_hop_by_hop(token) {
                        return Err(Malformed::Connection);
                    }
                    self.upgrade |= token.eq_ignore_ascii_case(b"upgrade");
                }
            }
            header::UPGRADE => self.websocket |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"websocket")),
            header::SEC_WEBSOCKET_KEY => {
                self.keys += 1;
                self.key = Some(value);
            }
            header::SEC_WEBSOCKET_VERSION => {
                self.versions += 1;
                self.version = Some(value);
            }
            _ => {}
        }
        Ok(())
    }

    fn check_length(&self, version: Version) -> Result<(), Malformed> {
        if self.lengths > 1 {
            return Err(Malformed::Length);
        }
        match self.encodings {
            0 => Ok(()),
            1 if version == Version::HTTP_11 && self.lengths == 0 => Ok(()),
            _ => Err(Malformed::Encoding),
        }
    }

    fn check_host(&self, request: &Parts) -> Result<(), Malformed> {
        let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
        let host = self.host.map(HeaderValue::as_bytes);
        if self.hosts > 1 || [authority, host].into_iter().flatten().any(|text| !host::is_host(text)) {
            return Err(Malformed::Host);
        }
        match (authority, host) {
            (Some(_), Some(_)) if request.method == Method::CONNECT => Ok(()),
            (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => Err(Malformed::OtherHost),
            (Some(_), Some(_)) | (None, Some(_)) => Ok(()),
            // In HTTP/2 `:authority` alone is enough.
            (Some(_), None) if request.version != Version::HTTP_11 => Ok(()),
            (None, None) if request.version == Version::HTTP_10 => Ok(()),
            (Some(_) | None, None) => Err(Malformed::Host),
        }
    }

    fn check_websocket(&self, request: &Parts) -> Result<(), Malformed> {
        if !(self.websocket && self.upgrade) || request.version != Version::HTTP_11 {
            return Ok(());
        }
        let complete = request.method == Method::GET
            && self.lengths + self.encodings == 0
            && self.keys == 1
            && self.key.is_some_and(|key| is_key(key.as_bytes()))
            && self.versions == 1
            && self.version.is_some_and(|version| version.as_bytes() == b"13");
        if complete { Ok(()) } else { Err(Malformed::WebSocket) }
    }
}

fn check_h2(name: &HeaderName, value: &HeaderValue) -> Result<(), Malformed> {
    let connection = [header::CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE];
    if connection.contains(name) || (*name == header::TE && !value.as_bytes().eq_ignore_ascii_case(b"trailers")) {
        return Err(Malformed::ConnectionField);
    }
    match value.as_bytes() {
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => Err(Malformed::Blanks),
        _ => Ok(()),
    }
}

/// Digits that are below 2^63.
fn parse_length(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Fields that a `Connection` must not name: removing them would change the message.
fn is_never_hop_by_hop(token: &[u8]) -> bool {
    [&b"host"[..], b"content-length", b"content-type", b"cookie", b"authorization"]
        .iter()
        .any(|name| token.eq_ignore_ascii_case(name))
}

/// 16 bytes in base64: 22 characters and two signs of padding (RFC 6455 §4.1).
fn is_key(key: &[u8]) -> bool {
    key.len() == 24
        && key.strip_suffix(b"==").is_some_and(|digits| {
            digits.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'+' || *byte == b'/')
        })
}

#[cfg(test)]
mod tests;
