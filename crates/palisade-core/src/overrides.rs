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

/// A change of what is set for one key. Each part that is not named stays as it is: somebody else may
/// have set it at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverrideChange {
    /// The limit's name.
    pub limit: Box<str>,
    /// The key as it was written.
    pub key: Box<str>,
    /// Another rate, or the configured one again.
    pub rate: Option<Option<Until<Rate>>>,
    /// A ban, or none.
    pub ban: Option<Option<Until<()>>>,
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

    /// Changes what is set for a key. What has ended makes room.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub fn change(&mut self, key: KeyHash, change: &OverrideChange, now: Utc) -> Result<(), TooMany> {
        let known = self.find(key).cloned().unwrap_or_default();
        let set = Override {
            limit: change.limit.clone(),
            key: change.key.clone(),
            rate: change.rate.unwrap_or(known.rate),
            ban: change.ban.unwrap_or(known.ban),
        };
        if set.rate.is_none() && set.ban.is_none() {
            self.0.remove(&key);
            return Ok(());
        }
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
        let change =
            |set: Option<Override>| OverrideChange { ban: Some(set.and_then(|set| set.ban)), ..Default::default() };
        let more =
            |overrides: &mut Overrides, now| overrides.change(KeyHash(u128::MAX), &change(Some(banned(9))), at(now));
        assert_eq!(more(&mut overrides, 4), Err(TooMany));
        assert_eq!(overrides.change(KeyHash(1), &change(Some(banned(6))), at(4)), Ok(()), "it is there already");
        assert_eq!(more(&mut overrides, 5), Ok(()));
        assert_eq!(overrides.len(), 2);
        assert_eq!(overrides.change(KeyHash(u128::MAX), &change(None), at(5)), Ok(()));
        assert_eq!(overrides.len(), 1);
    }

    /// Two operators at the same key: each changes what they name.
    #[test]
    fn what_a_change_does_not_name_stays() {
        let mut overrides = Overrides::default();
        let rate = Until { value: Rate::new(5, Duration::from_secs(1), 5).unwrap(), end: at(10) };
        let named = OverrideChange { limit: "api".into(), key: "ip".into(), ..OverrideChange::default() };
        overrides.change(KeyHash(1), &OverrideChange { rate: Some(Some(rate)), ..named.clone() }, at(0)).unwrap();
        let ban = banned(5).ban;
        overrides.change(KeyHash(1), &OverrideChange { ban: Some(ban), ..named.clone() }, at(0)).unwrap();
        let set = Override { limit: "api".into(), key: "ip".into(), rate: Some(rate), ban };
        assert_eq!(overrides.find(KeyHash(1)), Some(&set));
        overrides.change(KeyHash(1), &OverrideChange { rate: Some(None), ..named }, at(0)).unwrap();
        assert_eq!(overrides.find(KeyHash(1)), Some(&Override { rate: None, ..set }));
    }
}
