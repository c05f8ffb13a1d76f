//! The state directory: what has to survive a restart, for one gateway at a time.
//!
//! It is the gateway user's alone, and says to git that nothing in it is to be kept. A lock on a file in
//! it ends with the process, however that ends, so that none is ever left behind.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A state directory that is ours as long as this lives.
#[derive(Debug)]
pub(crate) struct State {
    directory: PathBuf,
    _lock: File,
}

/// Why a directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A gateway runs on it.
    #[error(
        "a gateway runs on the state directory {} already{}: end that one, or give this one a directory of its own \
         in `[store] directory`", directory.display(), holder.map(|id| format!(", process {id}")).unwrap_or_default()
    )]
    Held {
        /// Which directory.
        directory: PathBuf,
        /// Its process, if that has said so yet.
        holder: Option<u32>,
    },
    /// It can't be made or written to.
    #[error("the state directory {} can't be used: name one that the gateway may write to in `[store] directory`", directory.display())]
    Unusable {
        /// Which directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The file that is locked, and that names who locked it.
const LOCK: &str = "lock";

/// Digits of a process id, and then some.
const HOLDER_BYTES_MAX: u64 = 20;

impl State {
    /// Makes the directory if it is not there, and locks it.
    ///
    /// # Errors
    ///
    /// Why it can't be used.
    pub(crate) fn open(directory: &Path) -> Result<Self, StateError> {
        let unusable = |source| StateError::Unusable { directory: directory.to_owned(), source };
        make(directory).map_err(unusable)?;
        let path = directory.join(LOCK);
        let mut options = OpenOptions::new();
        // Not cut before it is ours: it names the other one.
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::Held { directory: directory.to_owned(), holder: holder(lock) });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(unusable)?;
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    std::fs::write(directory.join(".gitignore"), "*\n")
}

/// Which process the file names.
fn holder(lock: File) -> Option<u32> {
    let mut text = String::new();
    lock.take(HOLDER_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_made_for_its_user_alone_and_not_for_git() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("a/state");
        let state = State::open(&directory).unwrap();
        let mode = fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(fs::read_to_string(state.file(".gitignore")).unwrap(), "*\n");
        assert_eq!(fs::metadata(state.file(LOCK)).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn one_gateway_at_a_time_and_the_other_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let first = State::open(folder.path()).unwrap();
        let second = State::open(folder.path()).unwrap_err().to_string();
        let expected = format!(
            "a gateway runs on the state directory {} already, process {}: end that one, or give this one a directory \
             of its own in `[store] directory`",
            folder.path().display(),
            std::process::id()
        );
        assert_eq!(second, expected);
        drop(first);
        let third = State::open(folder.path()).unwrap();
        // It was there before, so it may be anybody's.
        assert!(!third.file(".gitignore").exists());
    }

    #[test]
    fn what_is_no_directory_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        // Nobody may write to /proc, whoever runs this.
        for directory in [file.join("state"), file, "/proc/palisade".into()] {
            let error = State::open(&directory).unwrap_err();
            assert!(matches!(error, StateError::Unusable { .. }), "{error}");
            assert!(error.to_string().contains(&directory.display().to_string()), "{error}");
        }
    }
}
