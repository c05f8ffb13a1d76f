//! Counters of limits, by backend.
//!
//! The seam is data: the charges of one step go in, one verdict for each comes out, in the same
//! order. **If one charge is refused none is made**, and the verdicts of the others then tell what
//! is left without it. A limit is known to the store only by its keys' hashes, so the same name is
//! the same counter across reloads. What was reserved is settled later; a settlement is never waited
//! for, and one that gets lost counts as spent.

mod beside;
mod bucket;
pub mod memory;

use palisade_core::charge::State;
use palisade_core::{Charge, Charges, Monotonic, Now, Verdicts};

/// Where counters live.
#[derive(Debug)]
pub enum Counters {
    /// In this process.
    Memory(memory::Table),
}

impl Counters {
    /// Makes all of `charges`, or none of them.
    ///
    /// Memory answers without waiting.
    pub fn take(&self, charges: &Charges, now: Now, verdicts: &mut Verdicts) {
        match self {
            Self::Memory(table) => table.take(charges, now, verdicts),
        }
    }

    /// Settles a charge that was reserved at `taken`: `used` units are spent.
    pub fn settle(&self, charge: &Charge, taken: Monotonic, used: u32, now: Now) {
        match self {
            Self::Memory(table) => table.settle(charge, taken, used, now),
        }
    }

    /// What is kept of each charge's counter, and what the step would be told. Changes nothing.
    pub fn inspect(&self, charges: &Charges, now: Now, verdicts: &mut Verdicts) -> Vec<State> {
        match self {
            Self::Memory(table) => table.inspect(charges, now, verdicts),
        }
    }

    /// Forgets what was spent, and the bans. What is reserved stays: its requests are under way.
    pub fn reset(&self, charges: &Charges) {
        match self {
            Self::Memory(table) => table.reset(charges),
        }
    }
}
