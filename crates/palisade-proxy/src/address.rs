//! Where a server of the application listens.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;

/// An `http://`, `https://` or `unix:` address. Nothing but the place: no path, no query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host and port, without TLS.
    Http(Target),
    /// A host and port, with TLS.
    Https(Target),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    host: Host,
    port: u16,
}

/// A host's address or its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address, never looked up.
    Ip(IpAddr),
    /// A name, looked up again and again.
    Name(Box<str>),
}

/// Why a text is no address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither of the schemes.
    #[error("an address begins with http://, https:// or unix:")]
    Scheme,
    /// No host where one belongs.
    #[error("the address names no host")]
    Host,
    /// More than a host and a port.
    #[error("an address has no path, query or user: write http://HOST:PORT")]
    Excess,
    /// A port beyond 65535.
    #[error("the port is no number up to 65535")]
    Port,
    /// A Unix socket without a path from the root.
    #[error("the path of a Unix socket begins with /")]
    Path,
}

impl Address {
    /// The host and port; `None` for a Unix socket.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Http(target) | Self::Https(target) => Some(target),
            Self::Unix(_) => None,
        }
    }

    /// The label in records and metrics: `127.0.0.1:3000`, or the socket's path.
    pub fn label(&self) -> String {
        match self {
            Self::Http(target) | Self::Https(target) => target.to_string(),
            Self::Unix(path) => path.display().to_string(),
        }
    }

    /// What stands in `Host` when the application is to see its own address.
    pub fn authority(&self) -> String {
        match self {
            Self::Http(target) if target.port == 80 => target.host.to_string(),
            Self::Https(target) if target.port == 443 => target.host.to_string(),
            Self::Http(target) | Self::Https(target) => target.to_string(),
            // A socket has no authority; every server takes this one for itself.
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl Target {
    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(AddressError::Path) };
        }
        let (rest, https) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Err(AddressError::Scheme),
        };
        let uri: Uri = rest.strip_suffix('/').unwrap_or(rest).parse().map_err(|_| AddressError::Excess)?;
        let (Some(authority), None) = (uri.authority(), uri.path_and_query()) else {
            return Err(AddressError::Excess);
        };
        if authority.as_str().contains('@') {
            return Err(AddressError::Excess);
        }
        let name = authority.host();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let host = match bare.parse() {
            Ok(ip) => Host::Ip(ip),
            Err(_) if name.is_empty() || name.starts_with('[') => return Err(AddressError::Host),
            Err(_) => Host::Name(name.to_ascii_lowercase().into()),
        };
        let port = match authority.as_str().strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) {
            None if https => 443,
            None => 80,
            Some(port) => port.parse().map_err(|_| AddressError::Port)?,
        };
        let target = Target { host, port };
        Ok(if https { Self::Https(target) } else { Self::Http(target) })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(target) => write!(f, "http://{target}"),
            Self::Https(target) => write!(f, "https://{target}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_places() {
        for (text, expected) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000 label 127.0.0.1:3000 host 127.0.0.1:3000"),
            ("http://App.Internal/", "http://app.internal:80 label app.internal:80 host app.internal"),
            ("https://[::1]", "https://[::1]:443 label [::1]:443 host [::1]"),
            ("https://app:80", "https://app:80 label app:80 host app:80"),
            ("unix:/run/app.sock", "unix:/run/app.sock label /run/app.sock host localhost"),
            ("unix:///run/app.sock", "unix:/run/app.sock label /run/app.sock host localhost"),
        ] {
            let address: Address = text.parse().unwrap();
            let seen = format!("{address} label {} host {}", address.label(), address.authority());
            assert_eq!(seen, expected, "{text}");
        }
        for (text, expected) in [
            ("127.0.0.1:3000", AddressError::Scheme),
            ("ftp://app", AddressError::Scheme),
            ("http://", AddressError::Excess),
            ("http://:80", AddressError::Host),
            ("http://app/base", AddressError::Excess),
            ("http://app?x", AddressError::Excess),
            ("http://user@app", AddressError::Excess),
            ("http://app:99999", AddressError::Port),
            ("unix:app.sock", AddressError::Path),
        ] {
            assert_eq!(text.parse::<Address>(), Err(expected), "{text}");
        }
    }
}
