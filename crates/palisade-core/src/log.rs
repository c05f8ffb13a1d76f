//! Where the access log goes, and what it shows: said by the config, done by telemetry.
//!
//! One set of names for both, so that a word that the config takes can't mean another one there.
//! Nothing here writes.

use std::path::PathBuf;

use crate::words;

/// Where the access log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// To standard output, beside the events.
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
    /// The size at which it is put aside, in bytes.
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

words! { Only: "all" = Self::All, "notable" = Self::Notable }
words! { AddressForm: "full" = Self::Full, "masked" = Self::Masked, "off" = Self::Off }
