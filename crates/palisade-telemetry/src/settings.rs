//! What telemetry is told by the config.

use std::time::Duration;

pub use palisade_core::log::{Access, AddressForm, LogFile, Only};

/// Everything that applies from the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What may change with a reload.
    pub told: Told,
    /// Bytes of records that may wait to be told.
    pub queue_bytes: usize,
    /// Label sets over all metrics with a route.
    pub max_series: usize,
}

/// What applies from the next record on.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Where the access log goes.
    pub access: Access,
    /// Which records it holds.
    pub only: Only,
    /// How much of a client's address it shows.
    pub address: AddressForm,
    /// From which latency on a request is slow. `None`: none is.
    pub slow: Option<Duration>,
    /// Whether unmatched paths get a label by their shape.
    pub guess: Guess,
}

/// Whether unmatched paths get a label by their shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guess {
    /// They do, once they proved to exist.
    #[default]
    Shapes,
    /// They are `unmatched`.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Self { told: Told::default(), queue_bytes: 16 << 20, max_series: 20_000 }
    }
}
