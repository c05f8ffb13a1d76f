//! Addresses as they are written in `[app]`.

use std::fmt;
use std::path::PathBuf;

use palisade_core::config::{Fault, PORTS, Shape, Text, has_impossible_port};
use palisade_policy::host::Authority;

/// The address that people know: scheme, host and port, nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    scheme: WebScheme,
    authority: Authority,
}

/// The schemes of the web.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebScheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// An entry of `hosts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostEntry {
    /// `"*"`
    Any,
    /// A host, with a port if it matters.
    Host(Authority),
}

/// Where a server of the application listens. Nothing but the place: no path, no query, no user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// A host and port, without TLS.
    Http(Authority),
    /// A host and port, with TLS.
    Https(Authority),
    /// A Unix socket.
    Unix(PathBuf),
}

impl WebScheme {
    /// The scheme as URLs begin.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL without one means.
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// A URL's scheme and what follows `://`. Case does not count.
    fn split(text: &str) -> Option<(Self, &str)> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Self::Http,
            "https" => Self::Https,
            _ => return None,
        };
        Some((scheme, rest.strip_suffix('/').unwrap_or(rest)))
    }
}

/// Host and port of what has no scheme that is known, if that is all that there is: the rest may
/// hold a password.
fn bare(text: &str) -> Option<Authority> {
    Authority::parse(text.split_once("://").map_or(text, |(_, rest)| rest))
}

impl PublicUrl {
    /// The scheme.
    pub const fn scheme(&self) -> WebScheme {
        self.scheme
    }

    /// Host and port as `Host` names them: without the scheme's own port.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Scheme, host and port, as browsers write an origin.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.name(), self.authority)
    }

    /// The port it is reached at.
    pub fn port(&self) -> u16 {
        self.authority.port().unwrap_or(self.scheme.port())
    }
}

/// The fault of an address, which may hold a password.
fn discreet(text: &str, fault: Fault) -> Fault {
    if text.contains('@') { fault.masked() } else { fault }
}

impl Text for PublicUrl {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::read(text).map_err(|fault| discreet(text, fault))
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "origin".to_owned(), examples: &["https://briefly.example"] }
    }
}

impl PublicUrl {
    fn read(text: &str) -> Result<Self, Fault> {
        // Messages never repeat what was written: it may hold a password.
        let invalid = || Fault::invalid("is not https:// and a host, without user, path or query");
        let Some((scheme, rest)) = WebScheme::split(text) else {
            let fault = Fault::invalid("does not begin with https:// or http://");
            return Err(match bare(text) {
                Some(authority) => fault.label(format!("write \"https://{authority}\"")),
                None => fault.label("for example \"https://briefly.example\""),
            });
        };
        if has_impossible_port(rest) {
            return Err(Fault::out_of_range(PORTS));
        }
        let authority = Authority::parse(rest).ok_or_else(invalid)?;
        let authority = match authority.port() {
            // The same origin, as browsers and `Host` write it.
            Some(port) if port == scheme.port() => Authority::parse(authority.host()).ok_or_else(invalid)?,
            _ => authority,
        };
        Ok(Self { scheme, authority })
    }
}

impl Text for HostEntry {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "*" {
            return Ok(Self::Any);
        }
        <Authority as Text>::parse(text).map(Self::Host)
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "host, or `\"*\"`".to_owned(), examples: &["admin.briefly.example", "*"] }
    }
}

impl Text for ServerAddress {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::read(text).map_err(|fault| discreet(text, fault))
    }

    fn shape() -> Shape {
        Shape::Text {
            syntax: "address".to_owned(),
            examples: &["http://127.0.0.1:3000", "https://app.internal", "unix:/run/app.sock"],
        }
    }
}

impl ServerAddress {
    fn read(text: &str) -> Result<Self, Fault> {
        let example = "http://127.0.0.1:3000, https://app.internal or unix:/run/app.sock";
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let is_path = path.starts_with('/') && !path.contains('\0');
            return if is_path {
                Ok(Self::Unix(path.into()))
            } else {
                Err(Fault::invalid("needs a path that begins with /"))
            };
        }
        match WebScheme::split(text) {
            None => {
                let fault = Fault::invalid("does not begin with http://, https:// or unix:");
                // Whoever writes a port alone means this machine.
                if let Ok(port @ 1..) = text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
                    return Err(fault.label(format!("write \"http://127.0.0.1:{port}\"")));
                }
                Err(match bare(text) {
                    Some(authority) => fault.label(format!("write \"http://{authority}\"")),
                    None => fault.label("for example \"http://127.0.0.1:3000\""),
                })
            }
            Some((_, rest)) if has_impossible_port(rest) => Err(Fault::out_of_range(PORTS)),
            Some((scheme, rest)) => match (scheme, Authority::parse(rest)) {
                (WebScheme::Http, Some(authority)) => Ok(Self::Http(authority)),
                (WebScheme::Https, Some(authority)) => Ok(Self::Https(authority)),
                (_, None) => {
                    Err(Fault::invalid(format!("is not an address without user, path or query, such as {example}")))
                }
            },
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority)
    }
}

/// In the form in which it can be read again.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(authority) => write!(f, "http://{authority}"),
            Self::Https(authority) => write!(f, "https://{authority}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_urls() {
        let check = |text: &str, expected: Option<&str>| {
            let url = PublicUrl::parse(text).ok();
            assert_eq!(url.map(|url| format!("{} {}", url.origin(), url.port())).as_deref(), expected, "{text}");
        };
        check("https://Briefly.Example", Some("https://briefly.example 443"));
        check("https://briefly.example:443/", Some("https://briefly.example 443"));
        check("http://briefly.example:443", Some("http://briefly.example:443 443"));
        check("HTTP://127.0.0.1:8080", Some("http://127.0.0.1:8080 8080"));
        check("http://[::1]:8080/", Some("http://[::1]:8080 8080"));
        for text in
            ["", "briefly.example", "https:/a", "https://", "https://a/b", "https://a//", "https://a?x", "https://a#x"]
        {
            check(text, None);
        }
        for text in
            ["https://user:hunter2@a", "https://a:", "https://a:65536", "https://::1", "https://[::g]", "ftp://a"]
        {
            check(text, None);
        }
    }

    #[test]
    fn server_addresses() {
        let check = |text: &str, expected: &str| {
            let found = ServerAddress::parse(text);
            let found = found.map_or_else(|fault| fault.label.unwrap_or(fault.message), |address| address.to_string());
            assert_eq!(found, expected, "{text}");
        };
        let form = "is not an address without user, path or query, such as http://127.0.0.1:3000, \
                    https://app.internal or unix:/run/app.sock";
        check("http://127.0.0.1:3000", "http://127.0.0.1:3000");
        check("https://App.internal/", "https://app.internal");
        check("unix:/run/app.sock", "unix:/run/app.sock");
        check("unix:///run/app.sock", "unix:/run/app.sock");
        check("unix:run/app.sock", "needs a path that begins with /");
        check("127.0.0.1:3000", "write \"http://127.0.0.1:3000\"");
        check("localhost", "write \"http://localhost\"");
        check("http://a/b", form);
        check("http://user:hunter2@a", form);
        check("ftp://a", "write \"http://a\"");
        check("ftp://a/b", "for example \"http://127.0.0.1:3000\"");
        check("http://127.0.0.1:65536", PORTS);
    }
}
