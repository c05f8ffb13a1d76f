//! Refusals that need not be asked for again.
//!
//! A bucket that is used up stays so until it has refilled: who loops against it is told so without a
//! call for as long as that takes, at most a second, because another gateway may reset the counter or
//! the configuration may change.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palisade_core::charge::Fit;
use palisade_core::{Bound, Charge, KeyHash, Monotonic, Now, Spend, Verdict};

/// The longest memory.
const LIFE_MAX: Duration = Duration::from_secs(1);

/// At most this many counters. A flood of more keys than that in a second asks the server.
const KEYS_MAX: usize = 65_536;

/// Counters that are known to refuse.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Until when each of them refuses.
    keys: HashMap<KeyHash, Monotonic>,
    /// When those that have ended were last thrown away.
    purged: Monotonic,
}

impl Memo {
    /// Remembers a refusal. Reservations and slots may be free at any time, so theirs are not.
    pub(super) fn note(&self, charge: &Charge, verdict: &Verdict, now: Now) {
        if !is_plain(charge) || verdict.fit != Fit::Spent {
            return;
        }
        let mut refusing = self.lock();
        let Known { keys, purged } = &mut *refusing;
        if keys.len() >= KEYS_MAX && now.monotonic.since(*purged) >= LIFE_MAX {
            keys.retain(|_, until| *until > now.monotonic);
            *purged = now.monotonic;
        }
        if keys.len() < KEYS_MAX {
            keys.insert(charge.key, now.monotonic.plus(verdict.retry_after.min(LIFE_MAX)));
        }
    }

    /// Whether one of these charges is known to be refused.
    pub(super) fn refuses(&self, charges: &[Charge], now: Now) -> Refuses {
        let refusing = self.lock();
        let known = |charge: &Charge| refusing.keys.get(&charge.key).is_some_and(|until| *until > now.monotonic);
        if !refusing.keys.is_empty() && charges.iter().any(|charge| is_plain(charge) && known(charge)) {
            Refuses::Known
        } else {
            Refuses::Unknown
        }
    }

    /// Forgets what is known of a counter.
    pub(super) fn forget(&self, key: KeyHash) {
        self.lock().keys.remove(&key);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refuses {
    Known,
    Unknown,
}

fn is_plain(charge: &Charge) -> bool {
    match (charge.bound, charge.spend) {
        (Bound::Rate(_) | Bound::Quota(_), Spend::Now) => true,
        (Bound::Slots(_), _) | (_, Spend::Reserve { .. }) => false,
    }
}
