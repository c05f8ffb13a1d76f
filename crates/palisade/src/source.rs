//! Which configuration a command works on.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use palisade_config::{Environment, Inputs, locate};

use crate::cli::Source;
use crate::exit::Exit;

/// Why there is no configuration to work on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The environment's name can't be one.
    #[error("`{0}` is no name of an environment: use a-z, 0-9 and `-`, at most 32 of them")]
    Environment(String),
    /// There is no file, and none is made up.
    #[error("there is no palisade.toml here and none in /etc/palisade")]
    NoFile,
}

impl SourceError {
    /// Says so to the person who typed the command; `next` is what to type instead where a file is
    /// missing.
    pub(crate) fn complain(&self, next: &str) -> Exit {
        eprintln!("palisade: {self}");
        if matches!(self, Self::NoFile) {
            eprintln!("Try: {next}");
        }
        Exit::Config
    }
}

/// Which files and values a configuration is read from.
#[derive(Debug)]
pub(crate) struct Found {
    /// Nothing with `--upstream` and without a file.
    file: Option<PathBuf>,
    environment: Option<Environment>,
    upstream: Option<String>,
    listen: Option<String>,
    state: Option<PathBuf>,
}

/// The file that the options, the environment or the directory name, with the overlay of the
/// chosen environment. With `upstream` a file is not needed.
pub(crate) fn find(source: &Source, upstream: Option<&str>) -> Result<Found, SourceError> {
    let name = source.env.clone().or_else(|| env::var("PALISADE_ENV").ok());
    let environment = match &name {
        None => None,
        Some(name) => Some(Environment::new(name).ok_or_else(|| SourceError::Environment(name.clone()))?),
    };
    let file = locate(source.config.clone(), env::var_os("PALISADE_CONFIG").map(Into::into));
    if file.is_none() && upstream.is_none() {
        return Err(SourceError::NoFile);
    }
    Ok(Found {
        file,
        environment,
        upstream: upstream.map(str::to_owned),
        listen: env::var("PALISADE_LISTEN").ok(),
        state: env::var_os("STATE_DIRECTORY").and_then(|list| first(&list)),
    })
}

/// The first of the directories that systemd made. It separates them by colons.
fn first(list: &OsStr) -> Option<PathBuf> {
    env::split_paths(list).next().filter(|directory| !directory.as_os_str().is_empty())
}

/// What [`find`] finds, read.
pub(crate) fn inputs(source: &Source, upstream: Option<&str>) -> Result<Inputs, SourceError> {
    find(source, upstream).map(|found| found.read())
}

/// What there is without any file: the defaults, in front of an application that is never asked.
pub(crate) fn defaults() -> Inputs {
    Inputs::without_file(".").upstream("default", "http://127.0.0.1:3000")
}

impl Found {
    /// Reads the files as they are now.
    pub(crate) fn read(&self) -> Inputs {
        let mut inputs = match &self.file {
            Some(file) => Inputs::file(file, self.environment.as_ref()),
            None => Inputs::without_file("."),
        };
        if let Some(url) = &self.upstream {
            inputs = inputs.upstream("--upstream", url);
        }
        if let Some(address) = &self.listen {
            inputs = inputs.listen("PALISADE_LISTEN", address);
        }
        if let Some(directory) = &self.state {
            inputs = inputs.state(directory);
        }
        inputs
    }
}

#[cfg(test)]
mod tests {
    use palisade_config::{Seed, load};

    use super::*;

    #[test]
    fn a_file_that_is_gone_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("palisade.toml");
        std::fs::write(&file, "[limits]\n").unwrap();
        let found = Found {
            file: Some(file.clone()),
            environment: None,
            upstream: Some("http://127.0.0.1:1".to_owned()),
            listen: None,
            state: None,
        };
        assert!(load(&found.read(), Seed([0; 16])).is_ok());
        std::fs::remove_file(file).unwrap();
        assert!(load(&found.read(), Seed([0; 16])).is_err());
    }
}
