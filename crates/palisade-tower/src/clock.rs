//! The only place that reads the clocks of a request.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use palisade_core::{Monotonic, Now, Utc};

/// Both clocks now. The edge calls this once when a request's head is complete.
pub fn now() -> Now {
    Now { monotonic: monotonic(), utc: utc() }
}

/// The monotonic clock alone, for durations within a request.
pub fn monotonic() -> Monotonic {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    let elapsed = BEGINNING.get_or_init(Instant::now).elapsed();
    Monotonic::from_nanos(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}

fn utc() -> Utc {
    // A clock before 1970 is a machine without a clock: its records start at the epoch.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Utc::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
