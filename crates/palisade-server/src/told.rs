//! What the application is told about its client: the fields that only a gateway may set.
//!
//! The edge has already taken out what the client sent under these names, in every spelling, and
//! hop-by-hop fields are gone, so that no `Connection: x-forwarded-for` can remove ours. All values
//! made for one request share one allocation.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use http::header::{FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue};
use palisade_core::HeaderEdits;
use palisade_tower::edge::Arrival;

/// How the application sees itself named.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// Authority of `public_url`, if it is set.
    public: Option<Public>,
    /// Further authorities, passed as they were sent.
    hosts: Vec<Box<str>>,
    /// `Forwarded` (RFC 7239) beside the `X-` fields.
    forwarded: bool,
}

#[derive(Clone, Debug)]
struct Public {
    authority: HeaderValue,
    port: HeaderValue,
    secure: bool,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const HTTP: HeaderValue = HeaderValue::from_static("http");
const HTTPS: HeaderValue = HeaderValue::from_static("https");

impl Names {
    /// From the config. `public` is the authority of `public_url` and whether it is `https`.
    pub(crate) fn new(public: Option<(&str, Encrypted)>, hosts: Vec<Box<str>>, options: &Options) -> Self {
        let public = public.and_then(|(authority, encrypted)| {
            let secure = encrypted == Encrypted::Yes;
            Some(Public {
                authority: HeaderValue::from_str(authority).ok()?,
                port: HeaderValue::from(port_of(authority, secure)),
                secure,
            })
        });
        Self { public, hosts, forwarded: options.forwarded }
    }

    /// Whether the public address is encrypted, whoever ends TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.public.as_ref().is_some_and(|public| public.secure)
    }

    /// Sets the fields for one attempt to reach the application.
    pub(crate) fn tell(&self, head: &mut HeaderMap, arrival: &Arrival, authority: &str) {
        let secure = arrival.secure || self.is_secure();
        let own = self.public.as_ref().filter(|_| !self.hosts.iter().any(|host| **host == *authority));
        let (host, port) = match own {
            Some(public) => (Some(public.authority.clone()), public.port.clone()),
            None => (HeaderValue::from_str(authority).ok(), HeaderValue::from(port_of(authority, secure))),
        };
        let values = Values::render(arrival, self.forwarded.then_some((authority, secure)));
        head.insert(X_FORWARDED_FOR, values.address.clone());
        head.insert(X_REAL_IP, values.address);
        head.insert(X_FORWARDED_PROTO, if secure { HTTPS } else { HTTP });
        head.insert(X_FORWARDED_PORT, port);
        if let Some(host) = host {
            head.insert(HOST, host.clone());
            head.insert(X_FORWARDED_HOST, host);
        }
        head.insert(X_REQUEST_ID, values.request_id);
        if let Some(forwarded) = values.forwarded {
            head.insert(FORWARDED, forwarded);
        }
        let mut onward = HeaderEdits::none();
        arrival.trace.edit(&mut onward);
        onward.apply(head);
    }
}

/// Whether an address is reached through TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encrypted {
    /// `https`
    Yes,
    /// `http`
    No,
}

/// What else the application is told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// `Forwarded` beside the `X-` fields.
    pub(crate) forwarded: bool,
}

/// The values made for one request, slices of one buffer.
struct Values {
    address: HeaderValue,
    request_id: HeaderValue,
    forwarded: Option<HeaderValue>,
}

impl Values {
    fn render(arrival: &Arrival, forwarded: Option<(&str, bool)>) -> Self {
        let mut buffer = BytesMut::with_capacity(160);
        let _ = write!(buffer, "{}", arrival.client);
        let address = buffer.len();
        let _ = buffer.write_str(arrival.request_id.as_str());
        let id = buffer.len();
        if let Some((authority, secure)) = forwarded {
            let proto = if secure { "https" } else { "http" };
            let _ = match arrival.client.addr() {
                // RFC 7239 §6: an IPv6 address is quoted and in brackets.
                std::net::IpAddr::V6(ip) => write!(buffer, "for=\"[{ip}]\";host=\"{authority}\";proto={proto}"),
                std::net::IpAddr::V4(ip) => write!(buffer, "for={ip};host=\"{authority}\";proto={proto}"),
            };
        }
        let text = buffer.freeze();
        Self {
            address: value(text.slice(..address)),
            request_id: value(text.slice(address..id)),
            forwarded: forwarded.map(|_| value(text.slice(id..))),
        }
    }
}

/// Addresses, ids and checked authorities hold no byte that a field value may not.
fn value(bytes: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn port_of(authority: &str, secure: bool) -> u16 {
    let port = authority.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    port.and_then(|(_, port)| port.parse().ok()).unwrap_or(if secure { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use super::port_of;

    #[test]
    fn ports_of_authorities() {
        for (authority, secure, port) in [
            ("app.example", false, 80),
            ("app.example", true, 443),
            ("app.example:8080", true, 8080),
            ("[::1]", false, 80),
            ("[::1]:3000", false, 3000),
        ] {
            assert_eq!(port_of(authority, secure), port, "{authority}");
        }
    }
}
