//! Keys of counters: hashes, never the client's own values.

use std::hash::Hasher as _;

use palisade_core::KeyHash;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// SipHash with what was taken in so far. Every part goes in behind its length, so that no two lists
/// of parts read the same.
#[derive(Clone, Copy)]
pub(super) struct Hash(SipHasher13);

impl Hash {
    /// The name of a limit, under a secret seed.
    pub(super) fn new(seed: &[u8; 16], limit: &str) -> Self {
        let mut hash = Self(SipHasher13::new_with_key(seed));
        hash.take(limit.as_bytes());
        hash
    }

    /// Takes in a part.
    pub(super) fn take(&mut self, part: &[u8]) {
        self.0.write_u64(part.len() as u64);
        self.0.write(part);
    }

    /// Takes in how many parts follow.
    pub(super) fn count(&mut self, parts: u64) {
        self.0.write_u64(parts);
    }

    /// The key.
    pub(super) fn finish(self) -> KeyHash {
        KeyHash(self.0.finish128().as_u128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8, parts: &[&str]) -> KeyHash {
        let (limit, parts) = parts.split_first().unwrap();
        let mut hash = Hash::new(&[seed; 16], limit);
        parts.iter().for_each(|part| hash.take(part.as_bytes()));
        hash.finish()
    }

    #[test]
    fn parts_never_run_into_each_other() {
        let keys = [
            key(0, &["a", "b", "c"]),
            key(0, &["ab", "", "c"]),
            key(0, &["", "ab", "c"]),
            key(0, &["a", "", "bc"]),
            key(0, &["a", "b", "c\0"]),
            key(0, &["a", "bc"]),
            key(1, &["a", "b", "c"]),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|other| other == key), Some(place));
        }
        assert_eq!(key(0, &["a", "b", "c"]), keys[0]);
    }
}
