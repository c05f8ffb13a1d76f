//! The socket of an HTTP/1.1 connection, as the engine sees it: one message at a time, in time,
//! and nothing that has two readings.
//!
//! Between socket and engine this keeps three promises that the engine doesn't:
//!
//! 1. **Nothing malformed reaches it.** A [`Follower`] sees every byte first. What the engine finds
//!    wrong all the same, it would answer without a body; those answers are swallowed and replaced.
//! 2. **A request waits for the answer before it.** Bytes of the next message are held back until
//!    the exchange is over, so the engine never holds two requests, and an answer on the socket
//!    always belongs to the one message that was let through.
//! 3. **Every phase has its time.** One timer per connection, moved when it fires or when a phase
//!    with a nearer end begins; an ordinary request moves it never and reads no clock.
//!
//! Once the connection is a tunnel (WebSocket), bytes pass untouched and without a time limit.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use hyper::rt::{Read, ReadBufCursor, Write};
use palisade_core::Reason;
use palisade_http1::Fault;
use tokio::time::{Instant, Sleep};

use super::answer;
use super::exchange::Exchange;
use super::message::{Followed, Follower};
use super::pace::Pace;
use super::stream::{Scratch, Transport};
use crate::counters::ConnectionLimit;
use crate::limits::{Limits, look_every};

/// A socket under the watch.
#[derive(Debug)]
pub(crate) struct Watch<T> {
    io: T,
    limits: Arc<Limits>,
    exchange: Arc<Exchange>,
    follower: Follower,
    /// Bytes read and not yet given to the engine: the first ones, and those of the next message.
    held: BytesMut,
    times: Times,
    timer: Pin<Box<Sleep>>,
    ending: Option<Ending>,
}

/// Why the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With an answer of ours: what was read is no request.
    Refuse(Reason, Option<ConnectionLimit>),
    /// Without a word.
    Close(ConnectionLimit),
    /// What the client doesn't read is thrown away.
    Reset(ConnectionLimit),
    /// After the service's answer: the request's body failed.
    Body(Reason, Option<ConnectionLimit>),
}

#[derive(Debug)]
struct Times {
    opened: Instant,
    /// The engine has got no byte yet.
    fresh: bool,
    head_since: Option<Instant>,
    body: Pace,
    answer: Pace,
    /// When the connection was first seen idle, and how many requests it had had.
    idle: Option<(Instant, u64)>,
}

/// The most of a next message that is read while the service works on the one before.
const AHEAD_BYTES: usize = 4096;

impl<T: Transport> Watch<T> {
    /// Watches a connection whose first bytes may have been read already.
    pub(crate) fn new(io: T, first: BytesMut, limits: &Arc<Limits>, exchange: &Arc<Exchange>) -> Self {
        let now = Instant::now();
        Self {
            io,
            limits: Arc::clone(limits),
            exchange: Arc::clone(exchange),
            follower: Follower::new(limits.message),
            times: Times {
                opened: now,
                fresh: true,
                head_since: None,
                body: Pace::new(limits.pace),
                answer: Pace::new(limits.pace),
                idle: None,
            },
            held: first,
            timer: Box::pin(tokio::time::sleep(limits.first_byte)),
            ending: None,
        }
    }

    /// The socket, why it was ended if not by the engine, and whether the client may still be
    /// sending a message that nobody will read.
    pub(crate) fn into_parts(self) -> (T, Option<Ending>, bool) {
        let unread = self.follower.is_in_body() || !self.held.is_empty();
        (self.io, self.ending, unread)
    }

    /// An error for the engine once the connection has ended; a failed body ends only reading.
    fn ended(&self) -> Option<io::Error> {
        self.ending.map(|ending| {
            io::Error::from(match ending {
                Ending::Refuse(..) | Ending::Body(Reason::HttpMalformed, _) => io::ErrorKind::InvalidData,
                Ending::Close(_) | Ending::Reset(_) | Ending::Body(..) => io::ErrorKind::TimedOut,
            })
        })
    }

    fn end(&mut self, ending: Ending) -> io::Error {
        self.ending = Some(ending);
        self.ended().unwrap_or_else(|| io::ErrorKind::TimedOut.into())
    }

