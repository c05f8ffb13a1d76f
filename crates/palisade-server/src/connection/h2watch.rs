//! The socket of an HTTP/2 connection, as the engine sees it: followed frame by frame, and in
//! time.
//!
//! The meter sees the bytes of both directions; what it calls a flood ends the connection. One
//! timer per connection knows of the first byte, of header blocks that don't end, of readers that
//! don't read, and of connections without a stream. Slow request bodies are the stream's own
//! ([`RequestBody`](super::body::RequestBody)).
//!
//! The engine writes and flushes each large DATA frame alone. What it writes is gathered here until
//! it has said all it can, so that the answers of many streams leave with one system call.
//!
//! A client can also refuse to read by keeping its windows closed, or by opening them a byte at a
//! time, and then nothing is blocked here. So the DATA of the connection as a whole has a pace
//! while any answer waits for a window. Nobody says when such a wait begins or ends; it is asked at
//! every look.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Instant, Sleep};

use super::exchange::Exchange;
use super::frames;
use super::h2guard::FrameMeter;
use super::pace::Pace;
use super::stream::{Scratch, Transport};
use crate::counters::ConnectionLimit;
use crate::limits::{Limits, look_every};

/// What is gathered before it has to be written.
const GATHERED_MAX: usize = 64 << 10;

/// What of it stays allocated.
const KEPT_MAX: usize = 4 << 10;

/// A socket under the watch, shared between the engine and whoever says goodbye.
#[derive(Debug)]
pub(crate) struct Shared<T>(Rc<RefCell<H2Watch<T>>>);

#[derive(Debug)]
pub(crate) struct H2Watch<T> {
    io: T,
    limits: Arc<Limits>,
    exchange: Arc<Exchange>,
    meter: FrameMeter,
    /// Written by the engine and not yet sent.
    out: BytesMut,
    /// Bytes read before the protocol was known.
    first: BytesMut,
    opened: Instant,
    fresh: bool,
    head_since: Option<Instant>,
    answer: Pace,
    idle: Option<(Instant, u64)>,
    /// What the client's windows let through, and the bytes of DATA up to the last look.
    windows: (Pace, u64),
    timer: Pin<Box<Sleep>>,
    ending: Option<H2Ending>,
}

/// Why the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum H2Ending {
    /// Politely: no request for too long.
    Idle,
    /// Without a word.
    Close(ConnectionLimit),
    /// With `ENHANCE_YOUR_CALM`.
    Flood(ConnectionLimit),
    /// What the client doesn't read is thrown away.
    Reset(ConnectionLimit),
}

impl<T: Transport> Shared<T> {
    /// Watches a connection whose first bytes may have been read already.
    pub(crate) fn new(io: T, first: BytesMut, limits: &Arc<Limits>, exchange: &Arc<Exchange>) -> Self {
        let now = Instant::now();
        Self(Rc::new(RefCell::new(H2Watch {
            io,
            limits: Arc::clone(limits),
            exchange: Arc::clone(exchange),
            meter: FrameMeter::new(&limits.h2, now),
            fresh: true,
            out: BytesMut::new(),
            first,
            opened: now,
            head_since: None,
            answer: Pace::new(limits.pace),
            idle: None,
            windows: (Pace::new(limits.pace), 0),
            timer: Box::pin(tokio::time::sleep(limits.first_byte)),
            ending: None,
        })))
    }

    /// The engine's end of it.
    pub(crate) fn engine_end(&self) -> Self {
        Self(Rc::clone(&self.0))
    }

    /// Why the connection ends, if it does.
    pub(crate) fn ending(&self) -> Option<H2Ending> {
        self.0.borrow().ending
    }

    /// Sends what the engine has written. To be asked after each time that the engine was.
    pub(crate) fn poll_send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let watch = &mut *self.0.borrow_mut();
        ready!(watch.poll_out(context))?;
        match Pin::new(&mut watch.io).poll_flush(context) {
            Poll::Ready(result) => {
                if watch.answer.is_waiting() {
                    watch.answer.moved(0, Instant::now());
                }
                Poll::Ready(result)
            }
            Poll::Pending => watch.write_blocked(context),
        }
    }

    /// The socket, once the engine is gone, and what to write to it at the end: what is left of the
    /// engine's, and after a flood the last word if there is a place for one.
    pub(crate) fn into_parts(self) -> Option<(T, BytesMut)> {
        let watch = Rc::into_inner(self.0)?.into_inner();
        let (mut last, meter) = (watch.out, watch.meter);
        if matches!(watch.ending, Some(H2Ending::Flood(_))) && meter.is_at_boundary() {
            last.extend_from_slice(&frames::calm_down(meter.last_stream()));
        }
        Some((watch.io, last))
    }
}

