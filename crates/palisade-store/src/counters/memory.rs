//! Counters in this process: one table of fixed size, allocated once.
//!
//! A key's hash is folded to a tag, which picks a stripe and a bucket in it; the stripe's lock owns its
//! cells, so that no counter can be touched without it. The tag alone tells where a counter is, in a
//! table of any size, so that one that was written down (`keep`) can be put back.
//! A step that needs several stripes locks them in ascending
//! order, all before it reads: it is exact under parallel use and can't deadlock. Pages nobody
//! wrote to cost no memory, and a flood of keys can't make the table grow.
//!
//! Beside its cells a stripe keeps what few keys have (`Beside`): reservations, of which there are
//! no more than requests under way, and bans.
//!
//! 256 stripes are enough for two threads to meet rarely, and few enough for the locks to stay in
//! a core's own cache beside the cells.

mod keep;
mod marks;

use std::sync::{Mutex, MutexGuard, PoisonError};

use arrayvec::ArrayVec;
use palisade_core::charge::{BANS_MAX, CHARGES_MAX, Cell, Standing, State, Step, TableSize, settle, step};
use palisade_core::{Charge, Charges, KeyHash, Monotonic, Now, Verdict, Verdicts};

use super::beside::Beside;
use super::bucket::{Bucket, CELLS, Placed, WORDS};
use crate::overrides::Current;
use marks::Marks;

pub use keep::{CELLS_A_ROUND, Changes, Waiting};

/// A power of two, so that a stripe is some bits of the hash.
const STRIPES: usize = 256;
const BUCKET_BYTES: usize = WORDS * size_of::<u64>();

/// The table.
#[derive(Debug)]
pub struct Table {
    stripes: Box<[Stripe]>,
    buckets_per_stripe: u64,
    overrides: Current,
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
    beside: Beside,
    /// Buckets that were written to since they were last looked at.
    changed: Marks,
    /// Counters that were forgotten on demand since then.
    cleared: Vec<u64>,
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
    key: KeyHash,
    stripe: usize,
    bucket: usize,
    tag: u64,
}

/// Each key has one stripe at most.
const HELD_MAX: usize = CHARGES_MAX + BANS_MAX;

/// The locks of one step.
struct Held<'a>(ArrayVec<(usize, MutexGuard<'a, Cells>), HELD_MAX>);

type Places = ArrayVec<Place, CHARGES_MAX>;
type States = ArrayVec<State, CHARGES_MAX>;
type Standings = ArrayVec<Standing, BANS_MAX>;

impl Table {
    /// An empty table of this size.
    pub fn new(size: TableSize) -> Self {
        let buckets = size.bytes() / (STRIPES * BUCKET_BYTES) as u64;
        let buckets_each = usize::try_from(buckets).unwrap_or(usize::MAX);
        let stripes = (0..STRIPES).map(|_| Stripe(Mutex::new(Cells::new(buckets_each)))).collect();
        Self { stripes, buckets_per_stripe: buckets, overrides: Current::default() }
    }

    /// Makes all of `charges`, or none of them. Never waits for anything but another such step.
    pub fn take(&self, charges: &Charges, now: Now, verdicts: &mut Verdicts) {
        let mut places = Places::new();
        let mut held = Held(ArrayVec::new_const());
        let mut states = States::new();
        let mut standings = Standings::new();
        self.places(charges, &mut places);
        self.hold(charges, &places, &mut held);
        held.states(&places, &mut states);
        held.standings(self, charges, &mut standings);
        match step(charges, &mut states, &mut standings, now, verdicts) {
            Step::Made => {
                for (at, (place, state)) in places.iter().zip(&states).enumerate() {
                    // Of a counter that is charged twice the first state is the one that counts.
                    if charges.first_of(at) == at {
                        held.put(*place, *state, now);
                    }
                }
            }
            Step::Refused => {
                for (place, charge) in places.iter().zip(&charges.list) {
                    if let Some(state) = charge.cut(held.state(*place), now) {
                        held.put(*place, state, now);
                    }
                }
                for (ban, standing) in charges.bans.iter().zip(standings.drain(..)) {
                    held.stand(self.place(ban.key), standing, now);
                }
                if verdicts.any_fits() {
                    states.clear();
                    held.states(&places, &mut states);
                    charges.tell_uncharged(&mut states, now, verdicts);
                }
            }
        }
    }

    /// Keeps what a verdict of another store tells of a counter.
    pub fn note(&self, charge: &Charge, verdict: &Verdict, now: Now) {
        let place = self.place(charge.key);
        let (Some(cell), Some(stripe)) = (charge.known(verdict, now), self.stripes.get(place.stripe)) else { return };
        let mut held: Held<'_> = Held(ArrayVec::new());
        held.0.push((place.stripe, stripe.lock()));
        let pending = held.state(place).pending;
        if cell.left(now) == 0 {
            held.clear(place);
        }
        held.put(place, State { cell, pending }, now);
    }

    /// Settles a charge that was reserved at `taken`.
    pub fn settle(&self, charge: &Charge, taken: Monotonic, used: u32, now: Now) {
        let place = self.place(charge.key);
        let Some(stripe) = self.stripes.get(place.stripe) else { return };
        let mut held = Held(ArrayVec::new_const());
        held.0.push((place.stripe, stripe.lock()));
        let mut state = held.state(place);
        settle(charge, &mut state, taken, used, now);
        held.put(place, state, now);
    }

