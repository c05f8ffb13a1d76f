//! Where a store of counters is that several gateways share.

use std::fmt;
use std::path::PathBuf;

use crate::config::Secret;
use crate::escape::unescape;

/// The address of a Redis or Valkey server, with what it wants to be told first.
#[derive(Clone, Debug)]
pub struct RedisAddress {
    /// How it is reached.
    pub endpoint: Endpoint,
    /// The user, where there are several.
    pub user: Option<Box<str>>,
    /// The password.
    pub password: Option<Secret>,
    /// Which of its databases.
    pub database: u16,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// By TCP.
    Tcp {
        /// Name or address; of IPv6 without brackets.
        host: Box<str>,
        /// The port.
        port: u16,
        /// Whether the connection is encrypted.
        wire: Wire,
    },
    /// By a socket in the file system.
    Unix(PathBuf),
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// It is not.
    Plain,
    /// By TLS, and the server has to prove its name.
    Tls,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins with something else.
    #[error("does not begin with `redis://`, `rediss://` or `redis+unix://`")]
    Scheme,
    /// No host is named.
    #[error("names no host")]
    Host,
    /// The port is none.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// The database is none.
    #[error("has a database that is not a number from 0 to 65535")]
    Database,
    /// The path of a socket has to start at the root.
    #[error("names no socket: write `redis+unix:///run/redis.sock`")]
    Socket,
    /// A user without a password.
    #[error("names a user and no password")]
    Password,
    /// An escape is broken.
    #[error("has a `%` without two hex digits in user or password")]
    Escape,
}

impl RedisAddress {
    /// Reads `redis://[[user]:password@]host[:6379][/0]`, the same with `rediss://`, or
    /// `redis+unix://[[user]:password@]/path[?db=0]`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without any part of it: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        // A password may hold an `@`, a host may not. A path may, so what is asked is what stands
        // before it.
        let path = rest.rfind('@').map_or(0, |at| if rest.starts_with('/') { 0 } else { at + 1 });
        let (credentials, place) = rest.split_at(path);
        let (user, password) = credentials.strip_suffix('@').map_or(Ok((None, None)), read_credentials)?;
        let (endpoint, database) = match scheme {
            "redis" => tcp(place, Wire::Plain)?,
            "rediss" => tcp(place, Wire::Tls)?,
            "redis+unix" => unix(place)?,
            _ => return Err(AddressError::Scheme),
        };
        Ok(Self { endpoint, user, password, database })
    }
}

type Credentials = (Option<Box<str>>, Option<Secret>);

fn read_credentials(text: &str) -> Result<Credentials, AddressError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let user = unescape(user).and_then(|user| String::from_utf8(user).ok()).ok_or(AddressError::Escape)?;
    let password = unescape(password).ok_or(AddressError::Escape)?;
    if !user.is_empty() && password.is_empty() {
        return Err(AddressError::Password);
    }
    Ok(((!user.is_empty()).then(|| user.into_boxed_str()), (!password.is_empty()).then(|| Secret::new(password))))
}

fn tcp(place: &str, wire: Wire) -> Result<(Endpoint, u16), AddressError> {
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let database = read_database(database)?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(AddressError::Host)?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(AddressError::Port)?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@".contains(&byte));
    if !is_host {
        return Err(AddressError::Host);
    }
    let port = match port {
        None => 6379,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(AddressError::Port)?,
    };
    Ok((Endpoint::Tcp { host: host.into(), port, wire }, database))
}

fn unix(place: &str) -> Result<(Endpoint, u16), AddressError> {
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    if !path.starts_with('/') || path.len() < 2 {
        return Err(AddressError::Socket);
    }
    let database = match query {
        "" => 0,
        query => read_database(query.strip_prefix("db=").ok_or(AddressError::Database)?)?,
    };
    Ok((Endpoint::Unix(path.into()), database))
}

fn read_database(text: &str) -> Result<u16, AddressError> {
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| AddressError::Database) }
}

impl fmt::Display for RedisAddress {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Endpoint::Tcp { host, port, wire } => {
                let scheme = match wire {
                    Wire::Plain => "redis",
                    Wire::Tls => "rediss",
                };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
            Endpoint::Unix(path) => write!(f, "redis+unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let read = match RedisAddress::parse(text) {
            Ok(address) => {
                let password = address.password.as_ref().map(|secret| String::from_utf8_lossy(secret.reveal()));
                format!("{address} {:?} {:?} {}", address.user, password, address.database)
            }
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn addresses_are_read_whole() {
        check("redis://cache", "redis://cache:6379 None None 0");
        check("redis://cache:1/2", "redis://cache:1 None None 2");
        check("rediss://:s%40c@ret@[::1]:7/15", "rediss://[::1]:7 None Some(\"s@c@ret\") 15");
        check("redis://me:pw@10.0.0.1", "redis://10.0.0.1:6379 Some(\"me\") Some(\"pw\") 0");
        check("redis+unix:///run/a@b.sock?db=3", "redis+unix:///run/a@b.sock None None 3");
        check("redis+unix://:pw@/run/r.sock", "redis+unix:///run/r.sock None Some(\"pw\") 0");
        for (text, error) in [
            ("", "Scheme"),
            ("http://cache", "Scheme"),
            ("redis://", "Host"),
            ("redis://:pw@", "Host"),
            ("redis://a b", "Host"),
            ("redis://cache:0", "Port"),
            ("redis://cache:65536", "Port"),
            ("redis://[::1]7", "Port"),
            ("redis://cache/x", "Database"),
            ("redis://:%4@cache", "Escape"),
            ("redis://token@cache", "Password"),
            ("redis+unix://run/r.sock", "Socket"),
            ("redis+unix:///run/r.sock?x=1", "Database"),
        ] {
            check(text, error);
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let address = RedisAddress::parse("redis://me:hunter2@cache").unwrap();
        assert!(!format!("{address} {address:?}").contains("hunter2"));
    }
}
