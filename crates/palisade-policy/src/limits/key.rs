//! Keys of counters: hashes, never the client's own values.

use std::hash::Hasher as _;

use palisade_core::KeyHash;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// The keys of one limit: SipHash with the limit's name already taken in.
pub(super) struct Keys(SipHasher13);

impl Keys {
    pub(super) fn new(seed: &[u8; 16], limit: &str) -> Self {
        Self(with_part(SipHasher13::new_with_key(seed), limit.as_bytes()))
    }

    /// The key whose one part is `value`, which is a `kind`.
    pub(super) fn of(&self, kind: &str, value: &[u8]) -> KeyHash {
        let hasher = with_part(with_part(self.0, kind.as_bytes()), value);
        KeyHash(hasher.finish128().as_u128())
    }
}

/// Every part goes in behind its length, so that no two lists of parts read the same.
fn with_part(mut hasher: SipHasher13, part: &[u8]) -> SipHasher13 {
    hasher.write_u64(part.len() as u64);
    hasher.write(part);
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_run_into_each_other() {
        let keys = [
            Keys::new(&[0; 16], "a").of("b", b"c"),
            Keys::new(&[0; 16], "ab").of("", b"c"),
            Keys::new(&[0; 16], "").of("ab", b"c"),
            Keys::new(&[0; 16], "a").of("", b"bc"),
            Keys::new(&[0; 16], "a").of("b", b"c\0"),
            Keys::new(&[1; 16], "a").of("b", b"c"),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|other| other == key), Some(place));
        }
        assert_eq!(Keys::new(&[0; 16], "a").of("b", b"c"), keys[0]);
    }
}