    /// What is kept of each counter, and how each charge would be told uncharged. Changes nothing.
    pub fn inspect(&self, charges: &Charges, now: Now, verdicts: &mut Verdicts) -> Vec<State> {
        let mut places = Places::new();
        let mut held = Held(ArrayVec::new_const());
        let mut states = States::new();
        let mut standings = Standings::new();
        self.places(charges, &mut places);
        self.hold(charges, &places, &mut held);
        held.states(&places, &mut states);
        held.standings(self, charges, &mut standings);
        charges.look(&mut states, &standings, now, verdicts);
        states.into_iter().collect()
    }

    /// Forgets what was spent, and the bans.
    pub fn reset(&self, charges: &Charges) {
        let mut places = Places::new();
        let mut held = Held(ArrayVec::new_const());
        self.places(charges, &mut places);
        self.hold(charges, &places, &mut held);
        for place in places {
            held.clear(place);
        }
        for ban in &charges.bans {
            let place = self.place(ban.key);
            if let Some(cells) = held.cells(place.stripe) {
                cells.beside.pardon(place.key);
            }
        }
    }

    /// What operators set beside the counters.
    pub fn overrides(&self) -> &Current {
        &self.overrides
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

    // These lists have room for the largest step. They are filled where they are: to move one costs
    // more than all that is done with it, also from one side of an assignment to the other.

    fn places(&self, charges: &Charges, places: &mut Places) {
        places.extend(charges.list.iter().map(|charge| self.place(charge.key)));
    }

    /// Both halves of the hash make the tag. Zero marks an empty cell, so no key has it.
    fn place(&self, key: KeyHash) -> Place {
        let tag = ((key.0 >> 64) as u64 ^ key.0 as u64).max(1);
        let (stripe, bucket) = self.home(tag);
        Place { key, stripe, bucket, tag }
    }

    /// The last bits of a tag pick the stripe, its first bits the bucket.
    fn home(&self, tag: u64) -> (usize, usize) {
        let bucket = (u128::from(tag) * u128::from(self.buckets_per_stripe)) >> 64;
        (tag as usize % STRIPES, bucket as usize)
    }

    /// Locks the stripes of a step, in ascending order.
    fn hold<'a>(&'a self, charges: &Charges, places: &[Place], held: &mut Held<'a>) {
        let mut order: ArrayVec<usize, HELD_MAX> = ArrayVec::new();
        order.extend(places.iter().map(|place| place.stripe));
        order.extend(charges.bans.iter().map(|ban| self.place(ban.key).stripe));
        order.sort_unstable();
        let mut last = None;
        for stripe in order {
            if last.replace(stripe) != Some(stripe)
                && let Some(lock) = self.stripes.get(stripe)
            {
                held.0.push((stripe, lock.lock()));
            }
        }
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
    fn new(buckets: usize) -> Self {
        // Zeroed by the allocator, so that pages stay untouched. It aligns to 16 bytes, a bucket
        // wants 128: some words more, and buckets begin at the first boundary.
        let words = vec![0; buckets.saturating_mul(WORDS).saturating_add(WORDS)].into_boxed_slice();
        let first = words.as_ptr().align_offset(BUCKET_BYTES).min(WORDS);
        let (beside, changed, cleared) = (Beside::default(), Marks::new(buckets), Vec::new());
        Self { words, first, used: 0, evictions: 0, beside, changed, cleared }
    }

    fn bucket(&mut self, bucket: usize) -> Option<Bucket<'_>> {
        let start = self.first + bucket * WORDS;
        self.words.get_mut(start..start + WORDS).map(Bucket::new)
    }

    fn put(&mut self, bucket: usize, tag: u64, cell: Cell, now: Now) {
        match self.bucket(bucket).map(|mut bucket| bucket.put(tag, cell, now)) {
            Some(Placed::Fresh) => self.used += 1,
            Some(Placed::Evicted) => self.evictions += 1,
            Some(Placed::Updated | Placed::Reused) | None => {}
        }
    }
}

impl Held<'_> {
    fn cells(&mut self, stripe: usize) -> Option<&mut Cells> {
        self.0.iter_mut().find(|(held, _)| *held == stripe).map(|(_, cells)| &mut **cells)
    }

    fn state(&mut self, place: Place) -> State {
        let Some(cells) = self.cells(place.stripe) else { return State::default() };
        let pending = cells.beside.pending(place.key);
        State { cell: cells.bucket(place.bucket).map(|bucket| bucket.find(place.tag)).unwrap_or_default(), pending }
    }

    fn states(&mut self, places: &[Place], states: &mut States) {
        states.extend(places.iter().map(|place| self.state(*place)));
    }

    fn standings(&mut self, table: &Table, charges: &Charges, standings: &mut Standings) {
        let standing = |key| {
            let place = table.place(key);
            self.cells(place.stripe).map(|cells| cells.beside.standing(place.key)).unwrap_or_default()
        };
        standings.extend(charges.bans.iter().map(|ban| ban.key).map(standing));
    }

    fn put(&mut self, place: Place, state: State, now: Now) {
        let Some(cells) = self.cells(place.stripe) else { return };
        cells.beside.reserve(place.key, state.pending);
        if state.cell.left(now) == 0 {
            // As good as none, whether it is there or not.
            return;
        }
        cells.put(place.bucket, place.tag, state.cell, now);
        cells.changed.mark(place.bucket);
    }

    fn stand(&mut self, place: Place, standing: Standing, now: Now) {
        if let Some(cells) = self.cells(place.stripe) {
            cells.beside.stand(place.key, standing, now.monotonic.as_nanos());
        }
    }

    fn clear(&mut self, place: Place) {
        let Some(cells) = self.cells(place.stripe) else { return };
        if let Some(mut bucket) = cells.bucket(place.bucket) {
            bucket.clear(place.tag);
        }
        cells.clear_later(place.tag);
    }
}

#[cfg(test)]
mod tests;
