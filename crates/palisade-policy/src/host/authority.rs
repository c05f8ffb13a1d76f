//! Host and port, as `Host` and `:authority` carry them (RFC 9110 §7.2).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use palisade_core::config::{Fault, Shape, Text};

/// A host and, if it was written, a port: `briefly.example`, `[::1]:8080`. Never an empty host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: Box<str>,
    port: Option<u16>,
}

impl Authority {
    /// Reads `host` or `host:port`. The host is a name, an IPv4 address, or an IPv6 address in
    /// brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = split(text)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_host = match bracketed(host) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => host.bytes().all(is_name),
        };
        is_host.then(|| Self { host: host.to_ascii_lowercase().into(), port })
    }

    /// The host in lower case; an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host as an address; `None`: it is a name.
    pub fn address(&self) -> Option<IpAddr> {
        match bracketed(&self.host) {
            Some(address) => address.parse().map(IpAddr::V6).ok(),
            None => self.host.parse().map(IpAddr::V4).ok(),
        }
    }

    /// Whether nobody but this machine can be meant.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// The port, if it was written.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether `host` is ours, in whatever case.
    pub fn is_host(&self, host: &str) -> bool {
        self.host.eq_ignore_ascii_case(host)
    }

    /// Whether `port` is ours. A port that is not written is that of `http` or `https`.
    pub fn is_port(&self, port: Option<u16>) -> bool {
        const DEFAULTS: [Option<u16>; 3] = [None, Some(80), Some(443)];
        self.port == port || (self.port.is_none() && DEFAULTS.contains(&port))
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl Text for Authority {
    fn parse(text: &str) -> Result<Self, Fault> {
        let label = "a host, with a port if it matters: \"briefly.example\", \"[::1]:8080\"";
        Self::parse(text).ok_or_else(|| Fault::invalid("is not a host").label(label))
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "host".to_owned(), examples: &["briefly.example", "briefly.example:8443"] }
    }
}

/// The host, brackets included, and the port. `None` if there is no host or the port is no port.
pub fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    // As nearly all of them are.
    if !authority.as_bytes().contains(&b':') {
        return (!authority.is_empty()).then_some((authority, None));
    }
    // A colon within brackets belongs to the address.
    let after_address = authority.find(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority.get(after_address..)?.find(':') {
        None => (authority, None),
        Some(colon) => {
            let (host, port) = authority.split_at_checked(after_address + colon)?;
            let digits = port.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?;
            (host, Some(digits.parse().ok()?))
        }
    };
    (!host.is_empty()).then_some((host, port))
}

/// Whether nobody but this machine can be meant by the name.
pub(super) fn is_loopback(host: &str) -> bool {
    let below_localhost = || {
        let suffix = ".localhost";
        host.len()
            .checked_sub(suffix.len())
            .and_then(|at| host.split_at_checked(at))
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(suffix))
    };
    host.eq_ignore_ascii_case("localhost")
        || host == "[::1]"
        || below_localhost()
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn bracketed(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}
