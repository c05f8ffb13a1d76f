//! Why an address can't be listened on, in words for whoever started the gateway: who asked for it,
//! what is in the way, and the way out.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use palisade_config::Snapshot;

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}, which is {} ({place}){}", .key.written(), self.cause())]
pub struct Unbound {
    key: Key,
    place: Arc<str>,
    address: SocketAddr,
    source: io::Error,
}

/// The key that says where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Public,
    Redirect,
    Admin,
}

/// The variable that wins over the file.
const VARIABLE: &str = "PALISADE_LISTEN";

impl Key {
    /// As it is called where keys are explained.
    const fn name(self) -> &'static str {
        match self {
            Self::Public => "app.listen",
            Self::Redirect => "app.tls.redirect",
            Self::Admin => "admin.listen",
        }
    }

    /// As it is written in the file.
    const fn written(self) -> &'static str {
        match self {
            Self::Public => "[app] listen",
            Self::Redirect => "[app.tls] redirect",
            Self::Admin => "[admin] listen",
        }
    }
}

impl Unbound {
    pub(crate) fn new(key: Key, snapshot: &Snapshot, address: SocketAddr, source: io::Error) -> Self {
        Self { key, place: snapshot.place(key.name()), address, source }
    }

    /// What is in the way, before the system's own words.
    fn cause(&self) -> &'static str {
        match self.source.kind() {
            ErrorKind::AddrInUse => ": the port is taken",
            ErrorKind::AddrNotAvailable => ": this machine has no such address",
            ErrorKind::PermissionDenied if self.is_privileged() => ": ports below 1024 need a right",
            _ => "",
        }
    }

    /// What to do about it, if that is known.
    pub fn help(&self) -> Option<String> {
        let Self { address, source, .. } = self;
        let (port, another) = (address.port(), self.another());
        match source.kind() {
            ErrorKind::AddrInUse => Some(format!(
                "sudo ss -ltnp 'sport = :{port}' shows which process has it; end that process, or choose another port with {another}"
            )),
            ErrorKind::AddrNotAvailable => Some(format!(
                "`ip address` lists those that there are; 0.0.0.0 is all of them, 127.0.0.1 is reached from this machine only. Choose with {another}"
            )),
            ErrorKind::PermissionDenied if self.is_privileged() => Some(format!(
                "give it with sudo setcap cap_net_bind_service=+ep \"$(command -v palisade)\" (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), or choose another port with {another}"
            )),
            _ => None,
        }
    }

    /// Where another address is written, so that it counts.
    fn another(&self) -> &'static str {
        match self.key {
            Key::Public if *self.place == *VARIABLE => "PALISADE_LISTEN, which wins over [app] listen",
            Key::Public => "[app] listen or PALISADE_LISTEN",
            Key::Redirect => "[app.tls] redirect",
            Key::Admin => "[admin] listen (false: no such listener)",
        }
    }

    const fn is_privileged(&self) -> bool {
        self.address.port() < 1024
    }
}

#[cfg(test)]
mod tests {
    use palisade_core::chain;

    use super::*;

    #[test]
    fn whoever_starts_it_is_told_why_and_what_to_do() {
        let check = |key, place: &str, address: &str, kind: ErrorKind, said: &str, helps: &[&str]| {
            let source = io::Error::from(kind);
            let system = source.to_string();
            let unbound = Unbound { key, place: place.into(), address: address.parse().unwrap(), source };
            assert_eq!(chain(&unbound), format!("cannot listen on {address}, which is {said}: {system}"));
            let help = unbound.help().unwrap_or_default();
            assert_eq!(help.is_empty(), helps.is_empty(), "{help}");
            for part in helps {
                assert!(help.contains(part), "no {part:?} in {help}");
            }
            help
        };
        let taken = "the port is taken";
        let said = format!("[app] listen (default): {taken}");
        let either = "[app] listen or PALISADE_LISTEN";
        let of_8080 = "ss -ltnp 'sport = :8080'";
        check(Key::Public, "default", "127.0.0.1:8080", ErrorKind::AddrInUse, &said, &[of_8080, either]);
        let said = format!("[app] listen (PALISADE_LISTEN): {taken}");
        let help = check(Key::Public, VARIABLE, "[::]:8080", ErrorKind::AddrInUse, &said, &[of_8080, VARIABLE]);
        assert!(!help.contains("listen or"), "the file's key has no effect: {help}");
        let said = format!("[admin] listen (palisade.toml:3): {taken}");
        let own = "[admin] listen (false";
        check(Key::Admin, "palisade.toml:3", "127.0.0.1:9901", ErrorKind::AddrInUse, &said, &[":9901", own]);
        let said = "[app.tls] redirect (a.toml:1): ports below 1024 need a right";
        let right = ["setcap", "[app.tls] redirect"];
        check(Key::Redirect, "a.toml:1", "0.0.0.0:80", ErrorKind::PermissionDenied, said, &right);
        check(Key::Redirect, "a.toml:1", "0.0.0.0:1023", ErrorKind::PermissionDenied, said, &right);
        let said = "[app.tls] redirect (a.toml:1)";
        check(Key::Redirect, "a.toml:1", "0.0.0.0:1024", ErrorKind::PermissionDenied, said, &[]);
        let said = "[app] listen (a.toml:2): this machine has no such address";
        check(Key::Public, "a.toml:2", "192.0.2.1:80", ErrorKind::AddrNotAvailable, said, &["ip address", either]);
        check(Key::Public, "a.toml:2", "[::]:80", ErrorKind::Unsupported, "[app] listen (a.toml:2)", &[]);
    }
}
