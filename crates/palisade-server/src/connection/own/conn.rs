//! A connection's socket, what was read from it, and what is to be written.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Frame;
use palisade_core::Reason;
use palisade_http1::write::{self, Writable};
use palisade_http1::{Decoded, Decoder, Fields, Framing, Outbox, Piece, Request, RequestParser};
use palisade_proxy::{Deadlines, Hints};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::times::{Late, Times};
use crate::connection::arrived::Duplex;
use crate::connection::body::{BodyError, Intake};
use crate::connection::stream::{Scratch, Transport};
use crate::connection::{Close, answer};
use crate::counters::{ConnectionLimit, Counters};
use crate::limits::Limits;

/// The state of a connection.
pub(crate) struct Conn<T> {
    /// Gone once somebody else has it.
    io: Option<T>,
    input: BytesMut,
    outbox: Outbox,
    parser: RequestParser,
    decoder: Decoder,
    limits: Arc<Limits>,
    times: Times,
    body: BodyState,
    /// Who waits for the body, if that isn't the connection's own task.
    reader: Option<Waker>,
    counters: Option<Arc<Counters>>,
}

/// A connection that its own task and the request's body share. Nobody keeps it borrowed: whoever
/// uses it does so within [`Shared::with`], which ends before anything else is asked.
pub(crate) struct Shared<T>(RefCell<Conn<T>>);

impl<T> Shared<T> {
    pub(super) fn new(conn: Conn<T>) -> Self {
        Self(RefCell::new(conn))
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Conn<T>) -> R) -> R {
        act(&mut self.0.borrow_mut())
    }
}

/// How far the body of the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyState {
    /// The client waits for a 100 before it sends it.
    Expected,
    Flowing,
    /// It failed, and stays so.
    Failed(BodyError),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// With an answer of ours: what was read is no request.
    Refuse(Reason, Option<ConnectionLimit>),
    /// A limit acted.
    Limit(ConnectionLimit, Close),
    /// The client left, or has nothing more to say.
    Left,
}

/// The most of a head that is read at once, and of a next message while the service works on the
/// one before.
const HEAD_BYTES: usize = 16 << 10;
const AHEAD_BYTES: usize = 4 << 10;

/// A body of which more than this is missing is read in large pieces, uncopied.
const LARGE: u64 = 16 << 10;
const LARGE_BYTES: usize = 64 << 10;

impl<T: Transport> Conn<T> {
    pub(super) fn new(io: T, first: BytesMut, limits: &Arc<Limits>, deadlines: &Rc<Deadlines>) -> Self {
        Self {
            io: Some(io),
            input: first,
            outbox: Outbox::default(),
            parser: RequestParser::new(limits.message),
            decoder: Decoder::new(Framing::None, &limits.message),
            limits: Arc::clone(limits),
            times: Times::new(limits, deadlines),
            body: BodyState::Flowing,
            reader: None,
            counters: None,
        }
    }