    /// Gives the engine those bytes that belong to this message, and holds the others.
    fn give(&mut self, bytes: &[u8], cursor: &mut ReadBufCursor<'_>) -> io::Result<()> {
        if std::mem::take(&mut self.times.fresh) {
            // The timer was set for the first byte. From here on the connection may become idle,
            // and nobody says when.
            self.bring_forward(Instant::now() + look_every(self.limits.idle));
        }
        if self.times.body.is_waiting() {
            self.times.body.moved(bytes.len(), Instant::now());
        } else {
            self.times.body.gain(bytes.len());
        }
        let Followed { used, fault } = self.follower.follow(bytes);
        if let Some(fault) = fault {
            let (reason, limit) = answer::refusal_of(fault);
            if !self.follower.is_in_body() {
                return Err(self.end(Ending::Refuse(reason, limit)));
            }
            // The service gets to know of the request, and with the next read of its body's end.
            let error = self.end(Ending::Body(reason, limit));
            cursor.put_slice(bytes.get(..used).unwrap_or_default());
            return if used == 0 { Err(error) } else { Ok(()) };
        }
        if !self.follower.is_in_head() {
            self.times.head_since = None;
        } else if self.times.head_since.is_none() {
            let now = Instant::now();
            self.times.head_since = Some(now);
            self.bring_forward(now + self.limits.head);
        }
        if let Some((own, next)) = bytes.split_at_checked(used) {
            cursor.put_slice(own);
            self.held.extend_from_slice(next);
        }
        Ok(())
    }

    /// The engine looks whether the client is still there while the service works. Bytes that come
    /// are the next message's.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            let mut scratch = Scratch::take();
            match scratch.poll_fill(&mut self.io, context, AHEAD_BYTES) {
                Poll::Ready(Ok([])) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(bytes)) => self.held.extend_from_slice(bytes),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {}
            }
        }
        self.poll_timer(context)
    }

    fn poll_message(&mut self, context: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let room = cursor.remaining();
        if !self.held.is_empty() {
            let mut rest = std::mem::take(&mut self.held);
            let bytes = rest.split_to(room.min(rest.len()));
            let given = self.give(&bytes, &mut cursor);
            self.held.unsplit(rest);
            return Poll::Ready(given);
        }
        let mut scratch = Scratch::take();
        match scratch.poll_fill(&mut self.io, context, room) {
            Poll::Ready(Ok([])) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(bytes)) => Poll::Ready(self.give(bytes, &mut cursor)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if self.follower.is_in_body() && !self.times.body.is_waiting() {
                    let deadline = self.times.body.wait(Instant::now());
                    self.bring_forward(deadline);
                }
                self.poll_timer(context)
            }
        }
    }

    /// What passes once the connection is a tunnel.
    fn poll_tunnel(&mut self, context: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let room = cursor.remaining();
        if !self.held.is_empty() {
            let bytes = self.held.split_to(room.min(self.held.len()));
            cursor.put_slice(&bytes);
            return Poll::Ready(Ok(()));
        }
        let mut scratch = Scratch::take();
        scratch.poll_fill(&mut self.io, context, room).map_ok(|bytes| cursor.put_slice(bytes))
    }

    fn bring_forward(&mut self, at: Instant) {
        if at < self.timer.deadline() {
            self.timer.as_mut().reset(at);
        }
    }

    /// Pending, unless a time is over.
    fn poll_timer<R>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        while self.timer.as_mut().poll(context).is_ready() {
            match self.judge(Instant::now()) {
                Ok(next) => self.timer.as_mut().reset(next),
                Err(ending) => return Poll::Ready(Err(self.end(ending))),
            }
        }
        Poll::Pending
    }

    /// When to look again, or what is over.
    fn judge(&mut self, now: Instant) -> Result<Instant, Ending> {
        let due = |at: Instant, ending: Ending| if now >= at { Err(ending) } else { Ok(at) };
        let mut next = now + look_every(self.limits.idle);
        if let Some(at) = self.times.answer.deadline() {
            next = next.min(due(at, Ending::Reset(ConnectionLimit::SlowReader))?);
        }
        if let Some(at) = self.times.body.deadline() {
            let slow = Ending::Body(Reason::HttpTimeout, Some(ConnectionLimit::SlowBody));
            next = next.min(due(at, slow)?);
        } else if let Some(since) = self.times.head_since {
            let slow = Ending::Refuse(Reason::HttpTimeout, Some(ConnectionLimit::HeadTime));
            next = next.min(due(since + self.limits.head, slow)?);
        } else if self.times.fresh {
            let at = self.times.opened + self.limits.first_byte;
            next = next.min(due(at, Ending::Close(ConnectionLimit::FirstByte))?);
        }
        let busy = self.times.fresh || self.follower.is_in_head() || self.follower.is_in_body();
        if busy || self.exchange.is_open() || !self.held.is_empty() {
            self.times.idle = None;
            return Ok(next);
        }
        // Idle connections are many, so when the last answer ended isn't noted anywhere: the time
        // counts from the first look that found the connection idle.
        let requests = self.exchange.begun();
        let since = match self.times.idle {
            Some((since, before)) if before == requests => since,
            Some(_) | None => now,
        };
        self.times.idle = Some((since, requests));
        Ok(next.min(due(since + self.limits.idle, Ending::Close(ConnectionLimit::Idle))?))
    }

    fn wrote(&mut self, bytes: usize) {
        if self.times.answer.is_waiting() {
            self.times.answer.moved(bytes, Instant::now());
        } else {
            self.times.answer.gain(bytes);
        }
    }

    fn write_blocked<R>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        if !self.times.answer.is_waiting() {
            let deadline = self.times.answer.wait(Instant::now());
            self.bring_forward(deadline);
        }
        self.poll_timer(context)
    }

    /// Whether the engine may write: what it writes without a request having been asked about is
    /// an answer of its own, which is replaced.
    fn may_write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if self.exchange.is_tunnel() {
            return Ok(true);
        }
        match self.ending {
            Some(Ending::Refuse(..)) => return Ok(false),
            Some(Ending::Close(_) | Ending::Reset(_)) => return Err(io::ErrorKind::TimedOut.into()),
            Some(Ending::Body(..)) | None => {}
        }
        if self.exchange.is_called() {
            return Ok(true);
        }
        let (reason, limit) = match bytes.get(9..12) {
            Some(b"431") => answer::refusal_of(Fault::HeadTooLarge),
            Some(b"414") => answer::refusal_of(Fault::TargetTooLong),
            Some(_) | None => answer::refusal_of(Fault::Malformed),
        };
        self.ending = Some(Ending::Refuse(reason, limit));
        Ok(false)
    }
}

