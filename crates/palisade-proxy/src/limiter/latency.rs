//! What the application's latency says about its load.
//!
//! A latency means nothing by itself: a page takes 50 ms, an upload five seconds. So each class of
//! requests (its route) is compared with its own smallest latency of the last sixty seconds. And
//! one slow answer means nothing either: a window of answers is judged by its faster quarter,
//! which slows down only when everybody waits.

use std::time::Duration;

use arrayvec::ArrayVec;
use palisade_core::Monotonic;

/// Six slices of ten seconds make the sixty.
const SLICES: usize = 6;
const SLICE: u64 = 10_000_000_000;

/// A delay of less than this is noise, not a queue.
const SLACK: u64 = 3_000_000;

/// A window ends after this time, once it has enough samples to be judged.
const WINDOW: Duration = Duration::from_millis(100);
const SAMPLES_MIN: usize = 10;
const SAMPLES_MAX: usize = 64;

/// The smallest latency of each class.
#[derive(Debug, Default)]
pub(super) struct Baselines(Vec<Baseline>);

#[derive(Clone, Copy, Debug)]
struct Baseline {
    /// Which slice of time was written last.
    slice: u64,
    smallest: [u64; SLICES],
}

/// Latencies of one stretch of time.
#[derive(Debug, Default)]
pub(super) struct Window {
    opened: Option<Monotonic>,
    samples: ArrayVec<f32, SAMPLES_MAX>,
}

impl Baselines {
    /// Notes a latency and says how it compares with twice the smallest one: above 1, it is slow.
    pub(super) fn compare(&mut self, class: u16, latency: Duration, now: Monotonic) -> f32 {
        let latency = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(1);
        let place = usize::from(class);
        if self.0.len() <= place {
            self.0.resize(place + 1, Baseline { slice: 0, smallest: [u64::MAX; SLICES] });
        }
        let Some(baseline) = self.0.get_mut(place) else { return 1.0 };
        let smallest = baseline.note(latency, now.as_nanos() / SLICE);
        let slow = smallest.saturating_mul(2).max(smallest.saturating_add(SLACK));
        latency as f32 / slow as f32
    }
}

impl Baseline {
    fn note(&mut self, latency: u64, slice: u64) -> u64 {
        // Slices in which nothing was noted hold what is older than a minute.
        for stale in (self.slice + 1).max(slice.saturating_sub(SLICES as u64 - 1))..=slice {
            if let Some(smallest) = self.smallest.get_mut((stale % SLICES as u64) as usize) {
                *smallest = u64::MAX;
            }
        }
        self.slice = self.slice.max(slice);
        if let Some(smallest) = self.smallest.get_mut((slice % SLICES as u64) as usize) {
            *smallest = latency.min(*smallest);
        }
        self.smallest.iter().copied().min().unwrap_or(latency)
    }
}

impl Window {
    /// Adds a comparison; gives the window's verdict when that ends it, above 1 if it was slow.
    pub(super) fn add(&mut self, slowness: f32, now: Monotonic) -> Option<f32> {
        let opened = *self.opened.get_or_insert(now);
        // A full window keeps its first samples: they are as good as any.
        let _ = self.samples.try_push(slowness);
        if now.since(opened) < WINDOW || self.samples.len() < SAMPLES_MIN {
            return None;
        }
        let quarter = self.samples.len() / 4;
        let (_, verdict, _) = self.samples.select_nth_unstable_by(quarter, f32::total_cmp);
        let verdict = *verdict;
        self.clear();
        Some(verdict)
    }

    /// Forgets what was added.
    pub(super) fn clear(&mut self) {
        self.samples.clear();
        self.opened = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_nanos(seconds * 1_000_000_000)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn slow_is_more_than_twice_the_smallest_of_a_minute() {
        let mut baselines = Baselines::default();
        assert!(baselines.compare(3, millis(100), at(100)) < 1.0);
        assert_eq!(baselines.compare(3, millis(200), at(101)), 1.0);
        assert!(baselines.compare(3, millis(201), at(149)) > 1.0);
        // After a minute only what was seen since then counts.
        assert!(baselines.compare(3, millis(400), at(161)) <= 1.0);
        // Another class has its own.
        assert!(baselines.compare(0, millis(900), at(161)) < 1.0);
    }

    #[test]
    fn a_delay_of_less_than_three_milliseconds_is_noise() {
        let mut baselines = Baselines::default();
        baselines.compare(0, Duration::from_micros(100), at(0));
        assert!(baselines.compare(0, millis(3), at(0)) < 1.0);
        assert!(baselines.compare(0, millis(4), at(0)) > 1.0);
    }

    #[test]
    fn a_window_is_judged_by_its_faster_quarter() {
        let mut window = Window::default();
        for number in 0u8..30 {
            let now = Monotonic::from_nanos(u64::from(number) * 4_000_000);
            let verdict = window.add(f32::from(number), now);
            assert_eq!(verdict, (number == 25).then_some(6.0), "{number}");
        }
    }

    #[test]
    fn a_window_waits_for_enough_samples() {
        let mut window = Window::default();
        let verdicts = (0..10).map(|second| window.add(2.0, at(second)));
        assert_eq!(verdicts.flatten().collect::<Vec<_>>(), [2.0]);
    }
}
