//! Why the shared store did not say.

use super::resp::{Garbled, Reply};

/// Why the shared store did not say. The word is the metrics' label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// Not in time.
    #[error("the store did not answer in time")]
    Timeout,
    /// There is no connection, or it broke.
    #[error("there is no connection to the store")]
    Connection,
    /// As many calls are under way as may be.
    #[error("too many calls to the store are under way")]
    Busy,
    /// It has just started and reads its data.
    #[error("the store is loading its data")]
    Loading,
    /// It is a replica.
    #[error("the store is read-only")]
    ReadOnly,
    /// Its memory is used up.
    #[error("the store has no memory left")]
    OutOfMemory,
    /// It wants another password, or the user may not do this.
    #[error("the store refuses the user or the password")]
    Denied,
    /// Any other error.
    #[error("the store answered with an error")]
    Error,
    /// What it answered is no answer.
    #[error("the store's answer makes no sense")]
    Garbled,
    /// It missed several times in a row and is not asked.
    #[error("the store is not asked, since it did not answer")]
    Open,
}

impl Miss {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Timeout,
        Self::Connection,
        Self::Busy,
        Self::Loading,
        Self::ReadOnly,
        Self::OutOfMemory,
        Self::Denied,
        Self::Error,
        Self::Garbled,
        Self::Open,
    ];

    /// The word in metrics and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Busy => "busy",
            Self::Loading => "loading",
            Self::ReadOnly => "read_only",
            Self::OutOfMemory => "out_of_memory",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::Garbled => "garbled",
            Self::Open => "open",
        }
    }

    /// What a reply means that isn't the one that was asked for.
    pub(super) fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Error(text) => Self::of_error(text),
            Reply::Number(_) | Reply::Text(_) | Reply::Nil | Reply::List(_) => Self::Garbled,
        }
    }

    /// What an error reply means. Its first word is its kind.
    pub(super) fn of_error(text: &str) -> Self {
        match text.split(' ').next().unwrap_or_default() {
            "LOADING" => Self::Loading,
            "READONLY" => Self::ReadOnly,
            "OOM" => Self::OutOfMemory,
            "NOAUTH" | "WRONGPASS" | "NOPERM" => Self::Denied,
            // A script's own calls fail with the kind inside of the text.
            _ if text.contains("READONLY") => Self::ReadOnly,
            _ if text.contains("OOM command not allowed") => Self::OutOfMemory,
            _ if text.contains("NOPERM") || text.contains("can't run this command") => Self::Denied,
            _ => Self::Error,
        }
    }
}

impl From<Garbled> for Miss {
    fn from(Garbled: Garbled) -> Self {
        Self::Garbled
    }
}
