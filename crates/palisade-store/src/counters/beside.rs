//! What few keys have beside a cell: reservations and bans.

use std::collections::HashMap;

use palisade_core::KeyHash;
use palisade_core::charge::{Pending, Standing};

/// How many keys of one stripe may be on their way to a ban, or banned: a hundred thousand in all.
const STANDINGS_MAX: usize = 400;

/// What one stripe keeps beside its cells.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// No more than there are requests under way: what is settled is gone.
    pending: HashMap<KeyHash, Pending>,
    standings: HashMap<KeyHash, Standing>,
    standings_are: Written,
}

/// Whether the disk knows of all standings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Written {
    #[default]
    Yes,
    No,
}

impl Beside {
    /// What is reserved of a counter.
    pub(super) fn pending(&self, key: KeyHash) -> Pending {
        // Most stripes have none, and hashing would cost more than all else.
        if self.pending.is_empty() {
            return Pending::default();
        }
        self.pending.get(&key).copied().unwrap_or_default()
    }

    /// Keeps what is reserved.
    pub(super) fn reserve(&mut self, key: KeyHash, pending: Pending) {
        if pending.units() > 0 {
            self.pending.insert(key, pending);
        } else if !self.pending.is_empty() {
            self.pending.remove(&key);
        }
    }

    /// How a key stands with its ban.
    pub(super) fn standing(&self, key: KeyHash) -> Standing {
        self.standings.get(&key).cloned().unwrap_or_default()
    }

    /// Keeps how a key stands. A full stripe gives up the one that will be forgotten first, so that a
    /// flood of keys pushes out its own: a ban is given up only where every other one lasts longer.
    pub(super) fn stand(&mut self, key: KeyHash, standing: Standing, now: u64) {
        // Who is banned asks on and on, and nothing changes.
        if standing == Standing::default() || self.standings.get(&key) == Some(&standing) {
            return;
        }
        self.standings_are = Written::No;
        if self.standings.len() >= STANDINGS_MAX && !self.standings.contains_key(&key) {
            self.standings.retain(|_, known| known.forgotten() > now);
            let first = self.standings.iter().min_by_key(|(_, known)| known.forgotten()).map(|(key, _)| *key);
            if let Some(first) = first.filter(|_| self.standings.len() >= STANDINGS_MAX) {
                self.standings.remove(&first);
            }
        }
        self.standings.insert(key, standing);
    }

    /// Forgets a ban, and what led to it.
    pub(super) fn pardon(&mut self, key: KeyHash) {
        if self.standings.remove(&key).is_some() {
            self.standings_are = Written::No;
        }
    }

    /// All standings that still matter, if any has changed since they were last taken.
    pub(super) fn take_standings(&mut self, now: u64) -> Option<Vec<(KeyHash, Standing)>> {
        match std::mem::take(&mut self.standings_are) {
            Written::Yes => None,
            Written::No => {
                let matter = self.standings.iter().filter(|(_, standing)| standing.forgotten() > now);
                Some(matter.map(|(key, standing)| (*key, standing.clone())).collect())
            }
        }
    }

    /// What was taken did not reach the disk.
    pub(super) fn give_standings_back(&mut self) {
        self.standings_are = Written::No;
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.pending.len(), self.standings.len())
    }
}
