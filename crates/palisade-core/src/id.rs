//! Identifiers of requests, traces and spans.
//!
//! Entropy is an argument: whoever makes an id passes random bits in.

use std::fmt;
use std::str;

use crate::Utc;

/// A request's id: a ULID of ours (48 bits of milliseconds, 80 random bits, 26 characters of
/// Crockford's base 32), or the id that a trusted proxy gave it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId {
    text: [u8; RequestId::BYTES_MAX],
    bytes: u8,
}

/// A W3C trace id: 16 bytes, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// A W3C span id: 8 bytes, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

const CROCKFORD: [u8; 32] = *b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Both digits of every byte.
#[expect(clippy::indexing_slicing, reason = "four bits index an array of 16, at compile time")]
const HEX: [[u8; 2]; 256] = {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

impl RequestId {
    /// The longest id that is taken over.
    pub const BYTES_MAX: usize = 64;
    const ULID_BYTES: usize = 26;

    /// The id of a request that arrived at `time`; the low 80 bits of `entropy` make it unique.
    #[expect(clippy::indexing_slicing, reason = "five bits index an array of 32; 26 characters fit")]
    pub fn new(time: Utc, entropy: u128) -> Self {
        let bits = (u128::from(time.as_millis()) << 80) | (entropy & ((1 << 80) - 1));
        let mut text = [0; Self::BYTES_MAX];
        // Twelve characters at a time, since numbers of 64 bits are shifted fastest.
        let (mut left, mut end) = (bits, Self::ULID_BYTES);
        while end > 0 {
            let mut part = left as u64;
            let start = end.saturating_sub(12);
            for place in text[start..end].iter_mut().rev() {
                *place = CROCKFORD[(part & 31) as usize];
                part >>= 5;
            }
            (left, end) = (left >> 60, start);
        }
        Self { text, bytes: Self::ULID_BYTES as u8 }
    }

    /// The id that a trusted proxy gave the request: `[A-Za-z0-9._~-]{8,64}`, else `None`.
    pub fn taken_over(id: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
        if !(8..=Self::BYTES_MAX).contains(&id.len()) || !id.bytes().all(allowed) {
            return None;
        }
        let mut text = [0; Self::BYTES_MAX];
        for (place, byte) in text.iter_mut().zip(id.bytes()) {
            *place = byte;
        }
        Some(Self { text, bytes: id.len() as u8 })
    }

    /// Its characters: letters, digits and `._~-` only.
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The same as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.bytes)).unwrap_or_default()
    }
}

impl TraceId {
    /// `None` for the all-zero id, which W3C Trace Context forbids.
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// A new id from random bits.
    pub const fn from_entropy(entropy: u128) -> Self {
        Self((entropy | 1).to_be_bytes())
    }

    /// Its bytes, for hashing.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// 32 lower-case hexadecimal digits.
    pub fn hex(self) -> [u8; 32] {
        hex(self.0)
    }
}

impl SpanId {
    /// `None` for the all-zero id, which W3C Trace Context forbids.
    pub fn new(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// A new id from random bits.
    pub const fn from_entropy(entropy: u64) -> Self {
        Self((entropy | 1).to_be_bytes())
    }

    /// 16 lower-case hexadecimal digits.
    pub fn hex(self) -> [u8; 16] {
        hex(self.0)
    }
}

/// N is twice M.
#[expect(clippy::indexing_slicing, reason = "a byte indexes an array of 256")]
fn hex<const M: usize, const N: usize>(bytes: [u8; M]) -> [u8; N] {
    let mut text = [0; N];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = HEX[usize::from(byte)];
    }
    text
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! show_hex {
    ($($name:ident),+) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(str::from_utf8(&self.hex()).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )+ };
}

show_hex!(TraceId, SpanId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_a_ulid() {
        // The example of the ULID specification: its time and its randomness, put together.
        let id = RequestId::new(Utc::from_nanos(1_469_918_176_385 * 1_000_000), 0xD676_4C61_EFB9_9302_BD5B);
        assert_eq!(id.as_str(), "01ARYZ6S41TSV4RRFFQ69G5FAV");
    }

    #[test]
    fn ids_are_taken_over_only_in_one_form() {
        let taken = |id: &str| RequestId::taken_over(id).map(|id| id.to_string());
        assert_eq!(taken("a-b_c.d~").as_deref(), Some("a-b_c.d~"));
        assert_eq!(taken("a b.c.d~e"), None);
        assert_eq!(taken("short"), None);
        assert_eq!(taken(&"x".repeat(64)), Some("x".repeat(64)));
        assert_eq!(taken(&"x".repeat(65)), None);
        assert_eq!(taken("<script>"), None);
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = RequestId::new(Utc::from_nanos(1_000_000), u128::MAX);
        let late = RequestId::new(Utc::from_nanos(2_000_000), 0);
        assert!(early < late);
    }

    #[test]
    fn trace_ids_are_never_zero() {
        assert_eq!(TraceId::new([0; 16]), None);
        assert_ne!(TraceId::from_entropy(0).hex(), [b'0'; 32]);
        assert_eq!(SpanId::from_entropy(0x0123_4567_89ab_cdef).to_string(), "0123456789abcdef");
    }
}
