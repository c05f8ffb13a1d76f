//! Writing JSON into a buffer that is used again and again.
//!
//! The lines are our own format with a fixed order of fields, so this is shorter than a serializer
//! and allocates nothing. It escapes more than JSON asks for: whatever a client sent, one record is
//! one line, and in a terminal no control byte acts.

use std::time::Duration;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A key with its comma and colon, put together by the compiler: most of a line is keys, and each
/// is one copy.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

pub(crate) use key;

/// An object being written: fields in the order of the calls.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Object<'a> {
    /// Begins an object. Its brace takes the place of the first key's comma at the end, so that no
    /// key has to ask whether it is the first.
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        Self { start: out.len(), out }
    }

    /// Ends it.
    pub(crate) fn close(self) {
        match self.out.get_mut(self.start) {
            Some(comma) => *comma = b'{',
            None => self.out.push(b'{'),
        }
        self.out.push(b'}');
    }

    /// Writes a key made by [`key!`] and gives the buffer for its value.
    // With the key's length known, its copy is a few moves instead of a call.
    #[inline(always)]
    pub(crate) fn key(&mut self, key: &'static str) -> &mut Vec<u8> {
        self.out.extend_from_slice(key.as_bytes());
        self.out
    }

    /// Writes a key that is known only now. It is ours and needs no escaping.
    pub(crate) fn other_key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A text that is ours: a code, a name from a closed list, an id.
    #[inline(always)]
    pub(crate) fn word(&mut self, key: &'static str, word: &[u8]) {
        let out = self.key(key);
        out.push(b'"');
        out.extend_from_slice(word);
        out.push(b'"');
    }

    /// A text from elsewhere.
    #[inline(always)]
    pub(crate) fn text(&mut self, key: &'static str, text: &[u8]) {
        string(self.key(key), text);
    }

    /// A whole number.
    #[inline(always)]
    pub(crate) fn number(&mut self, key: &'static str, number: u64) {
        whole(self.key(key), number);
    }

    /// A duration in milliseconds with three decimals.
    #[inline(always)]
    pub(crate) fn millis(&mut self, key: &'static str, duration: Duration) {
        millis(self.key(key), duration);
    }

    /// An array with one element per item.
    pub(crate) fn array<T>(
        &mut self,
        key: &'static str,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Vec<u8>, T),
    ) {
        array(self.key(key), items, write);
    }
}

/// An array with one element per item.
pub(crate) fn array<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// A whole number.
pub(crate) fn whole(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Milliseconds with three decimals, cut below a microsecond.
pub(crate) fn millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = duration.as_secs().saturating_mul(1_000_000).saturating_add(duration.subsec_micros().into());
    whole(out, micros / 1_000);
    let [a, b, c] = digits((micros % 1_000) as u32);
    out.extend_from_slice(&[b'.', a, b, c]);
}

/// The last three digits of a number.
pub(crate) const fn digits(number: u32) -> [u8; 3] {
    [b'0' + (number / 100 % 10) as u8, b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

/// A string in quotes.
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    // Nearly all texts are plain, so they are looked through once and copied whole.
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        escaped(out, text);
    }
    out.push(b'"');
}

/// Whether all of `text` is printable ASCII without `"` and `\\`. Eight bytes at a time, the last
/// eight perhaps twice.
fn is_plain(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<8>() else {
        return text.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
    };
    text.as_chunks::<8>().0.iter().chain([last]).all(|eight| are_plain(u64::from_ne_bytes(*eight)))
}

/// The same for eight bytes in one number: each test leaves the highest bit of a byte that fails
/// it, or of one above a byte that does.
const fn are_plain(eight: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    const fn has_zero(eight: u64) -> u64 {
        eight.wrapping_sub(ONES) & !eight
    }
    let above_tilde = eight | eight.wrapping_add(ONES);
    let below_space = eight.wrapping_sub(ONES * b' ' as u64) & !eight;
    let special = has_zero(eight ^ (ONES * b'"' as u64)) | has_zero(eight ^ (ONES * b'\\' as u64));
    (above_tilde | below_space | special) & HIGH == 0
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
    fn every_byte_is_judged_alike_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let plain = (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
            for length in [1, 7, 8, 9, 16, 17] {
                for place in 0..length {
                    let mut text = vec![b'~'; length];
                    text[place] = byte;
                    assert_eq!(is_plain(&text), plain, "{byte} at {place} of {length}");
                }
            }
        }
        assert!(is_plain(b""));
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
        object.number(key!("n"), 18_446_744_073_709_551_615);
        object.word(key!("w"), b"ok");
        object.array(key!("a"), ["x", "\n"], |out, item| string(out, item.as_bytes()));
        object.close();
        Object::open(&mut out).close();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"n":18446744073709551615,"w":"ok","a":["x","\n"]}{}"#);
    }
}
