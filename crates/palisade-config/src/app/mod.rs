//! The application behind the gateway, and how both are reached.

mod address;
mod compile;
mod forwarding;
mod own;
pub(crate) mod raw;
mod tls;
mod upstream;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use palisade_core::words;
use palisade_policy::host::Authority;

pub use address::{PublicUrl, ServerAddress, WebScheme};
pub(crate) use compile::compile;
pub(crate) use forwarding::Overrides;
pub use forwarding::{Forwarding, ForwardingTable};
pub use tls::{CertificateFiles, Tls};
pub use upstream::{Server, ServerGroup};

/// `[app]` without what belongs to routes and to the edge.
#[derive(Clone, Debug)]
pub struct App {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Worker threads; `None`: one per core.
    pub workers: Option<NonZeroUsize>,
    /// The address that people know.
    pub public_url: Option<PublicUrl>,
    /// Which further hosts are served.
    pub hosts: ServedHosts,
    /// How requests go to the application.
    pub protocol: UpstreamProtocol,
    /// Who speaks HTTP/1.1.
    pub engine: Engine,
    /// What the application sees as `Host`.
    pub host_header: HostHeader,
    /// Whether `Forwarded` is sent.
    pub forwarded: bool,
    /// The longest head of a request, in bytes.
    pub header_bytes_max: usize,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once from one address.
    pub connections_per_address_max: usize,
    /// Requests at once per server of the application.
    pub in_flight_max: usize,
    /// For the first byte of a request, and from there for its head.
    pub header_timeout: Duration,
    /// For the next request on a kept connection.
    pub idle_timeout: Duration,
    /// TLS for clients.
    pub tls: Option<Tls>,
    /// Whether a changed file is taken over by itself.
    pub watch: bool,
    /// How long connections are still accepted after a stop was asked for.
    pub drain_delay: Duration,
    /// How long requests in flight then have.
    pub drain: Duration,
}

/// Which hosts are served beside that of `public_url` and loopback names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServedHosts {
    /// Every host.
    Any,
    /// These.
    Listed(Vec<Authority>),
}

/// How requests go to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 without TLS, by prior knowledge.
    H2c,
}

/// What the application sees as `Host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The public host.
    Keep,
    /// Its own address.
    Upstream,
}

/// The HTTP/1.1 engine, both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Palisade's.
    Own,
    /// hyper.
    Hyper,
}

words! { UpstreamProtocol: "http1" = Self::Http1, "h2" = Self::H2, "h2c" = Self::H2c }
words! { HostHeader: "keep" = Self::Keep, "upstream" = Self::Upstream }

words! { Engine: "own" = Self::Own, "hyper" = Self::Hyper }
