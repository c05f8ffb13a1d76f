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

use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use palisade_core::{Head, Protocol};
use palisade_proxy::hop;

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// `Content-Length`, or how often it was sent.
    Length,
    /// `Transfer-Encoding`, or in which protocol it was sent.
    Encoding,
    /// `Content-Length` and `Transfer-Encoding`, each of which says where the body ends.
    BothLengths,
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
            Self::Length => "`Content-Length` repeated, or not a number",
            Self::Encoding => "`Transfer-Encoding` other than `chunked` alone",
            Self::BothLengths => "`Content-Length` and `Transfer-Encoding` in one head: two lengths for one body",
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

/// What a request says beside its fields.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The method.
    pub method: &'a Method,
    /// The protocol.
    pub protocol: Protocol,
    /// The authority of the target, or `:authority`.
    pub authority: Option<&'a str>,
    /// The rest of the target. Empty for one that is an authority alone.
    pub target: &'a str,
}

/// What one pass over the fields finds.
#[derive(Default)]
struct Found<'a> {
    lengths: usize,
    encodings: usize,
    hosts: usize,
    host: &'a [u8],
    websocket: bool,
    upgrade: bool,
    keys: usize,
    key: &'a [u8],
    versions: usize,
    version: &'a [u8],
}

/// Checks a request's head.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn check(line: &Line<'_>, head: &dyn Head) -> Result<(), Malformed> {
    let mut found = Found::default();
    let mut result = Ok(());
    head.fields(&mut |name, value| {
        if result.is_ok() {
            result = found.learn(name, value);
        }
        if result.is_ok() && line.protocol == Protocol::H2 {
            result = check_h2(name, value);
        }
    });
    result?;
    found.check_length(line)?;
    found.check_host(line)?;
    found.check_websocket(line)?;
    let asterisk = line.target == "*" && *line.method == Method::OPTIONS;
    let tunnel = line.target.is_empty() && *line.method == Method::CONNECT;
    if line.target.starts_with('/') || asterisk || tunnel { Ok(()) } else { Err(Malformed::Target) }
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
    fn learn(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Malformed> {
        match name {
            b"content-length" => {
                self.lengths += 1;
                if value.is_empty() || !value.iter().all(u8::is_ascii_digit) || parse_length(value).is_none() {
                    return Err(Malformed::Length);
                }
            }
            b"transfer-encoding" => {
                self.encodings += 1;
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed::Encoding);
                }
            }
            b"host" => {
                self.hosts += 1;
                self.host = value;
            }
            b"connection" => {
                for token in tokens(value) {
                    if hop::is_never_named(token) {
                        return Err(Malformed::Connection);
                    }
                    self.upgrade |= token.eq_ignore_ascii_case(b"upgrade");
                }
            }
            b"upgrade" => self.websocket |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"websocket")),
            b"sec-websocket-key" => {
                self.keys += 1;
                self.key = value;
            }
            b"sec-websocket-version" => {
                self.versions += 1;
                self.version = value;
            }
            _ => {}
        }
        Ok(())
    }

    fn check_length(&self, line: &Line<'_>) -> Result<(), Malformed> {
        if self.lengths > 1 {
            return Err(Malformed::Length);
        }
        match self.encodings {
            0 => Ok(()),
            1 if line.protocol == Protocol::Http11 && self.lengths == 0 => Ok(()),
            1 if self.lengths == 1 => Err(Malformed::BothLengths),
            _ => Err(Malformed::Encoding),
        }
    }

    fn check_host(&self, line: &Line<'_>) -> Result<(), Malformed> {
        let authority = line.authority.map(str::as_bytes);
        let host = (self.hosts > 0).then_some(self.host);
        if self.hosts > 1 || [authority, host].into_iter().flatten().any(|text| !host::is_host(text)) {
            return Err(Malformed::Host);
        }
        match (authority, host) {
            (Some(_), Some(_)) if *line.method == Method::CONNECT => Ok(()),
            (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => Err(Malformed::OtherHost),
            (Some(_), Some(_)) | (None, Some(_)) => Ok(()),
            // In HTTP/2 `:authority` alone is enough.
            (Some(_), None) if line.protocol != Protocol::Http11 => Ok(()),
            (None, None) if line.protocol == Protocol::Http10 => Ok(()),
            (Some(_) | None, None) => Err(Malformed::Host),
        }
    }

    fn check_websocket(&self, line: &Line<'_>) -> Result<(), Malformed> {
        if !(self.websocket && self.upgrade) || line.protocol != Protocol::Http11 {
            return Ok(());
        }
        let complete = *line.method == Method::GET
            && self.lengths + self.encodings == 0
            && self.keys == 1
            && is_key(self.key)
            && self.versions == 1
            && self.version == b"13";
        if complete { Ok(()) } else { Err(Malformed::WebSocket) }
    }
}

fn check_h2(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    match name {
        b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
            return Err(Malformed::ConnectionField);
        }
        b"te" if !value.eq_ignore_ascii_case(b"trailers") => return Err(Malformed::ConnectionField),
        _ => {}
    }
    match value {
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => Err(Malformed::Blanks),
        _ => Ok(()),
    }
}

/// Digits that are below 2^63.
fn parse_length(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
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
