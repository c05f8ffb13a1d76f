//! `host[:port]`, as strictly as names on the web are.

use std::net::Ipv6Addr;

/// Whether `text` is a host name, an IPv4 address or an IPv6 address in brackets, and an optional
/// port. No user, no path, no escape: nothing that one reader would cut off and another keep.
pub(super) fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            (None, port)
        }
        None => match text.find(':').and_then(|colon| text.split_at_checked(colon)) {
            Some((host, port)) => (Some(host), port),
            None => (Some(text), ""),
        },
    };
    let name = host.is_none_or(|host| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    });
    name && match port.strip_prefix(':') {
        Some(digits) => {
            (1..=5).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && digits.parse::<u16>().is_ok()
        }
        None => port.is_empty(),
    }
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
