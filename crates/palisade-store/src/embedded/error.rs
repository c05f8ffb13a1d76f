//! Why a file can't be used, and what to do about it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// A file could not be opened, read or written.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// It belongs to somebody else.
    #[error("{} is a database of something else: move it away, or choose another `[store] directory`", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// A later version of Palisade made it.
    #[error(
        "{} was written by a newer Palisade (its version is {found}, this one knows {known}): run that one, or move \
         the file away to begin anew", path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version that is known here.
        known: usize,
    },
    /// It is no database, or not a whole one.
    #[error("{} is damaged: move it away to begin anew, or put a backup in its place", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Somebody else writes it.
    #[error("{} is in use by another process: end that one", path.display())]
    Busy {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The disk, or the right to use it, fails.
    #[error("{} can't be used: look at its rights and at the space on its disk", path.display())]
    Failed {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl EmbeddedError {
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged { path, source },
            // It opened, so it has our tables: what does not fit into them was not written by us.
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => Self::Damaged { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path, source },
            Some(_) => Self::Failed { path, source },
            // Not SQLite itself: a column of another type, a row that is not there.
            None => Self::Damaged { path, source },
        }
    }
}
