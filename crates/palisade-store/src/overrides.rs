//! What operators set for single keys, as requests see it and as it is kept.
//!
//! Requests look at a snapshot, which is swapped whole. There is none while nothing is set, so that
//! nothing is paid for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use palisade_core::config::Text as _;
use palisade_core::overrides::Until;
use palisade_core::{Override, OverrideChange, Overrides, Rate, Utc};
use serde_json::{Value, json};

/// What is set now.
#[derive(Debug, Default)]
pub struct Current {
    overrides: RwLock<Arc<Overrides>>,
    /// Read first: mostly nothing is set.
    is_set: AtomicBool,
}

impl Current {
    /// What is set, if anything is.
    pub fn load(&self) -> Option<Arc<Overrides>> {
        self.is_set.load(Ordering::Acquire).then(|| self.all())
    }

    /// What is set.
    pub fn all(&self) -> Arc<Overrides> {
        self.overrides.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it. Whoever changes it at the same time waits, and no request does.
    pub fn change<T>(&self, change: impl FnOnce(&mut Overrides) -> T) -> T {
        let mut overrides = self.overrides.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(Arc::make_mut(&mut overrides));
        // Before the lock is let go, so that the two never disagree for long.
        self.is_set.store(!overrides.is_empty(), Ordering::Release);
        changed
    }
}

/// The longest override as it is kept: ten thousand of them are read at once.
pub const TEXT_BYTES_MAX: usize = 1_500;

/// An override as stores keep it.
pub fn to_text(set: &Override) -> String {
    let Override { limit, key, rate, ban } = set;
    let seconds = |end: Utc| end.as_nanos().div_ceil(SECOND_NS);
    json!({
        "limit": limit,
        "key": key,
        "rate": rate.map(|rate| rate.value.to_string()),
        "rate_end": rate.map(|rate| seconds(rate.end)),
        "ban_end": ban.map(|ban| seconds(ban.end)),
    })
    .to_string()
}

/// What a change names, by the part's word: what is set of it, or nothing any more.
pub(crate) fn parts(change: &OverrideChange) -> impl Iterator<Item = (&'static str, Option<Override>)> {
    let OverrideChange { limit, key, rate, ban } = change;
    let named = Override { limit: limit.clone(), key: key.clone(), ..Override::default() };
    let of_ban = named.clone();
    let rate = rate.map(|rate| ("rate", rate.map(|rate| Override { rate: Some(rate), ..named })));
    let ban = ban.map(|ban| ("ban", ban.map(|ban| Override { ban: Some(ban), ..of_ban })));
    rate.into_iter().chain(ban)
}

const SECOND_NS: u64 = 1_000_000_000;

/// An override as it was kept; `None` if it is none.
pub fn from_text(text: &str) -> Option<Override> {
    let kept: Value = serde_json::from_str(text).ok()?;
    let word = |name: &str| kept.get(name)?.as_str().map(Box::from);
    let end = |name: &str| Some(Utc::from_nanos(kept.get(name)?.as_u64()?.saturating_mul(SECOND_NS)));
    let rate = word("rate").and_then(|rate| Rate::parse(&rate).ok()).zip(end("rate_end"));
    Some(Override {
        limit: word("limit")?,
        key: word("key")?,
        rate: rate.map(|(value, end)| Until { value, end }),
        ban: end("ban_end").map(|end| Until { value: (), end }),
    })
}

#[cfg(test)]
mod tests {
    use palisade_core::KeyHash;

    use super::*;

    #[test]
    fn what_is_kept_reads_the_same() {
        let end = |seconds| Utc::from_nanos(seconds * SECOND_NS);
        let rate = Until { value: Rate::parse("60/m burst 10").unwrap(), end: end(5) };
        let ban = Until { value: (), end: end(7) };
        let none = Override { limit: "api".into(), key: "user:a\"b".into(), rate: None, ban: None };
        for set in [Override { rate: Some(rate), ..none.clone() }, Override { ban: Some(ban), ..none.clone() }, none] {
            assert_eq!(from_text(&to_text(&set)), Some(set));
        }
        for text in ["", "[]", "{}", "{\"limit\":1,\"key\":2}"] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_is_read_while_nothing_is_set() {
        let current = Current::default();
        assert_eq!(current.load(), None);
        current.change(|set| *set = [(KeyHash(1), Override::default())].into_iter().collect());
        assert_eq!(current.load().unwrap().len(), 1);
        current.change(|set| *set = Overrides::default());
        assert_eq!(current.load(), None);
    }
}
