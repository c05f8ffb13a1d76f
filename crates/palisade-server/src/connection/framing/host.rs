//! `host[:port]`, as strictly as names on the web are.

use std::net::Ipv6Addr;

/// Whether `text` is a host name, an IPv4 address or an IPv6 address in brackets, and an optional
/// port. No user, no path, no escape: nothing that one reader would cut off and another keep.
pub(super) fn is_host(text: &[u8]) -> bool {
    if let Some(rest) = text.strip_prefix(b"[") {
        let Some((address, port)) = split_at(rest, b']') else { return false };
        let is_address = std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok());
        return is_address && port.strip_prefix(b":").map_or(port.is_empty(), is_port);
    }
    let (name, port) = split_at(text, b':').map_or((text, None), |(name, port)| (name, Some(port)));
    let is_name =
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    is_name && port.is_none_or(is_port)
}

/// What is before and after the first such byte.
fn split_at(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(memchr::memchr(byte, text)?)?;
    Some((before, rest.get(1..)?))
}

fn is_port(digits: &[u8]) -> bool {
    let number = |number, digit: &u8| number * 10 + u32::from(*digit - b'0');
    (1..=5).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0, number) <= u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn hosts_have_one_form() {
        for (text, expected) in [
            ("app.example", true),
            ("app.example.", true),
            ("my_host-1", true),
            ("APP.example:8080", true),
            ("127.0.0.1:1", true),
            ("[::1]", true),
            ("[2001:db8::1]:65535", true),
            ("", false),
            (":80", false),
            ("app.example:", false),
            ("app.example:65536", false),
            ("app.example:+80", false),
            ("app.example:80:80", false),
            ("app.example:8o", false),
            ("user@app.example", false),
            ("app.example/path", false),
            ("app.example?x", false),
            ("app .example", false),
            ("app.example, other.example", false),
            ("%61pp.example", false),
            ("::1", false),
            ("[::1", false),
            ("[::1]x", false),
            ("[app]", false),
            ("[fe80::1%eth0]", false),
            ("caf\u{e9}.example", false),
        ] {
            assert_eq!(is_host(text.as_bytes()), expected, "{text}");
        }
    }
}
