//! Counters of rates, by backend.
//!
//! The seam is data: the charges of one step go in, one verdict for each comes out, in the same
//! order. **If one charge is refused none is made**, and the verdicts of the others then tell what
//! is left without it. A limit is known to the store only by its key's hash, so the same name is
//! the same counter across reloads.

mod bucket;
pub mod memory;

use arrayvec::ArrayVec;
use palisade_core::charge::CHARGES_MAX;
use palisade_core::{Charge, Now, Verdict};

use crate::StoreError;

/// What the store says about the charges of one step, in their order.
pub type Verdicts = ArrayVec<Verdict, CHARGES_MAX>;

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
    pub fn take(&self, charges: &[Charge], now: Now) -> Result<Verdicts, StoreError> {
        match self {
            Self::Memory(table) => table.take(charges, now.monotonic),
        }
    }
}
