//! What operators set for single keys of limits, beside the configuration.
//!
//! Data, like everything that policies are told: an operator raises a customer's rate for an hour, or
//! bans an address for a day. Each entry ends by itself.

use std::collections::HashMap;
use std::time::Duration;

use crate::{KeyHash, Rate, Utc};

/// At most this many keys. What is set for more of them belongs into the configuration.
pub const OVERRIDES_MAX: usize = 10_000;

/// What an operator set for one key of one limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// The limit's name.
    pub limit: Box<str>,
    /// The key as it was written.
    pub key: Box<str>,
    /// Another rate in the place of the configured one.
    pub rate: Option<Until<Rate>>,
    /// A ban.
    pub ban: Option<Until<()>>,
}

/// Something that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until<T> {
    /// What.
    pub value: T,
    /// When it ends.
    pub end: Utc,
}

/// What operators set, by the hash over a limit's name and a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(HashMap<KeyHash, Override>);

impl<T: Copy> Until<T> {
    /// What it is, unless it has ended.
    pub fn at(self, now: Utc) -> Option<T> {
        (self.end > now).then_some(self.value)
    }
}

impl Override {
    /// When all of it has ended.
    pub fn end(&self) -> Utc {
        let ends = [self.rate.map(|rate| rate.end), self.ban.map(|ban| ban.end)];
        ends.into_iter().flatten().max().unwrap_or_default()
    }

    /// The rate in the place of the configured one.
    pub fn rate(&self, now: Utc) -> Option<Rate> {
        self.rate.and_then(|rate| rate.at(now))
    }

    /// How long a ban lasts yet.
    pub fn ban(&self, now: Utc) -> Option<Duration> {
        let end = self.ban.filter(|ban| ban.at(now).is_some())?.end;
        Some(Duration::from_nanos(end.as_nanos().saturating_sub(now.as_nanos())))
    }
}

impl Overrides {
    /// What is set for a key.
    pub fn find(&self, key: KeyHash) -> Option<&Override> {
        self.0.get(&key)
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = (KeyHash, &Override)> {
        self.0.iter().map(|(key, set)| (*key, set))
    }

    /// How many keys something is set for.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets something for a key, or with `None` nothing any more. What has ended makes room.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub fn set(&mut self, key: KeyHash, set: Option<Override>, now: Utc) -> Result<(), TooMany> {
        let Some(set) = set else {
            self.0.remove(&key);
            return Ok(());
        };
        if self.0.len() >= OVERRIDES_MAX {
            self.0.retain(|_, known| known.end() > now);
        }
        if self.0.len() >= OVERRIDES_MAX && !self.0.contains_key(&key) {
            return Err(TooMany);
        }
        self.0.insert(key, set);
        Ok(())
    }
}

impl FromIterator<(KeyHash, Override)> for Overrides {
    fn from_iter<I: IntoIterator<Item = (KeyHash, Override)>>(all: I) -> Self {
        Self(all.into_iter().take(OVERRIDES_MAX).collect())
    }
}

/// There are as many overrides as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {OVERRIDES_MAX} overrides already: take one back, or wait for one to end")]
pub struct TooMany;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Utc {
        Utc::from_nanos(seconds * 1_000_000_000)
    }

    fn banned(end: u64) -> Override {
        Override { ban: Some(Until { value: (), end: at(end) }), ..Override::default() }
    }

    #[test]
    fn everything_ends_by_itself() {
        let rate = Rate::new(5, Duration::from_secs(1), 5).unwrap();
        let set = Override { rate: Some(Until { value: rate, end: at(10) }), ..banned(5) };
        assert_eq!((set.rate(at(9)), set.ban(at(3))), (Some(rate), Some(Duration::from_secs(2))));
        assert_eq!((set.rate(at(10)), set.ban(at(5)), set.end()), (None, None, at(10)));
    }

    #[test]
    fn what_has_ended_makes_room() {
        let mut overrides: Overrides = (0..OVERRIDES_MAX as u128).map(|key| (KeyHash(key), banned(5))).collect();
        let more = |overrides: &mut Overrides, now| overrides.set(KeyHash(u128::MAX), Some(banned(9)), at(now));
        assert_eq!(more(&mut overrides, 4), Err(TooMany));
        assert_eq!(overrides.set(KeyHash(1), Some(banned(6)), at(4)), Ok(()), "it is there already");
        assert_eq!(more(&mut overrides, 5), Ok(()));
        assert_eq!(overrides.len(), 2);
        assert_eq!(overrides.set(KeyHash(u128::MAX), None, at(5)), Ok(()));
        assert_eq!(overrides.len(), 1);
    }
}
