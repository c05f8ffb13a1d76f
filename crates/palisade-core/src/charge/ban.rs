//! Bans: who is refused again and again is refused for a while, and each time for longer.
//!
//! Kept on the monotonic clock: a wall clock that is set ends no ban.

use std::time::Duration;

use arrayvec::ArrayVec;

use super::Standoff;
use crate::Monotonic;

/// Of how many refusals a ban may be made.
pub const AFTER_MAX: usize = 16;
/// How many lengths a ban may have.
pub const LENGTHS_MAX: usize = 8;

/// So long without a ban, and the next one has the first length again: 7 days.
const FORGET_NS: u64 = 7 * 86_400 * 1_000_000_000;

/// When a ban begins, and how long it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanRule {
    after: u8,
    within_ns: u64,
    lengths_s: ArrayVec<u32, LENGTHS_MAX>,
}

/// How one key stands with its ban.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When it was refused, of late.
    pub(super) strikes: ArrayVec<u64, AFTER_MAX>,
    /// When the last ban ends, or did.
    pub(super) until: u64,
    /// How many there were.
    pub(super) bans: u8,
}

impl BanRule {
    /// The refusal that is number `after` within `within` starts a ban of the first length, the next
    /// one of the second, and so on; the last repeats. `None` without a length, or with more of
    /// anything than can be kept.
    pub fn new(after: usize, within: Duration, lengths: &[Duration]) -> Option<Self> {
        if after == 0 || after > AFTER_MAX || lengths.is_empty() || lengths.len() > LENGTHS_MAX {
            return None;
        }
        let lengths_s = lengths.iter().map(|length| u32::try_from(length.as_secs())).collect::<Result<_, _>>().ok()?;
        Some(Self { after: after as u8, within_ns: nanos(within), lengths_s })
    }

    /// Of how many refusals a ban is made.
    pub const fn after(&self) -> u8 {
        self.after
    }

    /// Within how many nanoseconds they have to come.
    pub const fn within_ns(&self) -> u64 {
        self.within_ns
    }

    /// How many seconds each ban lasts; the last repeats.
    pub fn lengths_s(&self) -> &[u32] {
        &self.lengths_s
    }

    fn length(&self, bans: u8) -> u64 {
        let length_s = self.lengths_s.get(usize::from(bans)).or(self.lengths_s.last());
        u64::from(length_s.copied().unwrap_or_default()) * 1_000_000_000
    }
}

impl Standing {
    /// One that is banned until then, of whom nothing else is known.
    pub fn banned(until: Monotonic) -> Self {
        Self { until: until.as_nanos(), bans: 1, ..Self::default() }
    }

    /// Whether a ban lasts.
    pub(super) fn ask(&self, now: u64) -> Standoff {
        match self.until.saturating_sub(now) {
            0 => Standoff::Clear,
            left => Standoff::Lasts(Duration::from_nanos(left)),
        }
    }

    /// Counts a refusal.
    pub(super) fn strike(&mut self, rule: &BanRule, now: u64) -> Standoff {
        let oldest = now.saturating_sub(rule.within_ns);
        self.strikes.retain(|strike| *strike >= oldest);
        if self.strikes.len() + 1 < usize::from(rule.after) {
            self.strikes.push(now);
            return Standoff::Clear;
        }
        if now.saturating_sub(self.until) >= FORGET_NS {
            self.bans = 0;
        }
        let length = rule.length(self.bans);
        self.strikes.clear();
        self.bans = self.bans.saturating_add(1);
        self.until = now.saturating_add(length);
        Standoff::Begins(Duration::from_nanos(length))
    }

    /// The instant from which nothing of it matters any more. `within_ns` is not known to who keeps
    /// it, so that a day stands for it: the longest.
    pub fn forgotten(&self) -> u64 {
        let banned = if self.bans == 0 { 0 } else { self.until.saturating_add(FORGET_NS) };
        let struck = self.strikes.last().map_or(0, |last| last.saturating_add(WITHIN_NS_MAX));
        banned.max(struck)
    }
}

/// The longest time within which refusals are counted together: a day.
const WITHIN_NS_MAX: u64 = 86_400 * 1_000_000_000;

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(WITHIN_NS_MAX)
}
