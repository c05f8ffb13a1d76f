//! The heartbeat of a runtime: that it still runs, and how late it runs what is due.
//!
//! `livez` compares the beats' ages; the lags are the histogram `palisade_runtime_lag_seconds`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use palisade_core::Monotonic;
use palisade_tower::clock;
use tokio::time::Instant;

/// The time between two beats.
pub const PERIOD: Duration = Duration::from_secs(1);

/// Upper bounds of the lag histogram; what is later goes to a last bucket without bound.
pub const LAG_BOUNDS: [Duration; 8] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(5),
];

/// One runtime's beats.
#[derive(Debug)]
pub struct Tick {
    last: AtomicU64,
    lags: [AtomicU64; LAG_BOUNDS.len() + 1],
    lag_nanos: AtomicU64,
}

impl Tick {
    /// Beating from now on.
    pub fn new(now: Monotonic) -> Self {
        Self {
            last: AtomicU64::new(now.as_nanos()),
            lags: [const { AtomicU64::new(0) }; LAG_BOUNDS.len() + 1],
            lag_nanos: AtomicU64::new(0),
        }
    }

    /// How long ago the last beat was.
    pub fn age(&self, now: Monotonic) -> Duration {
        now.since(Monotonic::from_nanos(self.last.load(Ordering::Relaxed)))
    }

    /// Beats in each bucket of lag, not cumulative.
    pub fn lags(&self) -> [u64; LAG_BOUNDS.len() + 1] {
        self.lags.each_ref().map(|bucket| bucket.load(Ordering::Relaxed))
    }

    /// The sum of all lags.
    pub fn lag_sum(&self) -> Duration {
        Duration::from_nanos(self.lag_nanos.load(Ordering::Relaxed))
    }

    /// Beats for as long as the runtime runs.
    pub async fn run(&self) {
        loop {
            let due = Instant::now() + PERIOD;
            tokio::time::sleep_until(due).await;
            self.beat(clock::monotonic(), due.elapsed());
        }
    }

    fn beat(&self, now: Monotonic, lag: Duration) {
        self.last.store(now.as_nanos(), Ordering::Relaxed);
        let place = LAG_BOUNDS.iter().position(|bound| lag <= *bound).unwrap_or(LAG_BOUNDS.len());
        if let Some(bucket) = self.lags.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.lag_nanos.fetch_add(u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_have_an_age_and_a_bucket() {
        let tick = Tick::new(Monotonic::from_nanos(0));
        let later = Monotonic::from_nanos(9_000_000_000);
        assert_eq!(tick.age(later), Duration::from_secs(9));
        tick.beat(Monotonic::from_nanos(8_000_000_000), Duration::from_millis(1));
        tick.beat(Monotonic::from_nanos(8_500_000_000), Duration::from_secs(6));
        assert_eq!(tick.age(later), Duration::from_millis(500));
        assert_eq!(tick.lags(), [1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(tick.lag_sum(), Duration::from_millis(6_001));
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtime_beats_once_per_period() {
        let tick = Tick::new(clock::monotonic());
        let _ = tokio::time::timeout(PERIOD * 3 + PERIOD / 2, tick.run()).await;
        assert_eq!(tick.lags().iter().sum::<u64>(), 3);
    }
}
