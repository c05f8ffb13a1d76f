//! Whether the server is asked at all.
//!
//! Three misses in a row, and nobody waits any more: a store that is away must not cost each request
//! its deadline. Whoever probes then closes it with one success.

use std::sync::atomic::{AtomicU32, Ordering};

use super::miss::Miss;

/// So many misses in a row.
const MISSES: u32 = 3;

/// Counts misses in a row. Begins closed, so that the first request asks.
#[derive(Debug, Default)]
pub(super) struct Breaker(AtomicU32);

impl Breaker {
    /// Whether the server may be asked.
    pub(super) fn ask(&self) -> Result<(), Miss> {
        if self.0.load(Ordering::Relaxed) < MISSES { Ok(()) } else { Err(Miss::Open) }
    }

    /// The server answered.
    pub(super) fn success(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// It did not. Calls that were turned away here say nothing about it.
    pub(super) fn miss(&self, miss: Miss) {
        if miss != Miss::Open {
            let more = |misses: u32| Some(misses.saturating_add(1));
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_misses_in_a_row_open_it_and_a_success_closes_it() {
        let breaker = Breaker::default();
        for _ in 0..2 {
            breaker.miss(Miss::Timeout);
        }
        breaker.success();
        for _ in 0..2 {
            breaker.miss(Miss::Timeout);
        }
        assert_eq!(breaker.ask(), Ok(()));
        breaker.miss(Miss::Error);
        assert_eq!(breaker.ask(), Err(Miss::Open));
        breaker.miss(Miss::Open);
        breaker.success();
        assert_eq!(breaker.ask(), Ok(()));
    }
}
