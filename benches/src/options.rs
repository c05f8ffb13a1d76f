//! Options of the programs: `--name value` or `--name`.

use std::io;
use std::str::FromStr;

use crate::events::Wait;
use crate::socket::Transport;

/// What was typed.
#[derive(Clone, Debug)]
pub struct Options(Vec<String>);

impl Options {
    /// Those of this process.
    pub fn typed() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The first argument.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// The value of `--name`, or this one.
    pub fn value<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        let Some(at) = self.0.iter().position(|word| word == name) else { return Ok(default) };
        let value = self.0.get(at + 1).map_or("", String::as_str);
        value.parse().map_err(|_| format!("`{value}` is no value for {name}"))
    }

    /// `--spin`
    pub fn wait(&self) -> Wait {
        if self.has("--spin") { Wait::Spinning } else { Wait::Asleep }
    }

    /// `--tls`
    pub fn transport(&self) -> io::Result<Transport> {
        if self.has("--tls") { Transport::tls() } else { Ok(Transport::Plain) }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word == name)
    }
}
