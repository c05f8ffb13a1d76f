//! A connected socket, whatever its kind, with what the proxy has to know of its bytes.
//!
//! It counts the bytes that came, since a request may be sent again only if none did. It bounds
//! what may come before an answer's head is complete, since interim answers have no end of their
//! own. And it keeps a failed write to itself until the reading side has ended: an application
//! that refuses an upload answers, then closes; the answer is still to be read when the next
//! write fails.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// The most bytes of interim answers and head before an answer.
const HEADS_MAX: u64 = 1 << 20;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// A socket under a protocol.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    meter: Rc<Meter>,
    write: Write,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Open,
    Failed,
}

/// What came over a socket.
#[derive(Debug)]
pub(crate) struct Meter {
    read: Cell<u64>,
    read_max: Cell<u64>,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> (Self, Rc<Meter>) {
        let meter = Rc::new(Meter { read: Cell::new(0), read_max: Cell::new(u64::MAX) });
        (Self { stream, meter: Rc::clone(&meter), write: Write::Open }, meter)
    }

    fn written<T>(&mut self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Err(error)) if is_gone(&error) => {
                self.write = Write::Failed;
                Poll::Pending
            }
            other => other,
        }
    }
}

impl Meter {
    /// Bytes that came so far.
    pub(crate) fn read(&self) -> u64 {
        self.read.get()
    }

    /// From here to the answer's head only so much may come.
    pub(crate) fn expect_head(&self) {
        self.read_max.set(self.read.get().saturating_add(HEADS_MAX));
    }

    /// The head has come; the body may be long.
    pub(crate) fn expect_body(&self) {
        self.read_max.set(u64::MAX);
    }
}

/// The error of reading more than may come before an answer's head.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many interim answers")]
pub(crate) struct TooMuch;

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let read = this.meter.read.get() + (buffer.filled().len() - before) as u64;
        this.meter.read.set(read);
        if read > this.meter.read_max.get() {
            // An error comes without bytes.
            buffer.set_filled(before);
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.write == Write::Failed {
            return Poll::Pending;
        }
        let result = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.write == Write::Failed {
            return Poll::Pending;
        }
        let result = Pin::new(&mut this.stream).poll_write_vectored(context, parts);
        this.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.write == Write::Failed {
            return Poll::Pending;
        }
        let result = Pin::new(&mut this.stream).poll_flush(context);
        this.written(result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Whether the other end takes no more.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Wire, Rc<Meter>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let (wire, meter) = Wire::new(Stream::Tcp(near));
        (wire, meter, far)
    }

    #[tokio::test]
    async fn an_answer_is_read_though_the_next_write_fails() {
        let (mut wire, _, mut far) = pair().await;
        far.write_all(b"answer").await.unwrap();
        far.set_zero_linger().unwrap();
        drop(far);
        let write = poll_fn(|context| Pin::new(&mut wire).poll_write(context, b"x"));
        let mut write = std::pin::pin!(write);
        let failed = tokio::time::timeout(Duration::from_millis(50), async {
            loop {
                write.as_mut().await.unwrap();
            }
        });
        failed.await.unwrap_err();
        let mut read = [0; 6];
        wire.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"answer");
        // Then the end, one way or the other.
        assert!(!matches!(wire.read(&mut read).await, Ok(1..)));
    }

    #[tokio::test]
    async fn what_comes_is_counted_and_bounded_before_a_head() {
        let (mut wire, meter, mut far) = pair().await;
        far.write_all(b"12345").await.unwrap();
        wire.read_exact(&mut [0; 5]).await.unwrap();
        assert_eq!(meter.read(), 5);
        meter.expect_head();
        let sending = tokio::spawn(async move { far.write_all(&vec![0; 4 << 20]).await });
        let mut all = Vec::new();
        let error = wire.read_to_end(&mut all).await.unwrap_err();
        assert!(error.get_ref().unwrap().is::<TooMuch>());
        assert!(all.len() as u64 <= HEADS_MAX);
        meter.expect_body();
        assert!(wire.read(&mut [0; 16]).await.unwrap() > 0);
        drop(wire);
        let _ = sending.await;
    }
}
