//! Keys of counters: hashes, never the client's own values.

use std::fmt;
use std::hash::Hasher as _;

use palisade_core::KeyHash;
use ring::digest::{Context, SHA256};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// What keys are hashed with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seed {
    /// SipHash under a secret: nobody outside can choose a key that shares another one's counter.
    Secret([u8; 16]),
    /// SHA-256, cut to 128 bits: the same on all gateways that share a store, and no two keys that
    /// share a counter can be found. It costs several times as much.
    Shared,
}

impl fmt::Debug for Seed {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Shared => "Shared",
        })
    }
}

impl From<[u8; 16]> for Seed {
    fn from(secret: [u8; 16]) -> Self {
        Self::Secret(secret)
    }
}

/// A hash of what was taken in so far. Every part goes in behind its length, so that no two lists of
/// parts read the same.
#[derive(Clone)]
pub(super) enum Hash {
    Sip(SipHasher13),
    Sha(Context),
}

impl Hash {
    /// The name of a limit.
    pub(super) fn new(seed: &Seed, limit: &str) -> Self {
        let mut hash = match seed {
            Seed::Secret(secret) => Self::Sip(SipHasher13::new_with_key(secret)),
            Seed::Shared => Self::Sha(Context::new(&SHA256)),
        };
        hash.take(limit.as_bytes());
        hash
    }

    /// Takes in a part.
    pub(super) fn take(&mut self, part: &[u8]) {
        self.count(part.len() as u64);
        match self {
            Self::Sip(hash) => hash.write(part),
            Self::Sha(hash) => hash.update(part),
        }
    }

    /// Takes in how many parts follow.
    pub(super) fn count(&mut self, parts: u64) {
        match self {
            Self::Sip(hash) => hash.write_u64(parts),
            Self::Sha(hash) => hash.update(&parts.to_le_bytes()),
        }
    }

    /// The key.
    pub(super) fn finish(self) -> KeyHash {
        match self {
            Self::Sip(hash) => KeyHash(hash.finish128().as_u128()),
            Self::Sha(hash) => {
                let digest = hash.finish();
                let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
                KeyHash(u128::from_be_bytes(first))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: Seed, parts: &[&str]) -> KeyHash {
        let (limit, parts) = parts.split_first().unwrap();
        let mut hash = Hash::new(&seed, limit);
        parts.iter().for_each(|part| hash.take(part.as_bytes()));
        hash.finish()
    }

    #[test]
    fn parts_never_run_into_each_other() {
        let keys = [
            key(Seed::Secret([0; 16]), &["a", "b", "c"]),
            key(Seed::Secret([0; 16]), &["ab", "", "c"]),
            key(Seed::Secret([0; 16]), &["", "ab", "c"]),
            key(Seed::Secret([0; 16]), &["a", "", "bc"]),
            key(Seed::Secret([0; 16]), &["a", "b", "c\0"]),
            key(Seed::Secret([0; 16]), &["a", "bc"]),
            key(Seed::Secret([1; 16]), &["a", "b", "c"]),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|other| other == key), Some(place));
        }
        assert_eq!(key(Seed::Secret([0; 16]), &["a", "b", "c"]), keys[0]);
    }

    #[test]
    fn gateways_that_share_a_store_agree() {
        let shared = key(Seed::Shared, &["api", "ip"]);
        // printf '\3\0\0\0\0\0\0\0api\2\0\0\0\0\0\0\0ip' | sha256sum
        assert_eq!(format!("{:032x}", shared.0), "ff4abee133806c5d5cbfdecf60de3e4d");
        assert_ne!(shared, key(Seed::Shared, &["ap", "iip"]));
    }
}
