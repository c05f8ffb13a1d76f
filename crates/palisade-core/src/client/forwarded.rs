//! `Forwarded`, [RFC 7239](https://www.rfc-editor.org/rfc/rfc7239).
//!
//! Strict where it decides about trust: a value with a character that is no token must be quoted,
//! IPv6 needs its brackets, a parameter may not come twice. One liberty, since many proxies write
//! it: blanks around the semicolon.

use std::iter;
use std::str;

use super::element::{host_and_port, is_port, trim};
use crate::ClientIp;

/// The elements of one line, from the right. A comma inside quotes does not separate.
pub(super) fn elements_from_right(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    iter::from_fn(move || {
        let line = rest?;
        match last_comma(line).and_then(|comma| line.split_at_checked(comma)) {
            Some((left, element)) => {
                rest = Some(left);
                element.get(1..)
            }
            None => {
                rest = None;
                Some(line)
            }
        }
    })
}

/// The last comma outside of quotes, where quotes are paired from the right.
fn last_comma(line: &[u8]) -> Option<usize> {
    let mut quoted = false;
    for (at, &byte) in line.iter().enumerate().rev() {
        match byte {
            // A quotation mark after an odd number of backslashes is a character of the string.
            b'"' if !(quoted && is_escaped(line.get(..at)?)) => quoted = !quoted,
            b',' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// The address in an element's `for`.
pub(super) fn address(element: &[u8]) -> Option<ClientIp> {
    let value = parameter(element, "for")?;
    host_and_port(str::from_utf8(value).ok()?, |port| is_port(port) || is_obfuscated(port))
}

/// The value of an element's `proto`.
pub(super) fn proto(element: &[u8]) -> Option<&[u8]> {
    parameter(element, "proto")
}

/// A port that the proxy keeps to itself.
fn is_obfuscated(port: &str) -> bool {
    let mark = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    port.strip_prefix('_').is_some_and(|name| !name.is_empty() && name.bytes().all(mark))
}

/// The value of the parameter called `name`, without its quotes. `None` unless every parameter of
/// the element is well formed and this one is there once.
fn parameter<'a>(element: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = trim(element);
    let mut found = None;
    loop {
        let (key, after) = token(rest)?;
        let (value, after) = value(after.strip_prefix(b"=")?)?;
        if key.eq_ignore_ascii_case(name.as_bytes()) && found.replace(value).is_some() {
            return None;
        }
        let after = trim(after);
        if after.is_empty() {
            return found;
        }
        rest = trim(after.strip_prefix(b";")?);
    }
}

/// A token and what follows it.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_token(byte)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(token, _)| !token.is_empty())
}

/// A token or the inside of a quoted string, and what follows it. Escapes stay as they are: none
/// of them occurs in an address or a scheme.
fn value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(inner) = text.strip_prefix(b"\"") else {
        return token(text);
    };
    let mut escaped = false;
    let end = inner.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    let (value, after) = inner.split_at_checked(end)?;
    Some((value, after.strip_prefix(b"\"")?))
}
