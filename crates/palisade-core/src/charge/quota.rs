//! A count per calendar window, in UTC.
//!
//! A window ends where the calendar says, not a while after its first request. A wall clock that is
//! set back never brings an earlier window back: what was counted stays counted until the end that
//! was told.

use std::fmt;
use std::time::Duration;

use super::cell::{Cell, MINUTE_NS};
use super::{Fit, HELD_WAIT, Verdict};
use crate::Utc;

/// So many per calendar window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    count: u32,
    per: Calendar,
}

/// A kind of calendar window. Weeks begin on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Calendar {
    /// From second 0 to second 0.
    Minute,
    /// From minute 0 to minute 0.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first to the first.
    Month,
}

/// Minutes of a day.
const DAY_MIN: u64 = 24 * 60;

impl Quota {
    /// `None` for a count of zero.
    pub const fn new(count: u32, per: Calendar) -> Option<Self> {
        if count == 0 { None } else { Some(Self { count, per }) }
    }

    /// Units per window.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// The kind of window.
    pub const fn per(self) -> Calendar {
        self.per
    }

    /// Days of 400 years, after which the calendar begins again.
    pub const PACE_DAYS: u128 = 146_097;

    /// Its place among quotas: units of an average day, times [`Self::PACE_DAYS`], so that nothing is
    /// lost. The smaller, the stricter.
    pub fn pace(self) -> u128 {
        const DAYS: u128 = Quota::PACE_DAYS;
        let windows = match self.per {
            Calendar::Minute => DAYS * 1_440,
            Calendar::Hour => DAYS * 24,
            Calendar::Day => DAYS,
            Calendar::Week => DAYS / 7,
            Calendar::Month => 4_800,
        };
        u128::from(self.count) * windows
    }

    /// End of the window in minutes and what was counted in it.
    fn used(self, cell: Cell, utc: Utc) -> (u64, u32) {
        let (_, end) = self.per.window(utc);
        match cell.as_window() {
            // The clock was set back: the later window goes on.
            Some((per, known, count)) if per == self.per && known >= end => (known, count),
            // A longer window was configured: what was used in a part of it stays used. Of a longer one
            // before nobody knows what belongs to this one.
            Some((per, known, count)) if per < self.per && known.saturating_mul(MINUTE_NS) > utc.as_nanos() => {
                (end, count)
            }
            Some(_) | None => (end, 0),
        }
    }

    /// Decides a charge of `amount` beside `pending` reserved units.
    pub(super) fn decide(self, cell: Cell, utc: Utc, amount: u32, pending: u32) -> Verdict {
        let (end, count) = self.used(cell, utc);
        let max = u64::from(self.count);
        let spent = u64::from(count) + u64::from(amount);
        let reserved = u64::from(pending);
        let ends = Duration::from_nanos(end.saturating_mul(MINUTE_NS).saturating_sub(utc.as_nanos()));
        let (fit, retry_after) = match (spent <= max, spent + reserved <= max) {
            (true, true) => (Fit::Fits, Duration::ZERO),
            (true, false) => (Fit::Reserved, HELD_WAIT),
            (false, _) => (Fit::Spent, ends),
        };
        let taken = u64::from(count) + reserved + if fit == Fit::Fits { u64::from(amount) } else { 0 };
        Verdict {
            fit,
            remaining: u32::try_from(max.saturating_sub(taken)).unwrap_or(u32::MAX),
            next_unit: Some(ends),
            retry_after,
        }
    }

    /// The cell after `amount` more was spent: at most twice the quota.
    pub(super) fn spend(self, cell: Cell, utc: Utc, amount: u32) -> Cell {
        let (end, count) = self.used(cell, utc);
        let max = self.count.saturating_mul(2);
        Cell::window(self.per, end, count.saturating_add(amount).min(max))
    }
}

impl fmt::Display for Quota {
    /// As the configuration has it: `200 per day`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", self.count, self.per.name())
    }
}

impl Calendar {
    /// All of them, the shortest first.
    pub const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Length of the window that `utc` is in.
    pub fn length(self, utc: Utc) -> Duration {
        let (start, end) = self.window(utc);
        Duration::from_secs((end - start) * 60)
    }

    /// Beginning and end of the window that `utc` is in, in minutes since the Unix epoch.
    pub(super) fn window(self, utc: Utc) -> (u64, u64) {
        let minute = utc.as_nanos() / MINUTE_NS;
        let day = minute / DAY_MIN;
        let of = |length: u64| (minute - minute % length, minute - minute % length + length);
        match self {
            Self::Minute => of(1),
            Self::Hour => of(60),
            Self::Day => of(DAY_MIN),
            Self::Week => {
                // The epoch was a Thursday, three days after a Monday.
                let start = (day + 3) / 7 * 7;
                (start.saturating_sub(3) * DAY_MIN, (start + 4) * DAY_MIN)
            }
            Self::Month => {
                let (start, length) = month(day);
                (start * DAY_MIN, (start + length) * DAY_MIN)
            }
        }
    }

    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|calendar| calendar.code() == code)
    }
}

/// First day and length of the month that a day since the Unix epoch is in.
fn month(day: u64) -> (u64, u64) {
    // Years counted from March, so that the leap day is the last one: 153 days are five months.
    // http://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let shifted = day + 719_468;
    let of_era = shifted % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let start = (153 * month + 2) / 5;
    let of_month = of_year - start;
    // From March on: 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, then February.
    let length = match month {
        11 if is_leap(year + 1) => 29,
        11 => 28,
        _ => (153 * (month + 1) + 2) / 5 - start,
    };
    (day - of_month, length)
}

/// Whether a year of an era has a leap day.
const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}
