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
use std::time::Duration;

use palisade_core::Reason;

pub use registry::SETS_PER_ROUTE;
pub(crate) use scrape::{Sources, Told};
pub use text::Format;

/// How the shared store of counters does.
#[derive(Clone, Debug, Default)]
pub struct LimitsStore {
    /// One if it is asked.
    pub up: u64,
    /// Gateways that share it, as far as is known.
    pub gateways: u64,
    /// How long its answers took.
    pub answers: Lag,
    /// Times that it did not say, by why.
    pub misses: Vec<(&'static str, u64)>,
}

/// Numbers that others keep, told at each scrape. Names in it come from code or config.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Connections of clients.
    pub connections: Vec<Connections>,
    /// Limits on connections, and how often each acted.
    pub connection_limits: Vec<(&'static str, u64)>,
    /// Results of TLS handshakes.
    pub handshakes: Vec<(&'static str, u64)>,
    /// Refusals that were made before there was a request, and so without a record.
    pub refusals: Vec<(Reason, u64)>,
    /// How late the runtimes' ticks are.
    pub lag: Lag,
    /// Connections to the application: server, state (`idle`, `busy`), how many.
    pub upstream_connections: Vec<(Arc<str>, &'static str, u64)>,
    /// Counters in the table of limits.
    pub limits_cells: u64,
    /// Live counters that gave way to others since the start.
    pub limits_evictions: u64,
    /// How the shared store of counters does, if there is one.
    pub limits_store: Option<LimitsStore>,
    /// How the counters of limits are kept; `None` if they are not to be.
    pub limits_kept: Option<LimitsKept>,
    /// Whether the last reload was taken over. `None` before the first one.
    pub reload: Option<Reload>,
    /// Hash of the config in force.
    pub snapshot: Arc<str>,
    /// Version of the program.
    pub version: &'static str,
    /// Revision it was built from.
    pub revision: &'static str,
}

/// Connections of one listener and protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// `public` or `admin`.
    pub listener: &'static str,
    /// `http/1.1` or `h2`.
    pub protocol: &'static str,
    /// Open now.
    pub open: u64,
    /// Since the start.
    pub total: u64,
}

/// A histogram that somebody else keeps, added up over all that keep one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Upper bounds, ascending.
    pub bounds: Vec<Duration>,
    /// How many fell into each bucket alone, and beyond the last bound.
    pub buckets: Vec<u64>,
    /// The sum of what was counted.
    pub sum: Duration,
}

/// How the counters of limits are kept in the state directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsKept {
    /// Whether they are.
    pub is_up: bool,
    /// How many there are in it.
    pub cells: u64,
    /// How many had to wait for a later round, since the start.
    pub left_out: u64,
    /// How often they were written.
    pub rounds: u64,
    /// Since they were last written.
    pub age: Option<Duration>,
    /// How long that took.
    pub took: Duration,
}

/// How the last reload went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The new config is in force.
    Succeeded,
    /// The old one stayed.
    Failed,
}
