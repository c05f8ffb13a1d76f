//! What of the table is written down, and how it is put back.
//!
//! Whoever writes takes the counters that changed since the last time. Stripes are looked at one after
//! the other, and a stripe's lock is held while a few buckets are copied, so that no request waits
//! longer than for another request's step. Counters that will have melted within a minute are not worth
//! a write. If there are more than a round may write, the longest go first and the others wait.
//!
//! Reservations are not written: their requests end with the process.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use palisade_core::charge::{Cell, Standing};
use palisade_core::{KeyHash, Now};

use super::{Cells, Table};

/// At most so many counters are written in one round.
pub const CELLS_A_ROUND: usize = 50_000;

/// What melts sooner is not written, in nanoseconds.
const LEFT_MIN_NS: u64 = 60_000_000_000;

/// Buckets that are copied under one lock.
const BUCKETS_AT_ONCE: usize = 256;

/// How many counters may wait for a later round.
const WAITING_MAX: usize = 4 * CELLS_A_ROUND;

/// How many forgotten counters a stripe remembers until they are taken.
const CLEARED_MAX: usize = 4_096;

/// What has changed since the last round.
#[derive(Debug, Default)]
pub struct Changes {
    /// Counters by their tags, the longest first.
    pub cells: Vec<(u64, Cell)>,
    /// Counters that were forgotten on demand. What was spent since is among the cells.
    pub cleared: Vec<u64>,
    /// Of stripes in which a ban or a strike changed: all that there are.
    pub standings: Vec<(usize, Vec<(KeyHash, Standing)>)>,
    /// How many counters had to wait.
    pub left_out: u64,
}

impl Changes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        let Self { cells, cleared, standings, left_out: _ } = self;
        cells.is_empty() && cleared.is_empty() && standings.is_empty()
    }
}

/// Counters that changed and were not written yet, by their tags.
#[derive(Debug, Default)]
pub struct Waiting(HashSet<u64>);

/// The longest of all counters that are offered.
struct Longest {
    cells: BinaryHeap<Reverse<(u64, u64, u64)>>,
    max: usize,
    /// The others, as many of them as may wait.
    others: Vec<u64>,
    left_out: u64,
}

impl Table {
    /// What has changed since the last time, and of `waiting` what still matters. At most `max`
    /// counters; those that are left out wait again.
    pub fn changes(&self, waiting: &mut Waiting, max: usize, now: Now) -> Changes {
        let mut longest = Longest { cells: BinaryHeap::new(), max, others: Vec::new(), left_out: 0 };
        let mut changes = Changes::default();
        let mut copied = Vec::new();
        for (number, stripe) in self.stripes.iter().enumerate() {
            let mut cells = stripe.lock();
            changes.cleared.append(&mut cells.cleared);
            let standings = cells.beside.take_standings(now.monotonic.as_nanos());
            changes.standings.extend(standings.map(|standings| (number, standings)));
            let mut from = cells.copy_changed(0, now, &mut copied);
            drop(cells);
            loop {
                for (tag, cell) in copied.drain(..) {
                    waiting.0.remove(&tag);
                    longest.offer(tag, cell, now);
                }
                let Some(next) = from else { break };
                from = stripe.lock().copy_changed(next, now, &mut copied);
            }
        }
        for tag in waiting.0.drain() {
            let cell = self.find(tag);
            if cell.left(now) > LEFT_MIN_NS {
                longest.offer(tag, cell, now);
            }
        }
        changes.left_out = longest.left_out;
        waiting.extend(longest.others);
        let cells = longest.cells.into_sorted_vec().into_iter();
        changes.cells = cells.map(|Reverse((_, tag, word))| (tag, Cell::from_word(word))).collect();
        changes
    }

    /// These changes could not be written: they come again.
    pub fn give_back(&self, changes: Changes, waiting: &mut Waiting) {
        waiting.extend(changes.cells.into_iter().map(|(tag, _)| tag));
        for tag in changes.cleared {
            if let Some(stripe) = self.stripes.get(self.home(tag).0) {
                stripe.lock().clear_later(tag);
            }
        }
        for (number, _) in changes.standings {
            if let Some(stripe) = self.stripes.get(number) {
                stripe.lock().beside.give_standings_back();
            }
        }
    }

    /// Puts a counter back that was written down. If there is one already, the one with more left stays.
    pub fn put_back(&self, tag: u64, cell: Cell, now: Now) {
        let (stripe, bucket) = self.home(tag);
        if tag == 0 || cell.left(now) == 0 {
            return;
        }
        if let Some(stripe) = self.stripes.get(stripe) {
            let mut cells = stripe.lock();
            let known = cells.bucket(bucket).map(|bucket| bucket.find(tag).left(now)).unwrap_or_default();
            if known < cell.left(now) {
                cells.put(bucket, tag, cell, now);
            }
        }
    }

    /// Puts a key's standing back that was written down.
    pub fn stand_back(&self, key: KeyHash, standing: Standing, now: Now) {
        if let Some(stripe) = self.stripes.get(self.place(key).stripe) {
            stripe.lock().beside.stand(key, standing, now.monotonic.as_nanos());
        }
    }

    fn find(&self, tag: u64) -> Cell {
        let (stripe, bucket) = self.home(tag);
        let Some(stripe) = self.stripes.get(stripe) else { return Cell::EMPTY };
        stripe.lock().bucket(bucket).map(|bucket| bucket.find(tag)).unwrap_or_default()
    }
}

impl Cells {
    /// Copies what has changed in a few buckets from `from` on. Gives where to go on.
    fn copy_changed(&mut self, mut from: usize, now: Now, copied: &mut Vec<(u64, Cell)>) -> Option<usize> {
        for _ in 0..BUCKETS_AT_ONCE {
            let bucket = self.changed.take(from)?;
            let cells = self.bucket(bucket);
            let cells = cells.iter().flat_map(|bucket| bucket.cells());
            copied.extend(cells.filter(|(_, cell)| cell.left(now) > LEFT_MIN_NS));
            from = bucket + 1;
        }
        Some(from)
    }

    /// Remembers that a counter was forgotten on demand.
    pub(super) fn clear_later(&mut self, tag: u64) {
        if self.cleared.len() < CLEARED_MAX {
            self.cleared.push(tag);
        }
    }
}

impl Waiting {
    fn extend(&mut self, tags: impl IntoIterator<Item = u64>) {
        for tag in tags {
            if self.0.len() >= WAITING_MAX {
                return;
            }
            self.0.insert(tag);
        }
    }
}

impl Longest {
    fn offer(&mut self, tag: u64, cell: Cell, now: Now) {
        let offered = (cell.left(now), tag, cell.word());
        let nearest = match self.cells.peek() {
            _ if self.cells.len() < self.max => return self.cells.push(Reverse(offered)),
            Some(Reverse(nearest)) if *nearest < offered => *nearest,
            Some(_) | None => return self.leave_out(tag),
        };
        self.cells.pop();
        self.cells.push(Reverse(offered));
        self.leave_out(nearest.1);
    }

    fn leave_out(&mut self, tag: u64) {
        self.left_out += 1;
        if self.others.len() < WAITING_MAX {
            self.others.push(tag);
        }
    }
}
