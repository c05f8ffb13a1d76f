//! The servers of the application.

use std::path::Path;

use palisade_core::config::{Code, Place, Problem, Problems, Setting, TextOr};

use super::UpstreamProtocol;
use super::address::ServerAddress;
use super::own::{self, Listeners};
use super::raw::{RawServer, Upstream};
use crate::inputs::{FILE_BYTES_MAX, Secrets, read_bounded};
use crate::secrets;

/// Servers that share the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerGroup {
    /// At least one; no address twice.
    pub servers: Vec<Server>,
}

/// A server of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens.
    pub address: ServerAddress,
    /// PEM of the certificates that its own must come from; `None`: the public ones.
    pub ca: Option<Vec<u8>>,
}

/// What is the same for all servers.
pub(super) struct Rules<'a> {
    pub(super) protocol: &'a Setting<UpstreamProtocol>,
    pub(super) directory: &'a Path,
    pub(super) secrets: Secrets,
    pub(super) listeners: Listeners<'a>,
}

pub(super) fn compile(upstream: Upstream, rules: &Rules<'_>, problems: &mut Problems) -> ServerGroup {
    let mut servers: Vec<Server> = Vec::new();
    for Setting { value, place } in upstream.0 {
        let server = match value {
            TextOr::Text(address) => Server { address, ca: None },
            TextOr::Table(raw) => compile_table(raw, rules, problems),
        };
        check_protocol(&server.address, &place, rules.protocol, problems);
        own::check(&server.address, &place, rules.listeners, problems);
        if servers.iter().any(|known| known.address == server.address) {
            let message = format!("`{}` has the address {} twice", place.key, server.address);
            problems.report(Problem::new(Code::Conflict, &place, message));
        } else {
            servers.push(server);
        }
    }
    ServerGroup { servers }
}

fn compile_table(raw: RawServer, rules: &Rules<'_>, problems: &mut Problems) -> Server {
    let RawServer { url, ca } = raw;
    let pem = match (&url.value, ca) {
        (_, None) => None,
        (ServerAddress::Https(_), Some(ca)) if rules.secrets == Secrets::Resolve => {
            read_file(&rules.directory.join(&ca.value), &ca.place, problems)
        }
        (ServerAddress::Https(_), Some(_)) => None,
        (ServerAddress::Http(_) | ServerAddress::Unix(_), Some(ca)) => {
            let message = format!("`{}` has no use without an https:// address", ca.place.key);
            problems.report(Problem::new(Code::Conflict, &ca.place, message));
            None
        }
    };
    Server { address: url.value, ca: pem }
}

fn check_protocol(
    address: &ServerAddress,
    place: &Place,
    protocol: &Setting<UpstreamProtocol>,
    problems: &mut Problems,
) {
    let needed = match (protocol.value, address) {
        (UpstreamProtocol::H2, ServerAddress::Http(_) | ServerAddress::Unix(_)) => "`app.protocol` h2 needs https://",
        (UpstreamProtocol::H2c, ServerAddress::Https(_)) => "`app.protocol` h2c is without TLS: use h2 for https://",
        _ => return,
    };
    problems.report(Problem::new(Code::Conflict, place, needed));
}

/// The bytes of a file that is no secret.
pub(super) fn read_file(path: &Path, place: &Place, problems: &mut Problems) -> Option<Vec<u8>> {
    match read_bounded(path, FILE_BYTES_MAX) {
        Ok(bytes) => Some(bytes),
        Err(why) => {
            let message = format!("file {} {why}", path.display());
            problems.report(Problem::new(Code::FileUnreadable, place, message).help(secrets::PATHS));
            None
        }
    }
}
