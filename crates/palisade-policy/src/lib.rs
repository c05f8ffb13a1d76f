//! Every protection of Palisade, one folder each: threat and rule, config, tests.
//!
//! Nothing here awaits, logs, reads a clock, draws a random number or opens anything. A policy
//! looks at a [`View`](palisade_core::View) and answers; what it needs is fetched for it, what it
//! wants done is data. [`catalog`] is the one list of them all.

pub mod catalog;
pub mod compress;
mod context;
pub mod demo;
pub mod headers;
pub mod host;
pub mod inbound;
pub mod limits;
pub mod method;
pub mod upgrade;

#[cfg(test)]
mod allocations;
#[cfg(test)]
mod testing;

pub use context::Context;
