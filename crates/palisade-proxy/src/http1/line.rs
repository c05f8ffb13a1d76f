//! A connection of our own engine: a socket and what was read from it.
//!
//! Nobody drives it while it is idle. Whether the server has closed it is seen when it is taken:
//! the runtime has noticed by then, so that asking costs no system call.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use palisade_http1::{Decoder, Framing, Limits, Outbox, ResponseParser};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::Switched;
use crate::connect::{Speak, Tls, connect};
use crate::error::ConnectError;
use crate::server::Server;
use crate::settings::Timeouts;
use crate::wire::{Stream, Wire, is_gone};

/// A connection.
pub(crate) struct Line {
    stream: Stream,
    /// Read and not yet understood.
    pub(crate) input: BytesMut,
    /// To be written.
    pub(crate) outbox: Outbox,
    pub(crate) parser: ResponseParser,
    /// Of the answer's body.
    pub(crate) decoder: Decoder,
    /// Bytes that came since the last request began.
    pub(crate) read: u64,
    /// Bytes that were written since then.
    pub(crate) written: u64,
    /// Room for the next read.
    room: usize,
    writing: Writing,
    peer: Option<SocketAddr>,
    counted: Counted,
}

/// One of a server's open connections.
pub(crate) struct Counted(Rc<Cell<u32>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Open,
    /// The server takes no more. It may have answered before it closed, so the answer is still
    /// read; what it has not taken is not sent.
    Refused,
}

/// Room for the head of an answer, and the whole of most.
const ROOM_MIN: usize = 4 << 10;

/// Room for a body that comes faster than it is read.
const ROOM_MAX: usize = 64 << 10;

impl Line {
    /// Opens a connection.
    pub(crate) async fn dial<B>(
        server: &Rc<Server<B>>,
        tls: Option<&Tls>,
        timeouts: Timeouts,
    ) -> Result<Box<Self>, ConnectError> {
        let connected = connect(&server.address, server.resolver.as_ref(), tls, Speak::Http1, timeouts).await?;
        Ok(Box::new(Self {
            stream: connected.stream,
            input: BytesMut::new(),
            outbox: Outbox::default(),
            parser: ResponseParser::new(Limits::ANSWER),
            decoder: Decoder::new(Framing::None, &Limits::ANSWER),
            read: 0,
            written: 0,
            room: ROOM_MIN,
            writing: Writing::Open,
            peer: connected.peer,
            counted: Counted::new(&server.open),
        }))
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Whether the server has neither closed it nor said anything unasked.
    pub(crate) fn is_usable(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut byte = [0];
        let mut read = || Pin::new(&mut self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte));
        self.writing == Writing::Open && self.input.is_empty() && read().is_pending()
    }

    /// Begins a request.
    pub(crate) fn begin(&mut self) {
        (self.read, self.written, self.room) = (0, 0, ROOM_MIN);
    }

    /// Gives its buffers back.
    pub(crate) fn rest(&mut self) {
        (self.input, self.outbox) = (BytesMut::new(), Outbox::default());
    }

    /// Reads more; nothing at the end. Who reads without pause is given more room.
    pub(crate) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(self.room);
        let count = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(context))?;
        self.read += count as u64;
        if count == self.room && self.room < ROOM_MAX {
            self.room *= 2;
        }
        Poll::Ready(Ok(count))
    }

    /// Sends what is to be written. An error is final; pending is also what a server makes it that
    /// takes no more.
    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writing == Writing::Refused {
            return Poll::Pending;
        }
        let sent = ready!(self.poll_send(context));
        match sent {
            Err(error) if is_gone(&error) => {
                self.writing = Writing::Refused;
                Poll::Pending
            }
            sent => Poll::Ready(sent),
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let sent = {
                let slices = self.outbox.slices();
                match slices.as_slice() {
                    [only] => ready!(Pin::new(&mut self.stream).poll_write(context, only))?,
                    several => ready!(Pin::new(&mut self.stream).poll_write_vectored(context, several))?,
                }
            };
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += sent as u64;
            self.outbox.advance(sent);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// The socket, once the protocol was switched. It counts as open until the tunnel has ended.
    pub(crate) fn into_switched(self) -> Switched {
        let Self { stream, input, counted, .. } = self;
        Switched { wire: Wire::new(stream).0, first: input.freeze(), counted: Some(counted) }
    }
}

impl Counted {
    fn new(open: &Rc<Cell<u32>>) -> Self {
        open.set(open.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
