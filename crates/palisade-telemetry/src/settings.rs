//! What telemetry is told by the config.

use std::path::PathBuf;
use std::time::Duration;

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

/// Where the access log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// To stdout, beside the events.
    #[default]
    Stdout,
    /// Nowhere.
    Off,
    /// To a file.
    File(LogFile),
}

/// A file that is rotated by its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// The size at which it is put aside.
    pub rotate_bytes: u64,
    /// How many old ones stay.
    pub keep: u32,
}

/// Which records the access log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// All but those of health paths.
    #[default]
    All,
    /// Refused, failed, would have been refused, slow.
    Notable,
}

/// How much of a client's address the access log shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressForm {
    /// All of it.
    #[default]
    Full,
    /// Its /24, or /48.
    Masked,
    /// Nothing.
    Off,
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
