//! Numbers that one thread writes and others read.
//!
//! Each worker has cells of its own, so an addition is a load and a store without a locked
//! instruction, and two workers never write to one line of cache. A scrape reads and adds up.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// A number that only its owner changes.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds, in the thread that owns the cell.
    pub(crate) fn add(&self, by: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    /// What it is now.
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many bounds a histogram has; beyond the last lies one more bucket.
pub(crate) const BOUNDS: usize = 12;

/// Upper bounds of a histogram's buckets.
#[derive(Debug)]
pub(crate) struct Bounds {
    nanos: [u64; BOUNDS],
    /// In seconds, in the canonical form of OpenMetrics.
    pub(crate) text: [&'static str; BOUNDS],
}

/// What a person notices.
pub(crate) static REQUEST: Bounds = Bounds {
    nanos: [
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        500_000_000,
        1_000_000_000,
        2_500_000_000,
        5_000_000_000,
        10_000_000_000,
        30_000_000_000,
    ],
    text: ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0"],
};

/// What a machine adds.
pub(crate) static MACHINE: Bounds = Bounds {
    nanos: [
        10_000,
        25_000,
        50_000,
        100_000,
        250_000,
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        50_000_000,
        100_000_000,
    ],
    text: [
        "1e-05", "2.5e-05", "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.05", "0.1",
    ],
};

/// Durations by size.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static Bounds,
    buckets: [Counter; BOUNDS + 1],
    sum_ns: Counter,
}

impl Histogram {
    /// An empty one.
    pub(crate) fn new(bounds: &'static Bounds) -> Self {
        Self { bounds, buckets: Default::default(), sum_ns: Counter::default() }
    }

    /// Counts a duration, in the thread that owns the cell.
    pub(crate) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.bounds.nanos.partition_point(|bound| *bound < nanos);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.add(1);
        }
        self.sum_ns.add(nanos);
    }
}

/// Histograms of several workers, added up. The buckets are the only count, so that a scrape in the
/// middle of an observation still prints a histogram that adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) buckets: [u64; BOUNDS + 1],
    pub(crate) nanos: u128,
}

impl Sum {
    /// Adds one worker's.
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.read();
        }
        self.nanos += u128::from(histogram.sum_ns.read());
    }
}

/// Places that are filled one after the other and never emptied, read without a lock.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    chunks: Box<[OnceLock<Chunk<T>>]>,
}

#[derive(Debug)]
struct Chunk<T>(Box<[OnceLock<T>]>);

const CHUNK: usize = 256;

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: std::iter::repeat_with(OnceLock::new).take(CHUNK).collect() }
    }

    /// What is at a place.
    pub(crate) fn find(&self, place: usize) -> Option<&T> {
        self.chunks.get(place / CHUNK)?.get()?.0.get(place % CHUNK)?.get()
    }

    /// What is at a place, made on first use. `None` beyond the last place.
    pub(crate) fn fill(&self, place: usize, make: impl FnOnce() -> T) -> Option<&T> {
        let chunk = self.chunks.get(place / CHUNK)?;
        let chunk = chunk.get_or_init(|| Chunk(std::iter::repeat_with(OnceLock::new).take(CHUNK).collect()));
        Some(chunk.0.get(place % CHUNK)?.get_or_init(make))
    }
}

/// Cells by a name from a closed set: servers, limits, results. Beyond `MAX` names the last cell
/// is `other`, should the set turn out not to be closed.
#[derive(Debug)]
pub(crate) struct Named<T> {
    slots: [OnceLock<(Box<str>, T)>; NAMES],
    used: AtomicUsize,
}

const NAMES: usize = 128;

impl<T: Default> Named<T> {
    pub(crate) fn new() -> Self {
        Self { slots: [const { OnceLock::new() }; NAMES], used: AtomicUsize::new(0) }
    }

    /// The cell called `name`, in the thread that owns the cells.
    pub(crate) fn cell(&self, name: &str) -> Option<&T> {
        let used = self.used.load(Ordering::Relaxed);
        if let Some((_, cell)) = self.iter().find(|(known, _)| *known == name) {
            return Some(cell);
        }
        let last = self.slots.len() - 1;
        let name = if used < last { name } else { "other" };
        let (_, cell) = self.slots.get(used.min(last))?.get_or_init(|| (name.into(), T::default()));
        self.used.store((used + 1).min(last), Ordering::Relaxed);
        Some(cell)
    }

    /// All cells in use.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.slots.iter().map_while(OnceLock::get).map(|(name, cell)| (&**name, cell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::new(&REQUEST);
        for millis in [0, 5, 6, 30_000, 30_001] {
            histogram.observe(Duration::from_millis(millis));
        }
        let mut sum = Sum::default();
        sum.add(&histogram);
        assert_eq!(sum.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(sum.nanos, 60_012_000_000);
    }

    #[test]
    fn bounds_are_printed_as_they_are_counted() {
        for bounds in [&REQUEST, &MACHINE] {
            for (nanos, text) in bounds.nanos.iter().zip(bounds.text) {
                assert!((text.parse::<f64>().unwrap() * 1e9 - *nanos as f64).abs() < 0.5, "{text}");
            }
            assert!(bounds.nanos.is_sorted());
        }
    }

    #[test]
    fn names_beyond_the_last_place_are_other() {
        let named = Named::<Counter>::new();
        for round in 0..2 {
            for name in 0..200 {
                named.cell(&format!("server-{name}")).unwrap().add(1);
            }
            assert_eq!(named.cell("server-3").unwrap().read(), round + 1);
        }
        let all: Vec<_> = named.iter().collect();
        assert_eq!(all.len(), NAMES);
        assert_eq!((all[NAMES - 1].0, all[NAMES - 1].1.read()), ("other", 2 * (200 - (NAMES as u64 - 1))));
    }

    #[test]
    fn slots_end_somewhere() {
        let slots = Slots::new();
        assert_eq!(slots.find(65_535), None);
        assert_eq!(slots.fill(65_535, || 7), Some(&7));
        assert_eq!(slots.find(65_535), Some(&7));
        assert_eq!(slots.fill(65_536, || 7), None);
    }
}
