//! Time as an argument.
//!
//! Policies and stores never read a clock. The edge reads both clocks once per request and passes
//! them on as [`Now`]: the monotonic instant for durations and rates, UTC for calendars and logs.
//! A stepped wall clock therefore changes no rate.

use std::time::Duration;

/// Both clocks, read once per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For durations, rates and deadlines.
    pub monotonic: Monotonic,
    /// For calendars, logs and certificates.
    pub utc: Utc,
}

/// Nanoseconds since the process's clock began. Only differences mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Monotonic(u64);

/// Nanoseconds since the Unix epoch, good until the year 2554.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Utc(u64);

impl Monotonic {
    /// The instant `nanos` after the clock's beginning.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's beginning.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to here, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved by `by`, kept within the clock's range.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Utc {
    /// The instant `nanos` after the Unix epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}
