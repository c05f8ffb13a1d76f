//! The scripts, as a server knows them.

use super::link::Link;
use super::miss::Miss;
use super::resp::{Command, Reply};

/// The hashes by which a server knows the scripts that it was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scripts {
    /// Decides a step, and everything else about its counters.
    pub(super) step: Sha,
    /// Tells that a gateway is there.
    pub(super) presence: Sha,
    /// Lengthens the life of slots.
    pub(super) renew: Sha,
    /// Keeps what operators set.
    pub(super) overrides: Sha,
}

/// A script and its hash, in hex.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sha {
    hex: [u8; 40],
    text: &'static str,
}

impl Scripts {
    /// In the order of the fields.
    pub(super) const TEXTS: [&'static str; 4] = [
        include_str!("step.lua"),
        include_str!("presence.lua"),
        include_str!("renew.lua"),
        include_str!("override.lua"),
    ];
}

impl Sha {
    pub(super) fn read(hex: &[u8], text: &'static str) -> Option<Self> {
        let is_hex = hex.iter().all(u8::is_ascii_hexdigit);
        hex.try_into().ok().filter(|_| is_hex).map(|hex| Self { hex, text })
    }

    /// A call with these keys and arguments.
    pub(super) fn with(&self, call: &Request) -> Command {
        let mut command = Command::new("EVALSHA").word(&self.hex);
        command.number(call.keys.len() as u64);
        call.keys.iter().for_each(|key| command.push(key));
        command.extend(&call.arguments);
        command
    }

    /// Runs the script. A server that forgot it, because it was started anew or told to, is told it
    /// again, once: it said that it did nothing.
    pub(super) async fn run(&self, link: &Link, call: &Request) -> Result<Reply, Miss> {
        let reply = link.call(self.with(call)).await?;
        let reply = match &reply {
            Reply::Error(text) if text.starts_with("NOSCRIPT") => {
                link.post(Command::new("SCRIPT").word(b"LOAD").word(self.text.as_bytes()))?;
                link.call(self.with(call)).await?
            }
            _ => reply,
        };
        match reply {
            Reply::Error(text) => Err(Miss::of_error(&text)),
            reply => Ok(reply),
        }
    }
}

/// Keys and arguments of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) keys: Vec<Box<[u8]>>,
    pub(super) arguments: Command,
}
