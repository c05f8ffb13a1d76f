//! A bucket that refills evenly: the generic cell rate algorithm kept as one number.
//!
//! That number is *debt*, in nanoseconds: how long until everything that was spent will have
//! refilled. It melts as time passes. A charge of n units at T nanoseconds each is allowed iff the
//! debt after it is at most burst × T. Because debt is time, a changed rate keeps what was used.

use std::fmt;
use std::time::Duration;

use super::{Fit, HELD_WAIT, Verdict};

/// A bucket of `burst` units that refills evenly, one unit every `unit_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    window_ns: u64,
    burst: u32,
}

/// The longest time that a whole burst may take to refill: 31 days.
const BURST_NS_MAX: u128 = 31 * 86_400 * 1_000_000_000;

impl Rate {
    /// `count` per `window`, at most `burst` at once. `None` if a part is zero, a unit would be
    /// shorter than a microsecond, or the whole burst longer than 31 days.
    pub fn new(count: u32, window: Duration, burst: u32) -> Option<Self> {
        let window_ns = u64::try_from(window.as_nanos()).ok()?;
        if count == 0 || burst == 0 || window_ns == 0 {
            return None;
        }
        let rate = Self { count, window_ns, burst };
        // Before a unit is rounded up: `7/31d` is 31 days long, not a few nanoseconds more.
        let fits = u128::from(window_ns) * u128::from(burst) <= BURST_NS_MAX * u128::from(count);
        (rate.unit_ns() >= 1_000 && fits).then_some(rate)
    }

    /// Nanoseconds until one unit has refilled, rounded up: never looser than configured.
    pub const fn unit_ns(self) -> u64 {
        self.window_ns.div_ceil(self.count as u64)
    }

    /// Units per window.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Units at once.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The window.
    pub const fn window(self) -> Duration {
        Duration::from_nanos(self.window_ns)
    }

    /// This rate and burst `factor` times over, as ladders of address prefixes need it.
    pub fn times(self, factor: u32) -> Option<Self> {
        Self::new(self.count.checked_mul(factor)?, self.window(), self.burst.checked_mul(factor)?)
    }

    /// Debt of a full burst.
    const fn full(self) -> u64 {
        // `new` bounds burst × unit to 31 days and a nanosecond per unit: nothing can overflow.
        self.unit_ns() * self.burst as u64
    }

    /// The most that may be owed.
    const fn debt_max(self, reserves: Reserves) -> u64 {
        match reserves {
            Reserves::No => self.full(),
            Reserves::Yes => self.full() * 2,
        }
    }

    /// The debt of a bucket that melts off at `melt_off`. What a reservation turned out to cost may
    /// go beyond the burst by another one; anything else is cut to it, should the rate have changed.
    fn debt(self, melt_off: u64, now: u64, reserves: Reserves) -> u64 {
        melt_off.saturating_sub(now).min(self.debt_max(reserves))
    }

    /// The melt-off instant of a bucket that owes more than it may, cut to that; `None` if it owes no more.
    pub(super) fn cut(self, melt_off: u64, now: u64, reserves: Reserves) -> Option<u64> {
        let max = self.debt_max(reserves);
        (melt_off.saturating_sub(now) > max).then(|| now.saturating_add(max))
    }

    /// Decides a charge of `amount` beside `pending` reserved units. Gives the verdict, and the
    /// melt-off instant as it was, with the debt cut to what the bucket may have.
    pub(super) fn decide(self, melt_off: u64, now: u64, ask: Ask) -> (Verdict, u64) {
        let Ask { amount, pending, reserves } = ask;
        let (unit, full) = (self.unit_ns(), self.full());
        let debt = self.debt(melt_off, now, reserves);
        let reserved = unit.saturating_mul(u64::from(pending));
        let cost = unit.saturating_mul(u64::from(amount));
        let spent = debt.saturating_add(cost);
        let (fit, retry_after) = match (spent <= full, spent.saturating_add(reserved) <= full) {
            (true, true) => (Fit::Fits, Duration::ZERO),
            (true, false) => (Fit::Reserved, HELD_WAIT),
            (false, _) => (Fit::Spent, Duration::from_nanos(spent - full)),
        };
        let taken = debt.saturating_add(reserved).saturating_add(if fit == Fit::Fits { cost } else { 0 });
        let remaining = full.saturating_sub(taken) / unit;
        let next = taken.saturating_add((remaining + 1) * unit).saturating_sub(full);
        let verdict = Verdict {
            fit,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            next_unit: (taken > 0).then(|| Duration::from_nanos(next)),
            retry_after,
        };
        (verdict, now.saturating_add(debt))
    }

    /// The melt-off instant after `amount` more was spent at `at`.
    pub(super) fn spend(self, melt_off: u64, at: u64, amount: u32, reserves: Reserves) -> u64 {
        let debt = self.debt(melt_off, at, Reserves::Yes);
        let after = debt.saturating_add(self.unit_ns().saturating_mul(u64::from(amount)));
        at.saturating_add(after.min(self.debt_max(reserves)))
    }
}

impl fmt::Display for Rate {
    /// As the configuration has it: `5/10m`, `60/m burst 10`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.window().as_secs();
        let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        let (number, unit) = units
            .into_iter()
            .find(|(length, _)| seconds > 0 && seconds.is_multiple_of(*length))
            .map_or((seconds, "s"), |(length, unit)| (seconds / length, unit));
        write!(f, "{}/", self.count)?;
        if number != 1 {
            write!(f, "{number}")?;
        }
        f.write_str(unit)?;
        if self.burst == self.count { Ok(()) } else { write!(f, " burst {}", self.burst) }
    }
}

/// What is asked of a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) amount: u32,
    pub(super) pending: u32,
    pub(super) reserves: Reserves,
}

/// Whether charges are reserved, so that they may turn out to cost more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserves {
    No,
    Yes,
}
