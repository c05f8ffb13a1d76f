//! Percent-escapes of texts that people and tools write: addresses of stores, keys of limits. Paths
//! have a reader of their own, which refuses more.

/// The bytes that a text stands for; `None` if a `%` has no two hex digits behind it.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit()?, digit()?);
        bytes.push((high * 16 + low) as u8);
    }
    Some(bytes)
}

/// The text with these bytes, and everything that isn't printable ASCII, escaped.
pub fn escape(text: &str, special: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%' && !special.contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_reads_the_same() {
        for text in ["", "google:42", "a+b%c", "Ä b\u{0}"] {
            let escaped = escape(text, b"+");
            assert!(!escaped.contains('+'), "{escaped}");
            assert_eq!(unescape(&escaped).as_deref(), Some(text.as_bytes()));
        }
        assert_eq!(escape("a+b%c", b"+"), "a%2Bb%25c");
        assert_eq!([unescape("%4"), unescape("%"), unescape("%zz")], [None, None, None]);
    }
}
