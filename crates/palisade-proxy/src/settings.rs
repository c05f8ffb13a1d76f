//! What is known of an application before the first request.

use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;

/// Servers that answer for one application, and how to talk to them. Equal settings mean that the
/// connections of a running [`Upstream`](crate::Upstream) may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The servers, at least one and at most 64.
    pub servers: Vec<Address>,
    /// The protocol spoken with them.
    pub protocol: Protocol,
    /// Who speaks HTTP/1.1.
    pub engine: Engine,
    /// What they see in `Host`.
    pub host: HostHeader,
    /// Certificates in PEM that are trusted instead of the public ones.
    pub private_ca: Option<Arc<[u8]>>,
}

/// The protocol spoken with the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 without TLS, from the first byte.
    H2c,
}

/// The engine of HTTP/1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// `palisade-http1`.
    #[default]
    Own,
    /// hyper.
    Hyper,
}

/// What the application sees in `Host`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// What the caller put there.
    #[default]
    Keep,
    /// The authority of the server that is used.
    Upstream,
}

/// Time limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, all addresses of a name together.
    pub connect: Duration,
    /// For the TLS handshake.
    pub tls: Duration,
    /// From the request's last byte to the answer's head.
    pub response: Duration,
    /// Between bytes of the answer's body.
    pub body_idle: Duration,
    /// The same for event streams and tunnels.
    pub stream_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            tls: Duration::from_secs(2),
            response: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            stream_idle: Duration::from_secs(600),
        }
    }
}
