//! A client's socket, encrypted or not, and how bytes are read from it.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::admission::Slot;
use crate::counters::{Counters, Engine};

/// A client's socket. What it counts for goes with it, also into a tunnel.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    _slot: Slot,
    _opened: Opened,
}

/// A socket, encrypted or not.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// An open connection of some protocol, counted.
#[derive(Debug)]
struct Opened {
    counters: Arc<Counters>,
    engine: Engine,
}

/// What connections are made of; in tests also a pipe.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}

/// A buffer that all connections of a thread read into, one after the other.
///
/// What is read is copied on by whoever needs it: it may still be refused, idle connections hold no
/// buffer for it, and the engine's own buffer, which isn't initialized, can be written without
/// `unsafe` only by copying.
pub(crate) struct Scratch(Vec<u8>);

/// The most that is read at once.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Stream {
    /// A socket whose protocol is known.
    pub(crate) fn new(socket: Socket, engine: Engine, slot: Slot, counters: &Arc<Counters>) -> Self {
        counters.connection_opened(engine);
        Self { socket, _slot: slot, _opened: Opened { counters: Arc::clone(counters), engine } }
    }

    /// Makes closing throw away what the client doesn't take, so that the kernel need not keep it.
    pub(crate) fn reset_on_close(&self) {
        let socket = match &self.socket {
            Socket::Plain(socket) => socket,
            Socket::Encrypted(stream) => stream.get_ref().0,
        };
        // If it fails, the kernel gives up by itself, only later.
        let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.counters.connection_closed(self.engine);
    }
}

impl Scratch {
    /// The thread's buffer; given back when dropped.
    pub(crate) fn take() -> Self {
        let mut bytes = SCRATCH.take();
        if bytes.is_empty() {
            bytes = vec![0; SCRATCH_BYTES];
        }
        Self(bytes)
    }

    /// Reads at most `room` bytes; none at the end.
    pub(crate) fn poll_fill<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        context: &mut Context<'_>,
        room: usize,
    ) -> Poll<io::Result<&[u8]>> {
        let space = self.0.get_mut(..room.min(SCRATCH_BYTES)).unwrap_or_default();
        let mut buffer = ReadBuf::new(space);
        ready!(Pin::new(io).poll_read(context, &mut buffer))?;
        let filled = buffer.filled().len();
        Poll::Ready(Ok(self.0.get(..filled).unwrap_or_default()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.set(std::mem::take(&mut self.0));
    }
}

/// Writes all of `bytes`, then flushes.
pub(crate) async fn write_all<T: AsyncWrite + Unpin>(io: &mut T, mut bytes: &[u8]) -> io::Result<()> {
    std::future::poll_fn(|context| {
        while !bytes.is_empty() {
            let written = ready!(Pin::new(&mut *io).poll_write(context, bytes))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Pin::new(&mut *io).poll_flush(context)
    })
    .await
}

/// Says that nothing more comes, then reads and throws away what the client still sends, at most
/// `bytes_max`: closing with unread bytes would reset the connection and destroy the last answer on
/// its way.
pub(crate) async fn linger<T: Transport>(io: &mut T, mut bytes_max: usize) -> io::Result<()> {
    std::future::poll_fn(|context| Pin::new(&mut *io).poll_shutdown(context)).await?;
    while bytes_max > 0 {
        let read =
            std::future::poll_fn(|context| Scratch::take().poll_fill(io, context, bytes_max).map_ok(<[u8]>::len))
                .await?;
        if read == 0 {
            break;
        }
        bytes_max -= read;
    }
    Ok(())
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Socket::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Socket::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Socket::Encrypted(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(socket) => socket.is_write_vectored(),
            Socket::Encrypted(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(context),
            Socket::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
