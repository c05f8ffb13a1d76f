//! What can go wrong in a store.

use thiserror::Error;

/// A store could not do what was asked. Never a refusal: a spent limit is a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
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
