//! What is kept of a counter: one word that tells when it may be forgotten.
//!
//! A bucket is the instant at which all its debt will have melted. A quota is its window's end and
//! a count. Both tell their expiry without the limit they belong to, so that a table can give up
//! the counter nearest to nothing, and needs no timer for the others.

use super::quota::Calendar;
use crate::Now;

/// A counter as a word. The first bit tells which kind: 63 bits of nanoseconds on the monotonic
/// clock for a bucket; for a quota 3 bits of calendar, 28 bits of minutes and 32 bits of count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell(u64);

const WINDOW: u64 = 1 << 63;
const CALENDAR_SHIFT: u32 = 60;
const END_SHIFT: u32 = 32;
const END_MAX: u64 = (1 << 28) - 1;

/// Nanoseconds of a minute.
pub(super) const MINUTE_NS: u64 = 60_000_000_000;

impl Cell {
    /// Nothing was spent.
    pub const EMPTY: Self = Self(0);

    /// The cell that a table kept as this word.
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The word to keep.
    pub const fn word(self) -> u64 {
        self.0
    }

    /// A bucket whose debt melts off at this instant.
    pub(super) const fn bucket(melt_off: u64) -> Self {
        // 292 years after the clock began.
        Self(if melt_off < WINDOW { melt_off } else { WINDOW - 1 })
    }

    /// The instant at which a bucket's debt has melted; long past for anything else.
    pub(super) const fn melt_off(self) -> u64 {
        if self.0 & WINDOW == 0 { self.0 } else { 0 }
    }

    /// So many in the window that ends at this minute since the Unix epoch.
    pub(super) fn window(calendar: Calendar, end_min: u64, count: u32) -> Self {
        let calendar = u64::from(calendar.code()) << CALENDAR_SHIFT;
        Self(WINDOW | calendar | end_min.min(END_MAX) << END_SHIFT | u64::from(count))
    }

    /// Calendar, end in minutes and count of a quota; `None` for anything else.
    pub(super) fn as_window(self) -> Option<(Calendar, u64, u32)> {
        if self.0 & WINDOW == 0 {
            return None;
        }
        let calendar = Calendar::from_code((self.0 >> CALENDAR_SHIFT & 7) as u8)?;
        Some((calendar, self.0 >> END_SHIFT & END_MAX, self.0 as u32))
    }

    /// Nanoseconds until it is as good as empty; zero if it is.
    pub fn left(self, now: Now) -> u64 {
        match self.0 & WINDOW {
            0 => self.0.saturating_sub(now.monotonic.as_nanos()),
            _ => (self.0 >> END_SHIFT & END_MAX).saturating_mul(MINUTE_NS).saturating_sub(now.utc.as_nanos()),
        }
    }
}
