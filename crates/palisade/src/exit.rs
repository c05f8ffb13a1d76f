//! How a command ends.

use std::process::ExitCode;

/// The exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, and nothing found.
    Good = 0,
    /// Something was found: the gateway refused.
    Findings = 1,
    /// The command was called wrongly.
    Usage = 2,
    /// The configuration is invalid.
    Config = 3,
    /// Who was asked can't be reached.
    Unreachable = 4,
    /// The time limit was reached, and something was cut.
    TimeLimit = 6,
    /// Ended by a second signal, at once.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