    /// The next request. `None` if it didn't come at once: the buffers are given back.
    pub(super) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        draining: bool,
    ) -> Poll<Result<Option<Request>, Over>> {
        loop {
            match self.parser.parse(&mut self.input) {
                Ok(Some(request)) => return Poll::Ready(Ok(Some(request))),
                Ok(None) => {}
                Err(fault) => {
                    let (reason, limit) = answer::refusal_of(fault);
                    return Poll::Ready(Err(Over::Refuse(reason, limit)));
                }
            }
            if self.parser.has_begun() {
                self.times.head(&self.limits);
            }
            let Some(io) = &mut self.io else { return Poll::Ready(Err(Over::Left)) };
            match Scratch::take().poll_fill(io, context, HEAD_BYTES) {
                Poll::Ready(Ok([]) | Err(_)) => return Poll::Ready(Err(Over::Left)),
                Poll::Ready(Ok(bytes)) => self.input.extend_from_slice(bytes),
                // A request that is there already is still answered.
                Poll::Pending if draining && !self.parser.has_begun() => return Poll::Ready(Err(Over::Left)),
                Poll::Pending => return self.poll_late(context).map(|over| over.map_or(Ok(None), Err)),
            }
        }
    }

    /// A request's head was read, and its body follows.
    pub(super) fn begin_request(&mut self, framing: Framing, expects_continue: bool, counters: &Arc<Counters>) {
        self.decoder = Decoder::new(framing, &self.limits.message);
        // Who sends the body without waiting needs no 100.
        let waits = expects_continue && !self.decoder.is_complete() && self.input.is_empty();
        self.body = if waits { BodyState::Expected } else { BodyState::Flowing };
        self.counters.get_or_insert_with(|| Arc::clone(counters));
        self.times.exchange();
    }

    /// An answer begins: from here on a 100 would come too late.
    pub(super) fn begin_answer<R>(&mut self, write: impl FnOnce(&mut Outbox) -> R) -> R {
        if self.body == BodyState::Expected {
            self.body = BodyState::Flowing;
        }
        write(&mut self.outbox)
    }

    /// An exchange is over and the connection is kept.
    pub(super) fn rest(&mut self) {
        self.reader = None;
        self.times.idle();
    }

    /// Whether the client may still be sending what nobody will read.
    pub(super) fn is_unread(&self) -> bool {
        !self.decoder.is_complete() || !self.input.is_empty()
    }

    /// Whether the rest of the body is known to be short, or nothing is known against it. Who waits
    /// for a 100 may send its body or the next request, so that nobody knows what comes.
    pub(super) fn can_drain(&self, bytes_max: u64) -> bool {
        self.body == BodyState::Flowing && self.decoder.remaining().is_none_or(|bytes| bytes <= bytes_max)
    }

    /// Reads the rest of the body and throws it away. False if it doesn't end soon.
    pub(super) fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let mut left = super::DRAINED_MAX;
        loop {
            match self.poll_body(context) {
                Poll::Pending => return self.poll_times(context).map(|_| false),
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
                Poll::Ready(Some(Ok(frame))) => {
                    let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                    match left.checked_sub(bytes) {
                        Some(rest) => left = rest,
                        None => return Poll::Ready(false),
                    }
                }
            }
        }
    }

    /// Looks after the client while others work: ready when the connection is over.
    pub(super) fn poll_watch(&mut self, context: &mut Context<'_>) -> Poll<Over> {
        while self.decoder.is_complete() && self.input.len() < AHEAD_BYTES {
            let Some(io) = &mut self.io else { break };
            match Scratch::take().poll_fill(io, context, AHEAD_BYTES) {
                Poll::Ready(Ok([]) | Err(_)) => return Poll::Ready(Over::Left),
                Poll::Ready(Ok(bytes)) => self.input.extend_from_slice(bytes),
                Poll::Pending => break,
            }
        }
        self.poll_times(context)
    }

    /// Ready when the connection's time is over.
    fn poll_times(&mut self, context: &mut Context<'_>) -> Poll<Over> {
        loop {
            if let Some(over) = ready!(self.poll_late(context)) {
                return Poll::Ready(over);
            }
        }
    }

    /// The same, and ready without an end when the buffers were given back. A body that comes too
    /// slowly only fails: the service may still answer, and the answer has a time of its own.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Option<Over>> {
        loop {
            match ready!(self.times.poll(context)) {
                Late::Connection(over) => return Poll::Ready(Some(over)),
                Late::Body => {
                    self.times.end_body();
                    self.fail(BodyError::TooSlow);
                    if let Some(reader) = self.reader.take() {
                        reader.wake();
                    }
                }
                // Idle connections are many.
                Late::Buffers => {
                    (self.input, self.outbox) = (BytesMut::new(), Outbox::default());
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// Where an answer is put.
    pub(super) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Writes what there is.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Over>> {
        match self.poll_send(context) {
            Poll::Ready(sent) => Poll::Ready(sent.map_err(|_| Over::Left)),
            Poll::Pending => {
                self.times.wait_answer();
                self.poll_times(context).map(Err)
            }
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        let mut io = Pin::new(io);
        while !self.outbox.is_empty() {
            let sent = {
                let slices = self.outbox.slices();
                match slices.as_slice() {
                    [only] => ready!(io.as_mut().poll_write(context, only))?,
                    several => ready!(io.as_mut().poll_write_vectored(context, several))?,
                }
            };
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.times.taken(sent);
            self.outbox.advance(sent);
        }
        io.poll_flush(context)
    }

    /// The next part of the body.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.body {
            BodyState::Failed(error) => return Poll::Ready(Some(Err(error))),
            BodyState::Flowing => {}
            BodyState::Expected => {
                self.body = BodyState::Flowing;
                self.outbox.buffer().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                // Whatever isn't taken at once leaves with the answer.
                let _ = self.poll_send(context);
            }
        }
        loop {
            match self.decoder.decode(&mut self.input) {
                Ok(Decoded::Piece(Piece::Data(data))) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Piece(Piece::Trailers(fields))) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(_) => return Poll::Ready(Some(Err(self.fail(BodyError::Malformed)))),
            }
            match self.poll_read(context) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Some(Err(self.fail(BodyError::Disconnected)))),
                Poll::Ready(Ok(bytes)) => self.times.came(bytes),
                Poll::Pending => {
                    // The connection's own task looks at the times; it wakes whoever reads.
                    self.times.wait_body();
                    self.reader = Some(context.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }

    /// Reads more of a body: what is long in large pieces, everything else by way of the scratch.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(0)) };
        if self.decoder.remaining().is_some_and(|bytes| bytes > LARGE) {
            self.input.reserve(LARGE_BYTES);
            return pin!(io.read_buf(&mut self.input)).poll(context);
        }
        let mut scratch = Scratch::take();
        let bytes = ready!(scratch.poll_fill(io, context, HEAD_BYTES))?;
        self.input.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn fail(&mut self, error: BodyError) -> BodyError {
        if error == BodyError::TooSlow
            && !matches!(self.body, BodyState::Failed(_))
            && let Some(counters) = &self.counters
        {
            counters.limit_acted(ConnectionLimit::SlowBody);
        }
        self.body = BodyState::Failed(error);
        error
    }

    /// The socket, to be closed.
    pub(super) fn take_io(&mut self) -> Option<T> {
        self.io.take()
    }

    /// The socket and what was read from it, for a tunnel.
    pub(super) fn take_duplex(&mut self) -> Option<Box<dyn Duplex>> {
        let first = std::mem::take(&mut self.input).freeze();
        self.io.take().map(|io| Box::new(Rejoined { first, io }) as Box<dyn Duplex>)
    }
}

impl<T: Transport> Hints for Shared<T> {
    /// Only links are hints; what else a 103 holds is about an answer that may still change.
    fn hint(&self, fields: &Fields) {
        self.with(|conn| {
            // Who doesn't take those before has no use for more.
            if !conn.outbox.has_room() {
                return;
            }
            let out = conn.outbox.buffer();
            write::status_line(out, StatusCode::EARLY_HINTS);
            Writable::write(fields, out, &mut |name| name == b"link");
            write::end_of_head(out);
            // Whatever isn't taken at once leaves with the answer.
            let _ = conn.poll_send(&mut Context::from_waker(Waker::noop()));
        });
    }
}

impl<T: Transport> Intake for Shared<T> {
    fn poll_frame(&self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.with(|conn| conn.poll_body(context))
    }

    fn is_complete(&self) -> bool {
        self.with(|conn| conn.decoder.is_complete() && !matches!(conn.body, BodyState::Failed(_)))
    }
}

/// A socket of which something was read already.
struct Rejoined<T> {
    first: Bytes,
    io: T,
}

impl<T: AsyncRead + Unpin> AsyncRead for Rejoined<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let count = buffer.remaining().min(self.first.len());
        buffer.put_slice(&self.first.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rejoined<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
