//! One element of a list of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str;

use crate::ClientIp;

/// `1.2.3.4`, `1.2.3.4:567`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:567`. Without
/// brackets the last group of an IPv6 address and a port look alike, so there is no port then.
pub(super) fn address(element: &[u8]) -> Option<ClientIp> {
    let text = str::from_utf8(trim(element)).ok()?;
    match text.parse::<Ipv6Addr>() {
        Ok(address) => Some(IpAddr::from(address).into()),
        Err(_) => host_and_port(text, is_port),
    }
}

/// An IPv4 address, or an IPv6 address in brackets, perhaps with a port.
pub(super) fn host_and_port(text: &str, is_port: fn(&str) -> bool) -> Option<ClientIp> {
    let (address, rest): (IpAddr, &str) = match text.strip_prefix('[') {
        Some(inner) => {
            let (address, rest) = inner.split_once(']')?;
            (address.parse::<Ipv6Addr>().ok()?.into(), rest)
        }
        None => {
            let (address, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            (address.parse::<Ipv4Addr>().ok()?.into(), rest)
        }
    };
    let whole = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    whole.then(|| address.into())
}

/// One to five digits, at most 65535.
pub(super) fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Without blanks around it.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    bytes.get(start..end).unwrap_or_default()
}
