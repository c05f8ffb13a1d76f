//! Where counters and records live.
//!
//! Policies reach a store through data alone: [`Charges`](palisade_core::Charges) in,
//! [`Verdicts`](palisade_core::Verdicts) out; a [`Lookup`](palisade_core::Lookup) in, what was
//! [`Found`](palisade_core::Found) out. The arithmetic is core's pure step; a backend only keeps
//! its numbers and makes the charges of one step together or not at all. One conformance suite
//! holds every backend to that.
//!
//! What a request is told depends on no clock but its own `now`; a server that several gateways share
//! has its own, which is the same for all of them.

pub mod counters;
pub mod embedded;
mod error;
pub mod overrides;
pub mod records;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod testing;

pub use counters::Counters;
pub use error::StoreError;
pub use records::Records;
