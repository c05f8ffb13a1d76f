//! HTTP/2 connections: shared by many requests at once.
//!
//! One connection takes a hundred streams before a second one is opened, up to eight. Only one
//! request opens a connection at a time; the others wait for it and use it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;

use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::body::{Outgoing, Progress, Streamable};
use crate::connect::{Speak, Tls, connect};
use crate::error::ConnectError;
use crate::server::{Flight, Server};
use crate::settings::Timeouts;
use crate::wire::Wire;

/// Streams of one connection before another one is opened.
const STREAMS_MAX: u32 = 100;

/// Connections to one server.
const LINES_MAX: usize = 8;

/// The largest head of an answer.
const HEAD_MAX: u32 = 64 * 1024;

/// Bytes of one answer that may be on their way without having been taken.
const WINDOW: u32 = 1 << 20;

/// A connection.
pub(crate) struct Line<B: 'static> {
    sender: RefCell<SendRequest<Outgoing<B>>>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) streams: Cell<u32>,
}

/// A stream.
pub(crate) struct Lease<B: 'static> {
    pub(crate) flight: Flight<B>,
    pub(crate) line: Rc<Line<B>>,
    /// Of the request's body, if it has one.
    pub(crate) progress: Option<Rc<Progress>>,
}

#[derive(Clone, Copy, Debug)]
struct Local;

/// A connection with room for one more request.
pub(crate) fn pick<B>(server: &Server<B>) -> Option<Rc<Line<B>>> {
    let lines = server.shared.borrow();
    let emptiest = lines.iter().filter(|line| line.is_usable()).min_by_key(|line| line.streams.get())?;
    let full = emptiest.streams.get() >= STREAMS_MAX;
    (!full || lines.len() >= LINES_MAX).then(|| Rc::clone(emptiest))
}

/// A new connection, or the one that somebody else has opened in the meantime.
pub(crate) async fn acquire<B: Streamable>(
    server: &Rc<Server<B>>,
    tls: Option<&Tls>,
    timeouts: Timeouts,
) -> Result<Rc<Line<B>>, ConnectError> {
    let dial = async {
        let _turn = server.dialing.acquire().await;
        match pick(server) {
            Some(line) => Ok(line),
            None => dial(server, tls, timeouts).await,
        }
    };
    // Those who wait for others to dial wait no longer than if they had dialed.
    timeout(timeouts.connect + timeouts.tls, dial).await.unwrap_or(Err(ConnectError::ConnectTimeout))
}

async fn dial<B: Streamable>(
    server: &Rc<Server<B>>,
    tls: Option<&Tls>,
    timeouts: Timeouts,
) -> Result<Rc<Line<B>>, ConnectError> {
    let connected = connect(&server.address, server.resolver.as_ref(), tls, Speak::Http2, timeouts).await?;
    let (wire, _) = Wire::new(connected.stream);
    let mut builder = Builder::new(Local);
    builder
        .max_header_list_size(HEAD_MAX)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW);
    let (sender, connection) = builder.handshake(TokioIo::new(wire)).await.map_err(ConnectError::Handshake)?;
    let line = Rc::new(Line { sender: RefCell::new(sender), peer: connected.peer, streams: Cell::new(0) });
    server.open.set(server.open.get() + 1);
    let weak = Rc::downgrade(server);
    // The task ends with its connection, and the connection with the last sender.
    spawn_local(async move {
        // What became of the connection, each of its requests has heard.
        let _ = connection.await;
        if let Some(server) = weak.upgrade() {
            server.open.set(server.open.get().saturating_sub(1));
            server.shared.borrow_mut().retain(|line| line.is_usable());
        }
    });
    server.shared.borrow_mut().retain(|line| line.is_usable());
    server.shared.borrow_mut().push(Rc::clone(&line));
    Ok(line)
}

impl<B> Line<B> {
    pub(crate) fn is_usable(&self) -> bool {
        !self.sender.borrow().is_closed()
    }

    /// Lends a stream to a request.
    pub(crate) fn lend(self: Rc<Self>, flight: Flight<B>, progress: Option<Rc<Progress>>) -> Lease<B> {
        self.streams.set(self.streams.get() + 1);
        Lease { flight, line: self, progress }
    }
}

impl<B: Streamable> Line<B> {
    pub(crate) fn sender(&self) -> SendRequest<Outgoing<B>> {
        self.sender.borrow().clone()
    }
}

impl<B> Lease<B> {
    /// The connection has gone silent: new requests don't use it.
    pub(crate) fn retire(&self) {
        self.flight.server.shared.borrow_mut().retain(|line| !Rc::ptr_eq(line, &self.line));
    }
}

impl<B> Drop for Lease<B> {
    fn drop(&mut self) {
        self.line.streams.set(self.line.streams.get().saturating_sub(1));
        if let Some(progress) = &self.progress
            && progress.ended().is_none()
        {
            progress.cancel();
        }
    }
}

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        // Streams of a connection: they end with it.
        spawn_local(future);
    }
}