impl<T: Transport> Read for Watch<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let watch = self.get_mut();
        if watch.exchange.is_tunnel() {
            return watch.poll_tunnel(context, cursor);
        }
        if let Some(error) = watch.ended() {
            return Poll::Ready(Err(error));
        }
        if watch.follower.is_complete() {
            if watch.exchange.is_open() || !watch.exchange.is_called() || watch.times.answer.is_waiting() {
                return watch.poll_ahead(context);
            }
            watch.follower.begin();
            watch.exchange.begin_message();
            watch.times.body = Pace::new(watch.limits.pace);
            watch.times.answer = Pace::new(watch.limits.pace);
        }
        watch.poll_message(context, cursor)
    }
}

impl<T: Transport> Write for Watch<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let watch = self.get_mut();
        if !watch.may_write(bytes)? {
            return Poll::Ready(Ok(bytes.len()));
        }
        match Pin::new(&mut watch.io).poll_write(context, bytes) {
            Poll::Ready(result) => Poll::Ready(result.inspect(|written| watch.wrote(*written))),
            Poll::Pending => watch.write_blocked(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let watch = self.get_mut();
        if !watch.may_write(slices.first().map_or(&[], |slice| slice))? {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        match Pin::new(&mut watch.io).poll_write_vectored(context, slices) {
            Poll::Ready(result) => Poll::Ready(result.inspect(|written| watch.wrote(*written))),
            Poll::Pending => watch.write_blocked(context),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let watch = self.get_mut();
        match Pin::new(&mut watch.io).poll_flush(context) {
            Poll::Ready(result) => {
                if watch.times.answer.is_waiting() {
                    watch.wrote(0);
                }
                // The engine took "nothing to read" for an answer while bytes of the next message
                // were held back; nobody else will wake it for them.
                if !watch.held.is_empty() && watch.follower.is_complete() && !watch.exchange.is_open() {
                    context.waker().wake_by_ref();
                }
                Poll::Ready(result)
            }
            Poll::Pending => watch.write_blocked(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let watch = self.get_mut();
        if let Some(Ending::Refuse(..)) = watch.ending {
            // Our own answer is still to be written.
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut watch.io).poll_shutdown(context) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending if watch.exchange.is_tunnel() => Poll::Pending,
            Poll::Pending => watch.write_blocked(context),
        }
    }
}
