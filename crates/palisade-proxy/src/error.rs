//! What can go wrong on the way to the application and back.

use std::error::Error;
use std::io;

use palisade_core::{Reason, chain};

use crate::address::Address;

/// Settings that no connection could be made with.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No server.
    #[error("an application needs at least one server")]
    NoServer,
    /// More servers than are kept apart.
    #[error("an application has at most 64 servers")]
    TooManyServers,
    /// HTTP/2 over TLS with an address without TLS.
    #[error("protocol h2 needs https addresses, {0} is none; for HTTP/2 without TLS it is h2c")]
    NeedsTls(Address),
    /// HTTP/2 without TLS with an address with TLS.
    #[error("protocol h2c is HTTP/2 without TLS, {0} has it; with TLS it is h2")]
    NeedsNoTls(Address),
    /// The private certificates could not be read.
    #[error("the private CA holds no certificate in PEM")]
    PrivateCa,
    /// A private certificate is none.
    #[error("a certificate of the private CA can't be used")]
    Certificate(#[source] rustls::Error),
    /// The host can't be written into a header.
    #[error("the host of {0} can't be sent in a header")]
    Authority(Address),
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("the name could not be looked up")]
    Resolve(#[source] io::Error),
    /// No address accepted the connection.
    #[error("no connection was accepted")]
    Connect(#[source] io::Error),
    /// The time was up.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The TLS handshake failed.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The TLS handshake took too long.
    #[error("no TLS handshake in time")]
    TlsTimeout,
    /// HTTP/2 was asked for and the server didn't choose it.
    #[error("the server did not agree to speak HTTP/2")]
    Protocol,
    /// The protocol's first messages failed.
    #[error("the connection failed at its first bytes")]
    Handshake(#[source] hyper::Error),
}

/// Why a request has no answer.
#[derive(Debug)]
pub enum Failure {
    /// The application is why.
    Upstream {
        /// What the client is told.
        reason: Reason,
        /// What the operator is told.
        detail: String,
    },
    /// The request's own body failed while it was sent: the client left, or a limit was reached.
    /// The caller's body knows more.
    Body(Box<dyn Error + Send + Sync>),
}

/// Why an answer's body ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection closed.
    #[error("the application's answer broke off")]
    Cut(#[source] Box<dyn Error + Send + Sync>),
    /// Its framing broke.
    #[error("the application's answer is malformed")]
    Malformed(#[source] Box<dyn Error + Send + Sync>),
    /// Nothing came for too long.
    #[error("the application's answer paused for too long")]
    Idle,
}

impl From<hyper::Error> for BodyError {
    fn from(error: hyper::Error) -> Self {
        if is_framing(&error) { Self::malformed(error) } else { Self::cut(error) }
    }
}

impl BodyError {
    pub(crate) fn cut(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Cut(Box::new(error))
    }

    pub(crate) fn malformed(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Malformed(Box::new(error))
    }

    /// What the record says.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::UpstreamMalformed,
            Self::Cut(_) => Reason::UpstreamReset,
            Self::Idle => Reason::UpstreamTimeout,
        }
    }
}

impl Failure {
    /// What the record says; nothing if the application isn't why.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Upstream { reason, .. } => Some(*reason),
            Self::Body(_) => None,
        }
    }

    pub(crate) fn upstream(reason: Reason, error: &(dyn Error + 'static)) -> Self {
        Self::Upstream { reason, detail: chain(error) }
    }
}

/// Whether a body ended because its chunks are none, and not because nothing more came: the kinds
/// that the engine gives to bytes it can't read.
fn is_framing(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData))
}
