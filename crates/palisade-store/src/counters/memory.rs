//! Counters in this process: one table of fixed size, allocated once.
//!
//! A key's hash picks a stripe, a bucket in it and a tag; the stripe's lock owns its cells, so that
//! no counter can be touched without it. A step that needs several stripes locks them in ascending
//! order, all before it reads: it is exact under parallel use and can't deadlock. Pages nobody
//! wrote to cost no memory, and a flood of keys can't make the table grow.
//!
//! 256 stripes are enough for two threads to meet rarely, and few enough for the locks to stay in
//! a core's own cache beside the cells.

use std::sync::{Mutex, MutexGuard, PoisonError};

use arrayvec::ArrayVec;
use palisade_core::charge::{CHARGES_MAX, TableSize};
use palisade_core::{Charge, KeyHash, Monotonic, Verdict};

use super::Verdicts;
use super::bucket::{Bucket, CELLS, Placed, WORDS};
use crate::StoreError;

/// A power of two, so that a stripe is some bits of the hash.
const STRIPES: usize = 256;
const BUCKET_BYTES: usize = WORDS * size_of::<u64>();

/// The table.
#[derive(Debug)]
pub struct Table {
    stripes: Box<[Stripe]>,
    buckets_per_stripe: u64,
}

/// Aligned so that two locks never share a line of cache.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe(Mutex<Cells>);

#[derive(Debug)]
struct Cells {
    words: Box<[u64]>,
    /// The first word that lies on a boundary of 128 bytes.
    first: usize,
    used: u64,
    evictions: u64,
}

/// How full the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Cells in all.
    pub cells: u64,
    /// Cells that hold a counter, melted or not.
    pub used: u64,
    /// Live counters that gave way to others since the start.
    pub evictions: u64,
}

/// Where a key's counter is.
#[derive(Clone, Copy)]
struct Place {
    stripe: usize,
    bucket: usize,
    tag: u64,
}

/// The locks of one step.
struct Held<'a>(ArrayVec<(usize, MutexGuard<'a, Cells>), CHARGES_MAX>);

impl Table {
    /// An empty table of this size.
    pub fn new(size: TableSize) -> Self {
        let buckets = size.bytes() / (STRIPES * BUCKET_BYTES) as u64;
        let words = usize::try_from(buckets).unwrap_or(usize::MAX).saturating_mul(WORDS);
        let stripes = (0..STRIPES).map(|_| Stripe(Mutex::new(Cells::new(words)))).collect();
        Self { stripes, buckets_per_stripe: buckets }
    }

    /// Makes all of `charges`, or none of them. Never waits for anything but another such step.
    pub fn take(&self, charges: &[Charge], now: Monotonic) -> Result<Verdicts, StoreError> {
        if charges.len() > CHARGES_MAX {
            return Err(StoreError::TooManyCharges { asked: charges.len() });
        }
        let now = now.as_nanos();
        let places: ArrayVec<Place, CHARGES_MAX> = charges.iter().map(|charge| self.place(charge.key)).collect();
        let mut held = self.hold(&places);

        let mut steps: ArrayVec<(Verdict, u64), CHARGES_MAX> = ArrayVec::new();
        for (at, (charge, &place)) in charges.iter().zip(&places).enumerate() {
            // A key charged twice in one step sees its own first charge.
            let earlier = charges.iter().zip(&steps).take(at).rev().find(|(other, _)| other.key == charge.key);
            let melt_off = match earlier {
                Some((_, &(_, after))) => after,
                None => held.melt_off(place),
            };
            steps.push(charge.rate.step(melt_off, now, charge.cost));
        }

        if steps.iter().all(|(verdict, _)| verdict.allowed) {
            for (&place, &(_, after)) in places.iter().zip(&steps) {
                held.put(place, after, now);
            }
            return Ok(steps.into_iter().map(|(verdict, _)| verdict).collect());
        }
        // Refusing writes nothing; what would have fit is told as it stays, uncharged.
        let told = charges.iter().zip(&places).zip(steps).map(|((charge, &place), (verdict, _))| {
            if verdict.allowed { charge.rate.step(held.melt_off(place), now, 0).0 } else { verdict }
        });
        Ok(told.collect())
    }

    /// How full the table is.
    pub fn fill(&self) -> Fill {
        let cells = self.buckets_per_stripe * (self.stripes.len() * CELLS) as u64;
        self.stripes.iter().map(Stripe::lock).fold(Fill { cells, used: 0, evictions: 0 }, |fill, stripe| Fill {
            used: fill.used + stripe.used,
            evictions: fill.evictions + stripe.evictions,
            ..fill
        })
    }

    /// The lower half of the hash picks stripe (its last bits) and bucket (its first bits), the
    /// upper half is the tag. Zero marks an empty cell, so no key has it.
    fn place(&self, key: KeyHash) -> Place {
        let low = key.0 as u64;
        let bucket = (u128::from(low) * u128::from(self.buckets_per_stripe)) >> 64;
        Place { stripe: low as usize % STRIPES, bucket: bucket as usize, tag: ((key.0 >> 64) as u64).max(1) }
    }

    /// Locks the stripes of `places`, in ascending order.
    fn hold(&self, places: &[Place]) -> Held<'_> {
        let mut order: ArrayVec<usize, CHARGES_MAX> = places.iter().map(|place| place.stripe).collect();
        order.sort_unstable();
        let mut held = ArrayVec::new();
        let mut last = None;
        for stripe in order {
            if last.replace(stripe) != Some(stripe)
                && let Some(lock) = self.stripes.get(stripe)
            {
                held.push((stripe, lock.lock()));
            }
        }
        Held(held)
    }
}

