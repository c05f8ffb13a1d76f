//! Which configuration a command works on.

use std::env;

use palisade_config::{Environment, Inputs, locate};

use crate::cli::Source;

/// Why there is no configuration to work on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The environment's name can't be one.
    #[error("`{0}` is no name of an environment: use a-z, 0-9 and `-`, at most 32 of them")]
    Environment(String),
    /// There is no file, and none is made up.
    #[error(
        "there is no palisade.toml here and none in /etc/palisade.\n\
         Try: palisade run --upstream http://127.0.0.1:3000, which needs no file"
    )]
    NoFile,
}

/// The file that the options, the environment or the directory name, with the overlay of the
/// chosen environment. With `upstream` a file is not needed.
pub(crate) fn inputs(source: &Source, upstream: Option<&str>) -> Result<Inputs, SourceError> {
    let name = source.env.clone().or_else(|| env::var("PALISADE_ENV").ok());
    let environment = match &name {
        None => None,
        Some(name) => Some(Environment::new(name).ok_or_else(|| SourceError::Environment(name.clone()))?),
    };
    let file = locate(source.config.clone(), env::var_os("PALISADE_CONFIG").map(Into::into));
    let mut inputs = match (file, upstream) {
        (Some(file), _) => Inputs::file(&file, environment.as_ref()),
        (None, Some(_)) => Inputs::without_file("."),
        (None, None) => return Err(SourceError::NoFile),
    };
    if let Some(url) = upstream {
        inputs = inputs.upstream("--upstream", url);
    }
    if let Ok(address) = env::var("PALISADE_LISTEN") {
        inputs = inputs.listen("PALISADE_LISTEN", &address);
    }
    Ok(inputs)
}
