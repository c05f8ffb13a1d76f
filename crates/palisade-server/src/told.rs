//! What the application is told about its client: the fields that only a gateway may set.
//!
//! The edge has already taken out what the client sent under these names, in every spelling, and
//! hop-by-hop fields are gone, so that no `Connection: x-forwarded-for` can remove ours.

use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::BytesMut;
use http::header::{FORWARDED, HOST, HeaderName, HeaderValue};
use palisade_config::{App, ServedHosts, WebScheme};
use palisade_core::{Head, HeaderEdits};
use palisade_policy::host::{Authority, split};
use palisade_tower::edge::Arrival;

/// How the application sees itself named.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// Authority of `public_url`, if it is set.
    public: Option<Public>,
    /// Those that are passed on as they were sent.
    hosts: ServedHosts,
    /// `Forwarded` (RFC 7239) beside the `X-` fields.
    forwarded: bool,
}

#[derive(Clone, Debug)]
struct Public {
    name: Authority,
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

/// The longest text of an IPv6 address.
const ADDRESS_BYTES_MAX: usize = 45;

const HTTP: HeaderValue = HeaderValue::from_static("http");
const HTTPS: HeaderValue = HeaderValue::from_static("https");

impl Names {
    /// From the config.
    pub(crate) fn new(app: &App) -> Self {
        let public = app.public_url.as_ref().and_then(|url| {
            let (authority, secure) = (url.authority().to_string(), url.scheme() == WebScheme::Https);
            Some(Public {
                name: url.authority().clone(),
                port: HeaderValue::from(port_of(&authority, secure)),
                authority: HeaderValue::try_from(authority).ok()?,
                secure,
            })
        });
        Self { public, hosts: app.hosts.clone(), forwarded: app.forwarded }
    }

    /// Whether the public address is encrypted, whoever ends TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.public.as_ref().is_some_and(|public| public.secure)
    }

    /// The name that replaces the one the client used; `None`: that one is passed on. The `host`
    /// policy has let it pass, and names are compared as it does.
    fn renamed(&self, authority: &str) -> Option<&Public> {
        let public = self.public.as_ref()?;
        let Some((host, port)) = split(authority) else { return Some(public) };
        let is_kept = match &self.hosts {
            ServedHosts::Any => !public.name.is_host(host),
            ServedHosts::Listed(listed) => listed.iter().any(|known| known.is_host(host) && known.is_port(port)),
        };
        (!is_kept).then_some(public)
    }

    /// Sets the fields for a request on its way to the application.
    pub(crate) fn tell(&self, head: &dyn Head, edits: &mut HeaderEdits, arrival: &Arrival, authority: &str) {
        let secure = arrival.secure || self.is_secure();
        let host = match self.renamed(authority) {
            Some(public) => {
                edits.set(HOST, public.authority.clone());
                edits.set(X_FORWARDED_PORT, public.port.clone());
                Some(public.authority.clone())
            }
            None => {
                edits.set(X_FORWARDED_PORT, port(authority, secure));
                match head.first(&HOST) {
                    Some(host) => HeaderValue::from_bytes(host).ok(),
                    // In HTTP/2 the authority is no field; the application gets it as one.
                    None => HeaderValue::from_str(authority).ok().filter(|host| !host.is_empty()).inspect(|host| {
                        edits.set(HOST, host.clone());
                    }),
                }
            }
        };
        if self.forwarded {
            let told = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
            edits.set(FORWARDED, forwarded(arrival.client.addr(), told, secure));
        }
        if let Some(host) = host {
            edits.set(X_FORWARDED_HOST, host);
        }
        let address = address(arrival.client.addr());
        edits.set(X_FORWARDED_FOR, address.clone());
        edits.set(X_REAL_IP, address);
        edits.set(X_FORWARDED_PROTO, if secure { HTTPS } else { HTTP });
        edits.set(X_REQUEST_ID, arrival.request_id_value.clone());
        arrival.trace.pass_on(edits);
    }
}

fn address(client: IpAddr) -> HeaderValue {
    let mut text = BytesMut::with_capacity(ADDRESS_BYTES_MAX);
    match client {
        IpAddr::V4(ip) => {
            for (place, octet) in ip.octets().into_iter().enumerate() {
                if place > 0 {
                    text.extend_from_slice(b".");
                }
                text.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        IpAddr::V6(ip) => {
            // Writing into memory can't fail.
            let _ = write!(text, "{ip}");
        }
    }
    value(text)
}

/// RFC 7239 section 6: an IPv6 address is quoted and in brackets.
fn forwarded(client: IpAddr, authority: &str, secure: bool) -> HeaderValue {
    let proto = if secure { "https" } else { "http" };
    let mut text = BytesMut::with_capacity(ADDRESS_BYTES_MAX + authority.len() + 32);
    let _ = match client {
        IpAddr::V6(ip) => write!(text, "for=\"[{ip}]\";host=\"{authority}\";proto={proto}"),
        IpAddr::V4(ip) => write!(text, "for={ip};host=\"{authority}\";proto={proto}"),
    };
    value(text)
}

/// Addresses and checked authorities hold no byte that a field's value may not.
fn value(text: BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.freeze()).unwrap_or(HeaderValue::from_static(""))
}

fn port(authority: &str, secure: bool) -> HeaderValue {
    match port_of(authority, secure) {
        80 => HeaderValue::from_static("80"),
        443 => HeaderValue::from_static("443"),
        port => HeaderValue::from(port),
    }
}

fn port_of(authority: &str, secure: bool) -> u16 {
    split(authority).and_then(|(_, port)| port).unwrap_or(if secure { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use palisade_config::{Inputs, Seed, load};

    use super::*;

    #[test]
    fn listed_hosts_are_passed_on_as_they_were_sent() {
        let listed = "hosts = [\"www.app.example\", \"app.example:8443\"]";
        let any = "hosts = [\"*\"]\ninsecure_any_host = true";
        for (hosts, authority, passed_on) in [
            (listed, "app.example", false),
            (listed, "APP.example:81", false),
            (listed, "localhost", false),
            (listed, "www.app.example", true),
            (listed, "WWW.app.example", true),
            (listed, "www.app.example:443", true),
            (listed, "www.app.example:81", false),
            (listed, "app.example:8443", true),
            (any, "app.example:81", false),
            (any, "other.example", true),
            (any, "localhost:3000", true),
        ] {
            let text =
                format!("[app]\nupstream = \"http://127.0.0.1:1\"\npublic_url = \"https://app.example\"\n{hosts}\n");
            let (snapshot, _) = load(&Inputs::text("test.toml", text), Seed([0; 16])).map_err(|_| "config").unwrap();
            let names = Names::new(&snapshot.app);
            assert_eq!(names.renamed(authority).is_none(), passed_on, "{authority} with {hosts}");
        }
    }

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