impl Stripe {
    /// A thread that panicked while it held the lock left whole cells behind, since a cell is
    /// written by plain stores: go on.
    fn lock(&self) -> MutexGuard<'_, Cells> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cells {
    fn new(words: usize) -> Self {
        // Zeroed by the allocator, so that pages stay untouched. It aligns to 16 bytes, a bucket
        // wants 128: some words more, and buckets begin at the first boundary.
        let words = vec![0; words.saturating_add(WORDS)].into_boxed_slice();
        let first = words.as_ptr().align_offset(BUCKET_BYTES).min(WORDS);
        Self { words, first, used: 0, evictions: 0 }
    }

    fn bucket(&mut self, bucket: usize) -> Option<Bucket<'_>> {
        let start = self.first + bucket * WORDS;
        self.words.get_mut(start..start + WORDS).map(Bucket::new)
    }
}

impl Held<'_> {
    fn cells(&mut self, stripe: usize) -> Option<&mut Cells> {
        self.0.iter_mut().find(|(held, _)| *held == stripe).map(|(_, cells)| &mut **cells)
    }

    fn bucket(&mut self, place: Place) -> Option<Bucket<'_>> {
        self.cells(place.stripe)?.bucket(place.bucket)
    }

    fn melt_off(&mut self, place: Place) -> u64 {
        self.bucket(place).map_or(0, |bucket| bucket.melt_off(place.tag))
    }

    fn put(&mut self, place: Place, melt_off: u64, now: u64) {
        let Some(cells) = self.cells(place.stripe) else { return };
        let placed = cells.bucket(place.bucket).map(|mut bucket| bucket.put(place.tag, melt_off, now));
        match placed {
            Some(Placed::Fresh) => cells.used += 1,
            Some(Placed::Evicted) => cells.evictions += 1,
            Some(Placed::Updated | Placed::Reused) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use palisade_core::Rate;

    use super::*;

    /// Keys of one bucket, told apart by their tags.
    fn neighbour(tag: u64) -> KeyHash {
        KeyHash((u128::from(tag) << 64) | 0x1234_5678_9abc_def0)
    }

    fn charge(key: KeyHash, cost: u32) -> Charge {
        Charge { key, rate: Rate::new(60, Duration::from_secs(60), 60).unwrap(), cost }
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_flood_never_frees_a_key_that_is_used_up() {
        let table = Table::new(TableSize::MIN);
        let now = at(1);
        assert!(table.take(&[charge(neighbour(1), 60)], now).unwrap()[0].allowed);
        for flood in 2..10_000 {
            assert!(table.take(&[charge(neighbour(flood), 1)], now).unwrap()[0].allowed);
        }
        assert!(!table.take(&[charge(neighbour(1), 1)], now).unwrap()[0].allowed);
        // Eight cells; all but the first eight keys took the place of another.
        let Fill { cells, used, evictions } = table.fill();
        assert_eq!((cells, used, evictions), (65_536, 8, 9_999 - 8));
    }

    #[test]
    fn a_melted_counter_is_no_eviction() {
        let table = Table::new(TableSize::MIN);
        for round in 0..100 {
            for key in 1..=8 {
                assert!(table.take(&[charge(neighbour(round * 8 + key), 1)], at(round)).unwrap()[0].allowed);
            }
        }
        assert_eq!(table.fill().evictions, 0);
    }

    #[test]
    fn a_step_allocates_nothing() {
        let table = Table::new(TableSize::MIN);
        let charges = [1, 2, 3].map(|key| charge(KeyHash(key << 70 | key), 20));
        let count = allocation_counter::measure(|| {
            for asked in 0..10 {
                let verdicts = table.take(&charges, at(1)).unwrap();
                assert_eq!(verdicts.iter().all(|verdict| verdict.allowed), asked < 3);
            }
        });
        assert_eq!(count.count_total, 0);
    }

    #[test]
    fn buckets_lie_on_lines_of_cache() {
        let table = Table::new(TableSize::MIN);
        for stripe in &table.stripes {
            let cells = stripe.lock();
            assert_eq!(cells.words[cells.first..].as_ptr().addr() % BUCKET_BYTES, 0);
            assert!(cells.words.len() - cells.first >= table.buckets_per_stripe as usize * WORDS);
        }
    }

    #[test]
    fn every_hash_has_a_place() {
        let table = Table::new(TableSize::MIN);
        for hash in [0, 1, u128::MAX, u128::from(u64::MAX), u128::MAX << 64] {
            let first = table.take(&[charge(KeyHash(hash), 60)], at(1)).unwrap();
            let second = table.take(&[charge(KeyHash(hash), 1)], at(1)).unwrap();
            assert_eq!((first[0].allowed, second[0].allowed), (true, false), "{hash:x}");
        }
    }

    #[test]
    fn a_lock_whose_holder_died_still_opens() {
        let table = Table::new(TableSize::MIN);
        std::thread::scope(|scope| {
            let died = scope.spawn(|| {
                let _held = table.hold(&[table.place(neighbour(1))]);
                panic!("on purpose, while the lock is held");
            });
            assert!(died.join().is_err());
        });
        assert!(table.take(&[charge(neighbour(1), 1)], at(1)).unwrap()[0].allowed);
    }
}
