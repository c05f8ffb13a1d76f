//! Counters as they are written down: on the wall clock.
//!
//! In memory an instant is one of the process's own clock, which means nothing to the next process.
//! Written down it is UTC, and whoever reads it moves it to its own clock again. Quotas end where the
//! calendar says, so they are written as they are.
//!
//! An instant from before the reader's clock began becomes its beginning. So a strike may count for
//! longer, never shorter, than it would have.

use super::ban::{AFTER_MAX, Standing};
use super::cell::Cell;
use crate::Now;

/// From one clock to another: the same instant on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    from: u64,
    to: u64,
}

/// Bytes of a standing: when its ban ends, how many there were, and when it was refused.
const STANDING_BYTES_MAX: usize = 9 + 8 * AFTER_MAX;

impl Shift {
    /// From this process's clock to the wall clock.
    pub const fn to_wall(now: Now) -> Self {
        Self { from: now.monotonic.as_nanos(), to: now.utc.as_nanos() }
    }

    /// From the wall clock to this process's.
    pub const fn from_wall(now: Now) -> Self {
        Self { from: now.utc.as_nanos(), to: now.monotonic.as_nanos() }
    }

    /// From a wall clock that said `from` to one that says `to`.
    pub const fn of_wall(from: u64, to: u64) -> Self {
        Self { from, to }
    }

    /// How far instants are moved, in nanoseconds.
    pub const fn by(self) -> i64 {
        // Clocks tell less than 292 years.
        self.to.wrapping_sub(self.from) as i64
    }

    const fn instant(self, at: u64) -> u64 {
        match at.checked_sub(self.from) {
            Some(ahead) => self.to.saturating_add(ahead),
            None => self.to.saturating_sub(self.from - at),
        }
    }
}

impl Cell {
    /// The same counter on the other clock.
    pub fn shifted(self, shift: Shift) -> Self {
        match self.as_window() {
            Some(_) => self,
            None if self == Self::EMPTY => self,
            None => Self::bucket(shift.instant(self.melt_off())),
        }
    }
}

impl Standing {
    /// The same standing on the other clock.
    pub fn shifted(&self, shift: Shift) -> Self {
        Self {
            strikes: self.strikes.iter().map(|strike| shift.instant(*strike)).collect(),
            until: if self.bans == 0 { 0 } else { shift.instant(self.until) },
            bans: self.bans,
        }
    }

    /// The bytes to write down.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(STANDING_BYTES_MAX);
        bytes.push(self.bans);
        bytes.extend_from_slice(&self.until.to_le_bytes());
        bytes.extend(self.strikes.iter().flat_map(|strike| strike.to_le_bytes()));
        bytes
    }

    /// What was written down; `None` if these bytes are no standing.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (bans, rest) = bytes.split_first()?;
        let (numbers, []) = rest.as_chunks::<8>() else { return None };
        let (until, strikes) = numbers.split_first()?;
        if strikes.len() > AFTER_MAX {
            return None;
        }
        let strikes = strikes.iter().map(|strike| u64::from_le_bytes(*strike)).collect();
        Some(Self { strikes, until: u64::from_le_bytes(*until), bans: *bans })
    }
}
