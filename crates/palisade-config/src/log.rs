//! `[log]`: what is written about requests.

use std::path::Path;

use palisade_core::config::{Setting, Size, TextOr, Whole};
use palisade_core::log::{Access, AddressForm, LogFile, Only};
use palisade_core::{section, words};

section! {
    /// What is written about requests.
    pub struct RawLog {
        /// Where the access log goes, one line of JSON per request. Requests for the health paths
        /// have none, nor has what is no request yet: what is refused while its head is read only
        /// counts, in `palisade_refusals_total`.
        access: Setting<TextOr<AccessWord, RawLogFile>> = "stdout",
        /// Which requests it holds: all, or only those that were refused, failed, took a second or
        /// longer, or would have been refused.
        only: Setting<Only> = "all",
        /// How client addresses are written: in full, cut to /24 and /48, or not at all.
        address: Setting<AddressForm> = "full",
    }
}

section! {
    /// An access log in a file.
    pub struct RawLogFile {
        /// The file, a regular one. Opened anew when somebody moved it.
        file: Setting<String>,
        /// How long it may get before a new one is begun.
        rotate: Setting<Size<1_048_576, 1_099_511_627_776>> = "100MiB",
        /// How many old ones are kept.
        keep: Setting<Whole<0, 1_000>> = 5,
    }
}

/// Where the access log goes, if it is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessWord {
    /// To standard output.
    Stdout,
    /// Nowhere.
    Off,
}

words! { AccessWord: "stdout" = Self::Stdout, "off" = Self::Off }

/// What is written about requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where the access log goes.
    pub access: Access,
    /// Which requests it holds.
    pub only: Only,
    /// How client addresses are written.
    pub address: AddressForm,
}

pub(crate) fn compile(raw: RawLog, directory: &Path) -> Log {
    let RawLog { access, only, address } = raw;
    let access = match access.value {
        TextOr::Text(AccessWord::Stdout) => Access::Stdout,
        TextOr::Text(AccessWord::Off) => Access::Off,
        TextOr::Table(RawLogFile { file, rotate, keep }) => Access::File(LogFile {
            path: directory.join(file.value),
            rotate_bytes: rotate.value.get(),
            keep: u32::try_from(keep.value.get()).unwrap_or(u32::MAX),
        }),
    };
    Log { access, only: only.value, address: address.value }
}
