//! File descriptors: accepting stops before they run out.
//!
//! Connections to the application, logs, stores and the admin listener need descriptors too, and
//! without one an accepted request couldn't be forwarded. So a reserve is kept. The number of open
//! ones is sampled every second by the slow runtime; in between, accepted connections count down
//! what is left.

use std::fs;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rustix::process::{Resource, getrlimit};

/// Descriptors that accepting leaves to everything else.
const RESERVE: u64 = 32;

/// What is left for accepting.
#[derive(Debug)]
pub struct Descriptors {
    limit: u64,
    open: AtomicU64,
    left: AtomicI64,
}

impl Descriptors {
    /// With the limit of this process, and a first sample.
    pub fn of_process() -> Self {
        let descriptors = Self::with_limit(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX));
        descriptors.sample();
        descriptors
    }

    fn with_limit(limit: u64) -> Self {
        let left = AtomicI64::new(ceiling(limit));
        Self { limit, open: AtomicU64::new(0), left }
    }

    /// Counts the open descriptors. Called every second, never by a worker.
    pub fn sample(&self) {
        if let Some(open) = count() {
            self.open.store(open, Ordering::Relaxed);
            self.left.store(ceiling(self.limit).saturating_sub_unsigned(open), Ordering::Relaxed);
        }
    }

    /// Descriptors that the process may have open.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Descriptors open at the last sample.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether one more connection may be accepted.
    pub(crate) fn allow_accept(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn accepted(&self) {
        self.left.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Open descriptors at which accepting stops: 95 % of the limit, or the reserve if that is more.
fn ceiling(limit: u64) -> i64 {
    let share = limit / 20 * 19 + limit % 20 * 19 / 20;
    i64::try_from(share.min(limit.saturating_sub(RESERVE))).unwrap_or(i64::MAX)
}

fn count() -> Option<u64> {
    // Since Linux 6.2 the directory's size is the number of open descriptors.
    let path = "/proc/self/fd";
    match fs::metadata(path).ok()?.len() {
        0 => Some(fs::read_dir(path).ok()?.count() as u64),
        open => Some(open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_and_a_reserve_are_kept() {
        for (limit, expected) in
            [(256, 224), (640, 608), (1_000, 950), (65_536, 62_259), (32, 0), (10, 0), (u64::MAX, i64::MAX)]
        {
            assert_eq!(ceiling(limit), expected, "{limit}");
        }
    }

    #[test]
    fn accepting_counts_down_between_samples() {
        let descriptors = Descriptors::with_limit(34);
        descriptors.accepted();
        assert!(descriptors.allow_accept());
        descriptors.accepted();
        assert!(!descriptors.allow_accept());
    }

    #[test]
    fn this_process_has_descriptors_open() {
        let before = count().unwrap();
        let files: Vec<_> = (0..20).map(|_| fs::File::open("/proc/self/status").unwrap()).collect();
        assert!(count().unwrap() >= before + 10);
        drop(files);
    }
}
