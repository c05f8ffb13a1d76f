//! Writing JSON into a buffer that is used again and again.
//!
//! The lines are our own format with a fixed order of fields, so this is shorter than a serializer
//! and allocates nothing. It escapes more than JSON asks for: whatever a client sent, one record is
//! one line, and in a terminal no control byte acts.

use std::time::Duration;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// An object being written: fields in the order of the calls.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Begins an object.
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Ends it.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }

    /// Writes a key, which is ours and needs no escaping, and gives the buffer for its value.
    pub(crate) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(if self.first { b"\"" } else { b",\"" });
        self.first = false;
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A text that is ours: a code, a name from a closed list, an id.
    pub(crate) fn word(&mut self, key: &str, word: &[u8]) {
        let out = self.key(key);
        out.push(b'"');
        out.extend_from_slice(word);
        out.push(b'"');
    }

    /// A text from elsewhere.
    pub(crate) fn text(&mut self, key: &str, text: &[u8]) {
        string(self.key(key), text);
    }

    /// A whole number.
    pub(crate) fn number(&mut self, key: &str, number: u64) {
        self.key(key).extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A duration in milliseconds with three decimals.
    pub(crate) fn millis(&mut self, key: &str, duration: Duration) {
        millis(self.key(key), duration);
    }

    /// An array with one element per item.
    pub(crate) fn array<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) {
        let out = self.key(key);
        out.push(b'[');
        for (place, item) in items.into_iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write(out, item);
        }
        out.push(b']');
    }
}

/// Milliseconds with three decimals, cut below a microsecond.
pub(crate) fn millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    out.extend_from_slice(itoa::Buffer::new().format(micros / 1_000).as_bytes());
    out.push(b'.');
    decimals(out, (micros % 1_000) as u32, 100);
}

/// The digits of `number`, the first of which counts `unit`: leading zeros are kept.
pub(crate) fn decimals(out: &mut Vec<u8>, number: u32, mut unit: u32) {
    while unit > 0 {
        out.push(b'0' + (number / unit % 10) as u8);
        unit /= 10;
    }
}

/// A string in quotes.
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    // Nearly all texts are plain, so they are looked through once and copied whole.
    if text.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(text);
    } else {
        escaped(out, text);
    }
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    for part in text.utf8_chunks() {
        for character in part.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                // C0, DEL and C1, the last of which terminals obey as well; and the two line ends
                // that are none in JSON but in what reads it.
                unsafe_to_show if unsafe_to_show.is_control() || matches!(unsafe_to_show, '\u{2028}' | '\u{2029}') => {
                    unicode_escape(out, unsafe_to_show as u32);
                }
                plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        // JSON can't hold bytes that are no text: each run of them is one replacement character.
        if !part.invalid().is_empty() {
            unicode_escape(out, 0xfffd);
        }
    }
}

/// Every character that is escaped lies in the basic plane.
fn unicode_escape(out: &mut Vec<u8>, code: u32) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.extend(HEX.get((code >> shift) as usize & 15));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &[u8]) -> String {
        let mut out = Vec::new();
        string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_hold_nothing_that_acts() {
        for (text, expected) in [
            (&b"plain ~!"[..], "\"plain ~!\""),
            (b"", "\"\""),
            (b"\n{\"event\":\"request\"", "\"\\n{\\\"event\\\":\\\"request\\\"\""),
            (b"\\", "\"\\\\\""),
            (b"\x1b[31m", "\"\\u001b[31m\""),
            (b"\0\x7f\r\t", "\"\\u0000\\u007f\\r\\t\""),
            ("\u{9b}31m".as_bytes(), "\"\\u009b31m\""),
            ("a\u{2028}b\u{2029}c".as_bytes(), "\"a\\u2028b\\u2029c\""),
            (b"a\xffb", "\"a\\ufffdb\""),
            (b"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""),
            (b"cut \xe2\x82", "\"cut \\ufffd\""),
            ("grün 😀".as_bytes(), "\"grün 😀\""),
        ] {
            assert_eq!(quoted(text), expected, "{text:?}");
        }
    }

    #[test]
    fn milliseconds_have_three_decimals() {
        for (nanos, expected) in
            [(0, "0.000"), (999, "0.000"), (1_000, "0.001"), (95_200_000, "95.200"), (812_401_999, "812.401")]
        {
            let mut out = Vec::new();
            millis(&mut out, Duration::from_nanos(nanos));
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn objects_keep_the_order_of_the_calls() {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        object.number("n", 18_446_744_073_709_551_615);
        object.word("w", b"ok");
        object.array("a", ["x", "\n"], |out, item| string(out, item.as_bytes()));
        object.close();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"n":18446744073709551615,"w":"ok","a":["x","\n"]}"#);
    }
}
