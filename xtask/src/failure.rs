//! Why a task could not be done.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a task could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The task was called wrongly.
    #[error("{0}")]
    Usage(String),
    /// A file can't be read or written.
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: io::Error },
    /// A program can't be started.
    #[error("{program} can't be started: {why}")]
    Start { program: String, why: io::Error },
    /// A program did not do what it was asked.
    #[error("{status} from: {line}")]
    Ended { line: String, status: ExitStatus },
    /// What was found is not what has to be.
    #[error("{0}")]
    Found(String),
}

impl Failure {
    /// For `map_err` of what is done with the file at `path`.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |why| Self::File { path, why }
    }
}
