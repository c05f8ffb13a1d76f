//! Connections of hyper: one request at a time, kept for the next.
//!
//! Each has a task that drives it, also while it is idle, so that a server that closes it is
//! noticed before a request is wasted on it. A connection goes back to the pool when the answer
//! was read and the request was written to their ends; if the writing takes longer, the task
//! returns it when it is through.

use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use palisade_http1::Limits;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, spawn_local};

use crate::body::{Outgoing, Progress, Streamable};
use crate::connect::{Speak, Tls, connect};
use crate::error::ConnectError;
use crate::server::{Flight, Server};
use crate::settings::Timeouts;
use crate::wire::{Meter, Wire};

use super::Switched;

/// The largest head of an answer, and with it the read buffer.
const HEAD_MAX: usize = Limits::ANSWER.head_bytes_max;

/// A connection without a request.
pub(crate) struct Idle<B: 'static> {
    sender: SendRequest<Outgoing<B>>,
    line: Rc<Line<B>>,
}

/// A connection with a request.
pub(crate) struct Lease<B: 'static> {
    pub(crate) flight: Option<Flight<B>>,
    /// Gone as soon as the connection isn't this request's any more.
    pub(crate) sender: Option<SendRequest<Outgoing<B>>>,
    pub(crate) line: Rc<Line<B>>,
    /// Of the request's body, if it has one.
    pub(crate) progress: Option<Rc<Progress>>,
}

/// What the request and the connection's task share.
pub(crate) struct Line<B: 'static> {
    pub(crate) meter: Rc<Meter>,
    peer: Option<SocketAddr>,
    task: OnceCell<AbortHandle>,
    /// A sender that waits for the request to be written to its end.
    returned: Cell<Option<SendRequest<Outgoing<B>>>>,
    /// Who gets the socket when the protocol is switched.
    switch: Cell<Option<oneshot::Sender<Switched>>>,
}

struct Driver<B: Streamable> {
    connection: Option<Connection<TokioIo<Wire>, Outgoing<B>>>,
    line: Rc<Line<B>>,
    server: Weak<Server<B>>,
}

/// Opens a connection.
pub(crate) async fn dial<B: Streamable>(
    server: &Rc<Server<B>>,
    tls: Option<&Tls>,
    timeouts: Timeouts,
) -> Result<Idle<B>, ConnectError> {
    let connected = connect(&server.address, server.resolver.as_ref(), tls, Speak::Http1, timeouts).await?;
    let (wire, meter) = Wire::new(connected.stream);
    let handshake = Builder::new().max_buf_size(HEAD_MAX).max_header_size(HEAD_MAX).handshake(TokioIo::new(wire));
    let (sender, connection) = handshake.await.map_err(ConnectError::Handshake)?;
    let line = Rc::new(Line {
        meter,
        peer: connected.peer,
        task: OnceCell::new(),
        returned: Cell::new(None),
        switch: Cell::new(None),
    });
    server.open.set(server.open.get() + 1);
    let driver = Driver { connection: Some(connection), line: Rc::clone(&line), server: Rc::downgrade(server) };
    // The task ends with its connection, and the connection with the last sender.
    let task = spawn_local(driver);
    let _ = line.task.set(task.abort_handle());
    Ok(Idle { sender, line })
}

impl<B> Idle<B> {
    pub(crate) fn is_usable(&self) -> bool {
        self.sender.is_ready() && !self.sender.is_closed()
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.line.peer
    }

    /// Lends it to a request.
    pub(crate) fn lend(self, flight: Flight<B>, progress: Option<Rc<Progress>>) -> Lease<B> {
        Lease { flight: Some(flight), sender: Some(self.sender), line: self.line, progress }
    }
}

impl<B> Lease<B> {
    /// The answer has ended. The connection is kept unless the request's body hasn't: the
    /// application has answered without it, and must not be sent the rest.
    pub(crate) fn finish(mut self) {
        let (Some(sender), Some(flight)) = (self.sender.take(), &self.flight) else { return };
        if sender.is_closed() {
            return;
        }
        if sender.is_ready() {
            flight.server.put(super::Idle::Hyper(Idle { sender, line: Rc::clone(&self.line) }));
        } else if self.progress.as_ref().is_none_or(|progress| progress.ended().is_some()) {
            self.line.returned.set(Some(sender));
        } else {
            self.line.close();
        }
    }

    /// The protocol will be switched if the application agrees: gives the socket, then.
    pub(crate) fn expect_switch(&self) -> oneshot::Receiver<Switched> {
        let (give, take) = oneshot::channel();
        self.line.switch.set(Some(give));
        take
    }

    /// The protocol was switched: what is left is the place in flight.
    pub(crate) fn into_flight(mut self) -> Option<Flight<B>> {
        self.sender = None;
        self.flight.take()
    }
}

impl<B> Drop for Lease<B> {
    fn drop(&mut self) {
        if self.sender.is_some() {
            self.line.close();
        }
    }
}

impl<B> Line<B> {
    fn close(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl<B: Streamable> Driver<B> {
    /// Takes back a connection whose request was still being written when its answer had ended.
    fn settle(&self) {
        let Some(sender) = self.line.returned.take() else { return };
        if !sender.is_ready() {
            self.line.returned.set(Some(sender));
        } else if let Some(server) = self.server.upgrade() {
            server.put(super::Idle::Hyper(Idle { sender, line: Rc::clone(&self.line) }));
        }
    }
}

impl<B: Streamable> Future for Driver<B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(connection) = &mut this.connection else { return Poll::Ready(()) };
        match connection.poll_without_shutdown(context) {
            Poll::Pending => {
                this.settle();
                Poll::Pending
            }
            Poll::Ready(result) => {
                let connection = this.connection.take();
                if result.is_ok()
                    && let (Some(give), Some(connection)) = (this.line.switch.take(), connection)
                {
                    // The request may have been given up in the meantime; then the socket closes.
                    let parts = connection.into_parts();
                    let (wire, first) = (parts.io.into_inner(), parts.read_buf);
                    let _ = give.send(Switched { wire, first, counted: None });
                }
                Poll::Ready(())
            }
        }
    }
}

impl<B: Streamable> Drop for Driver<B> {
    fn drop(&mut self) {
        if let Some(server) = self.server.upgrade() {
            server.open.set(server.open.get().saturating_sub(1));
        }
    }
}
