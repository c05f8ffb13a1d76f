//! How the shared store does, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::miss::Miss;

/// Upper bounds of the buckets of waiting times, in microseconds.
pub const WAIT_BOUNDS_US: [u64; 8] = [250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 100_000];

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Figures {
    waits: [AtomicU64; WAIT_BOUNDS_US.len() + 1],
    wait_us: AtomicU64,
    misses: [AtomicU64; Miss::ALL.len()],
}

/// How the shared store does.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Whether it is asked.
    pub state: State,
    /// Gateways that share it, as far as is known.
    pub gateways: u32,
    /// Answered calls by how long they took, each bucket without the others; the last has no bound.
    pub waits: [u64; WAIT_BOUNDS_US.len() + 1],
    /// How long they took together.
    pub waited: Duration,
    /// Calls without an answer, by why.
    pub misses: [(Miss, u64); Miss::ALL.len()],
    /// Why it is down, or was last.
    pub trouble: Option<Miss>,
    /// Whether it may forget counters, which are then full buckets.
    pub evicts: Evicts,
}

/// Whether the store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It answers.
    Up,
    /// It does not, and limits follow their `outage`.
    Down,
}

/// Whether a server may drop keys when its memory is used up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Evicts {
    /// It did not say: it was not asked yet, or the user may not ask.
    #[default]
    Unknown,
    /// It never does.
    Never,
    /// It does, by this policy.
    By(Box<str>),
}

impl Figures {
    pub(super) fn answered(&self, after: Duration) {
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        let bucket = WAIT_BOUNDS_US.iter().position(|bound| micros <= *bound).unwrap_or(WAIT_BOUNDS_US.len());
        if let Some(bucket) = self.waits.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.wait_us.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn missed(&self, miss: Miss) {
        let place = Miss::ALL.iter().position(|other| *other == miss);
        if let Some(count) = place.and_then(|place| self.misses.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn waits(&self) -> ([u64; WAIT_BOUNDS_US.len() + 1], Duration) {
        let waits = self.waits.each_ref().map(|count| count.load(Ordering::Relaxed));
        (waits, Duration::from_micros(self.wait_us.load(Ordering::Relaxed)))
    }

    pub(super) fn misses(&self) -> [(Miss, u64); Miss::ALL.len()] {
        let mut misses = Miss::ALL.map(|miss| (miss, 0));
        for ((_, sum), count) in misses.iter_mut().zip(&self.misses) {
            *sum = count.load(Ordering::Relaxed);
        }
        misses
    }
}