impl<T: Transport> H2Watch<T> {
    fn end<R>(&mut self, ending: H2Ending) -> Poll<io::Result<R>> {
        self.ending = Some(ending);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_read(&mut self, context: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if let Some(H2Ending::Close(_) | H2Ending::Flood(_) | H2Ending::Reset(_)) = self.ending {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let room = cursor.remaining();
        if !self.first.is_empty() {
            let bytes = self.first.split_to(room.min(self.first.len()));
            cursor.put_slice(&bytes);
            return self.received(&bytes);
        }
        let mut scratch = Scratch::take();
        match scratch.poll_fill(&mut self.io, context, room) {
            Poll::Ready(Ok(bytes)) => {
                cursor.put_slice(bytes);
                self.received(bytes)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_timer(context),
        }
    }

    fn received(&mut self, bytes: &[u8]) -> Poll<io::Result<()>> {
        let now = Instant::now();
        if !bytes.is_empty() && std::mem::take(&mut self.fresh) {
            // The timer was set for the first byte; nobody says when the connection becomes idle.
            self.bring_forward(now + self.look());
        }
        if let Err(limit) = self.meter.received(bytes, now) {
            return self.end(H2Ending::Flood(limit));
        }
        if !self.meter.is_in_head() {
            self.head_since = None;
        } else if self.head_since.is_none() {
            self.head_since = Some(now);
            self.bring_forward(now + self.limits.head);
        }
        Poll::Ready(Ok(()))
    }

    fn sent(&mut self, slices: &[IoSlice<'_>], mut written: usize) -> io::Result<usize> {
        let (total, now) = (written, Instant::now());
        for slice in slices {
            let here = written.min(slice.len());
            written -= here;
            if let Err(limit) = self.meter.sent(slice.get(..here).unwrap_or_default(), now) {
                self.ending = Some(H2Ending::Flood(limit));
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(total)
    }

    /// Takes as much of what the engine writes as there is room for.
    fn poll_gather(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.out.len() >= GATHERED_MAX {
            ready!(self.poll_out(context))?;
        }
        let mut taken = 0;
        for slice in slices {
            let room = GATHERED_MAX.saturating_sub(self.out.len());
            let here = slice.get(..room.min(slice.len())).unwrap_or_default();
            self.out.extend_from_slice(here);
            taken += here.len();
        }
        Poll::Ready(self.sent(slices, taken))
    }

    /// Writes what was gathered.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            match Pin::new(&mut self.io).poll_write(context, &self.out) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => {
                    self.answer.moved(written, Instant::now());
                    self.out.advance(written);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.write_blocked(context),
            }
        }
        // Idle connections are many.
        if self.out.capacity() > KEPT_MAX {
            self.out = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    fn write_blocked<R>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        if !self.answer.is_waiting() {
            let deadline = self.answer.wait(Instant::now());
            self.bring_forward(deadline);
        }
        self.poll_timer(context)
    }

    fn bring_forward(&mut self, at: Instant) {
        if at < self.timer.deadline() {
            self.timer.as_mut().reset(at);
        }
    }

    /// Pending, unless a time is over.
    fn poll_timer<R>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            match self.judge(now) {
                Ok(next) => self.timer.as_mut().reset(next),
                // The engine goes on until it has said goodbye, within the time of a last look.
                Err(H2Ending::Idle) if self.ending.is_none() => {
                    self.ending = Some(H2Ending::Idle);
                    self.timer.as_mut().reset(now + self.limits.linger);
                    context.waker().wake_by_ref();
                }
                Err(H2Ending::Idle) => return self.end(H2Ending::Close(ConnectionLimit::Idle)),
                Err(ending) => return self.end(ending),
            }
        }
        Poll::Pending
    }

    fn look(&self) -> Duration {
        look_every(self.limits.idle.min(self.limits.pace.pause))
    }

    /// When to look again, or what is over.
    fn judge(&mut self, now: Instant) -> Result<Instant, H2Ending> {
        let due = |at: Instant, ending: H2Ending| if now >= at { Err(ending) } else { Ok(at) };
        let mut next = now + self.look();
        if self.ending == Some(H2Ending::Idle) && !self.exchange.is_open() {
            return Err(H2Ending::Idle);
        }
        if let Some(at) = self.answer.deadline() {
            next = next.min(due(at, H2Ending::Reset(ConnectionLimit::SlowReader))?);
        }
        if let Some(since) = self.head_since {
            next = next.min(due(since + self.limits.head, H2Ending::Close(ConnectionLimit::HeadTime))?);
        }
        if self.fresh {
            let at = self.opened + self.limits.first_byte;
            return Ok(next.min(due(at, H2Ending::Close(ConnectionLimit::FirstByte))?));
        }
        let (pace, before) = &mut self.windows;
        let sent = self.meter.data_sent();
        let moved = sent.saturating_sub(std::mem::replace(before, sent));
        pace.moved(usize::try_from(moved).unwrap_or(usize::MAX), now);
        if self.exchange.waits_for_window() {
            next = next.min(due(pace.wait(now), H2Ending::Flood(ConnectionLimit::SlowReader))?);
        }
        let idle = (!self.exchange.is_open()).then(|| self.exchange.begun());
        self.idle = since(self.idle, idle, now);
        if let Some((since, _)) = self.idle {
            next = next.min(due(since + self.limits.idle, H2Ending::Idle)?);
        }
        Ok(next)
    }
}

/// Since when something is as it is: `mark` is its number, `None` if it isn't so.
fn since(before: Option<(Instant, u64)>, mark: Option<u64>, now: Instant) -> Option<(Instant, u64)> {
    match (before, mark) {
        (Some((since, old)), Some(mark)) if old == mark => Some((since, mark)),
        (_, Some(mark)) => Some((now, mark)),
        (_, None) => None,
    }
}

impl<T: Transport> Read for Shared<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_read(context, cursor)
    }
}

impl<T: Transport> Write for Shared<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_gather(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_gather(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever asks the engine sends it.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let watch = &mut *self.0.borrow_mut();
        ready!(watch.poll_out(context))?;
        match Pin::new(&mut watch.io).poll_shutdown(context) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => watch.write_blocked(context),
        }
    }
}
