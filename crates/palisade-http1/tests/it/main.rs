//! The engine as those who drive it see it: bytes in, messages out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

mod allocations;
mod bodies;
mod drive;
mod fields;
mod messages;
mod properties;
mod requests;
mod responses;
mod writing;
