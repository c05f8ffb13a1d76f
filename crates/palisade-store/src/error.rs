//! What can go wrong in a store.

use palisade_core::charge::CHARGES_MAX;
use thiserror::Error;

/// A store could not do what was asked. Never a refusal: a spent limit is a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// One step was asked to make more charges than a step may hold.
    #[error("taking {asked} charges in one step, which holds at most {CHARGES_MAX}")]
    TooManyCharges {
        /// How many.
        asked: usize,
    },
    /// A record is longer than the store takes.
    #[error("keeping a record of {length} bytes in `{collection}`, which takes at most {max}")]
    RecordTooLong {
        /// Where it was to be kept.
        collection: &'static str,
        /// Its length.
        length: usize,
        /// The bound.
        max: usize,
    },
}
