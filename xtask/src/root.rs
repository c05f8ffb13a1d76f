//! Where the repository is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The folder that holds the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Root(PathBuf);

impl Root {
    /// Looks upward from the current folder, so that a task works on the copy it is called in.
    pub(crate) fn find() -> Result<Self, Failure> {
        let here = std::env::current_dir().map_err(Failure::file("."))?;
        let is_root = |folder: &&Path| {
            fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|manifest| manifest.starts_with("[workspace]"))
        };
        match here.ancestors().find(is_root) {
            Some(root) => Ok(Self(root.to_owned())),
            None => Err(Failure::Found("no workspace here or above".to_owned())),
        }
    }

    /// A path in the repository.
    pub(crate) fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where tools are installed that are for this repository alone.
    pub(crate) fn tools(&self) -> PathBuf {
        self.join("target/tools")
    }
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(Failure::file(path))
}

/// Writes a text file, with the folders above it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    path.parent().map_or(Ok(()), create_folder)?;
    fs::write(path, text).map_err(Failure::file(path))
}

/// Makes a folder, with those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(Failure::file(path))
}
