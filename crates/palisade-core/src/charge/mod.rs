//! Charges in, verdicts out: how a policy reaches counters.
//!
//! A rate is the generic cell rate algorithm kept as one number, the *melt-off* instant: how far
//! in the future all debt will have melted. A charge of n units at T nanoseconds each is allowed
//! iff the debt after it is at most burst × T. Because debt is time, a changed rate keeps what was
//! used. The step is pure, so every backend executes the same arithmetic.

use std::time::Duration;

use arrayvec::ArrayVec;

/// At most this many charges are made by one policy for one request.
pub const CHARGES_MAX: usize = 16;

/// The longest time that a whole burst may take to refill: 31 days.
const BURST_NS_MAX: u128 = 31 * 86_400 * 1_000_000_000;

/// The charges of one policy for one request: all are made, or none.
pub type Charges = ArrayVec<Charge, CHARGES_MAX>;

/// A counter's key: a hash over the limit's name and the length-prefixed parts of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub u128);

/// One amount to be spent from one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Which bucket.
    pub key: KeyHash,
    /// Its size and refill.
    pub rate: Rate,
    /// Units to spend, at most the burst.
    pub cost: u32,
}

/// A bucket of `burst` units that refills evenly, one unit every `unit_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    window_ns: u64,
    burst: u32,
}

/// What the store says about one charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether this charge alone would fit.
    pub allowed: bool,
    /// Units left after the decision.
    pub remaining: u32,
    /// Until one more unit is there; `None` when the bucket is full.
    pub next_unit: Option<Duration>,
    /// Until this cost fits; zero when it was allowed.
    pub retry_after: Duration,
}

/// How much memory a table of counters may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableSize(u64);

impl TableSize {
    /// The smallest: 65,536 counters.
    pub const MIN: Self = Self(1 << 20);
    /// The largest.
    pub const MAX: Self = Self(16 << 30);

    /// `None` outside 1 MiB to 16 GiB.
    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes < Self::MIN.0 || bytes > Self::MAX.0 { None } else { Some(Self(bytes)) }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Default for TableSize {
    /// 64 MiB: four million counters. Pages that hold none cost nothing.
    fn default() -> Self {
        Self(64 << 20)
    }
}

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

    /// Decides one charge against a bucket whose debt melts off at `melt_off` (nanoseconds on the
    /// same clock as `now`). Gives the verdict and the melt-off instant if the charge is made.
    pub fn step(self, melt_off: u64, now: u64, cost: u32) -> (Verdict, u64) {
        let unit = self.unit_ns();
        // `new` bounds burst × unit to 31 days and a nanosecond per unit: nothing can overflow.
        let full = unit * u64::from(self.burst);
        let debt = melt_off.saturating_sub(now).min(full);
        let after = debt.saturating_add(unit.saturating_mul(u64::from(cost)));
        let allowed = after <= full;
        let kept = if allowed { after } else { debt };
        let remaining = (full - kept) / unit;
        let verdict = Verdict {
            allowed,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            next_unit: (kept > 0).then(|| Duration::from_nanos(kept + (remaining + 1) * unit - full)),
            retry_after: Duration::from_nanos(if allowed { 0 } else { after - full }),
        };
        (verdict, now.saturating_add(kept))
    }
}

#[cfg(test)]
mod tests;
