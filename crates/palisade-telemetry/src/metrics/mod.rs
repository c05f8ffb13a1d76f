//! The counted half: what every record adds to, exactly, and the scrape that shows it.

pub mod catalog;
pub(crate) mod cell;
mod label;
mod process;
pub(crate) mod registry;
mod scrape;
pub(crate) mod shard;
mod text;

use std::sync::Arc;

pub use registry::{ByPlan, SETS_PER_ROUTE};
pub(crate) use scrape::{Sources, Told};
pub use text::Format;

/// Numbers that others keep, told at each scrape.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Connections to the application: server, state (`idle`, `busy`), how many.
    pub upstream_connections: Vec<(Arc<str>, &'static str, u64)>,
    /// Counters in the table of limits.
    pub limits_cells: u64,
    /// Live counters that gave way to others since the start.
    pub limits_evictions: u64,
    /// Whether the last reload was taken over. `None` before the first one.
    pub reload: Option<Reload>,
    /// Hash of the config in force.
    pub snapshot: Arc<str>,
    /// Version of the program.
    pub version: &'static str,
    /// Revision it was built from.
    pub revision: &'static str,
}

/// How the last reload went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The new config is in force.
    Succeeded,
    /// The old one stayed.
    Failed,
}
