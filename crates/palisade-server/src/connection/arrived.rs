//! A request as its engine hands it over, and the socket that it may ask for.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::Method;
use palisade_core::Protocol;
use palisade_http1::Text;
use palisade_proxy::Hints;
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::RequestBody;
use super::framing::Malformed;

/// A request. `H` holds its fields, as the engine keeps them.
pub struct Arrived<H> {
    /// The method.
    pub method: Method,
    /// The protocol.
    pub protocol: Protocol,
    /// A path and perhaps a query, or `*`: never a scheme or an authority.
    pub target: Text,
    /// The authority that was asked for, empty if none was.
    pub authority: Text,
    /// The fields.
    pub head: H,
    /// The body.
    pub body: RequestBody,
    /// What is wrong with the head, if something is: it must not be acted upon.
    pub malformed: Option<Malformed>,
    /// Who tells the client of early hints, if it can be told.
    pub hints: Option<Rc<dyn Hints>>,
    /// The client's socket, for whoever answers with a 101.
    pub upgrade: Option<Upgrade>,
}

/// Both directions of a socket.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// Becomes the client's socket once the 101 was sent; nothing if the connection ended before.
pub struct Upgrade(Pin<Box<Becoming>>);

type Becoming = dyn Future<Output = Option<Box<dyn Duplex>>>;

impl Upgrade {
    /// From whatever an engine gives.
    pub(crate) fn new(socket: impl Future<Output = Option<Box<dyn Duplex>>> + 'static) -> Self {
        Self(Box::pin(socket))
    }
}

impl Future for Upgrade {
    type Output = Option<Box<dyn Duplex>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl std::fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upgrade")
    }
}
