//! The bodies on both sides of the service: the request's, whose reader learns why it ended, and
//! the answer's, which marks the end of the exchange.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use palisade_core::Reason;
use tokio::time::{Instant, Sleep};

use super::exchange::Open;
use super::pace::Pace;
use crate::counters::{ConnectionLimit, Counters};
use crate::limits::PaceRule;

/// A request's body as the client sends it.
#[derive(Debug)]
pub struct RequestBody {
    inner: Incoming,
    /// For HTTP/2, where streams share a socket; in HTTP/1.1 the socket has the pace.
    pace: Option<Box<StreamPace>>,
    rule: Option<(PaceRule, Arc<Counters>)>,
}

/// A request's body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Its framing has two readings, or none.
    #[error("the body's framing is malformed")]
    Malformed,
    /// It came too slowly.
    #[error("the body came too slowly")]
    TooSlow,
    /// The client left.
    #[error("the client left before the end of the body")]
    Disconnected,
}

#[derive(Debug)]
struct StreamPace {
    pace: Pace,
    timer: Pin<Box<Sleep>>,
}

/// An answer's body on its way to the client.
#[derive(Debug)]
pub(crate) struct AnswerBody<B> {
    inner: B,
    open: Open,
}

impl BodyError {
    /// The reason of a refusal; `None` if there is nobody left to refuse.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Malformed => Some(Reason::HttpMalformed),
            Self::TooSlow => Some(Reason::HttpTimeout),
            Self::Disconnected => None,
        }
    }

    fn of(error: &hyper::Error) -> Self {
        let mut source: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = source {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return match io.kind() {
                    io::ErrorKind::TimedOut => Self::TooSlow,
                    io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Self::Malformed,
                    _ => Self::Disconnected,
                };
            }
            if let Some(h2) = error.downcast_ref::<h2::Error>() {
                // Of our own finding are errors of framing, such as a length that isn't kept.
                return if h2.is_remote() || h2.is_io() { Self::Disconnected } else { Self::Malformed };
            }
            source = error.source();
        }
        Self::Disconnected
    }
}

impl RequestBody {
    /// A body whose socket has the pace.
    pub(crate) fn of_connection(inner: Incoming) -> Self {
        Self { inner, pace: None, rule: None }
    }

    /// A body that has a pace of its own.
    pub(crate) fn of_stream(inner: Incoming, rule: PaceRule, counters: Arc<Counters>) -> Self {
        Self { inner, pace: None, rule: Some((rule, counters)) }
    }

    /// The client is waited for; whether it took too long. The timer exists only for bodies that
    /// are waited for, and is moved only when it fires.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((rule, counters)) = &self.rule else {
            return Poll::Pending;
        };
        let pace = self.pace.get_or_insert_with(|| {
            Box::new(StreamPace { pace: Pace::new(*rule), timer: Box::pin(tokio::time::sleep(rule.grace)) })
        });
        if !pace.pace.is_waiting() {
            let deadline = pace.pace.wait(Instant::now());
            if deadline < pace.timer.deadline() {
                pace.timer.as_mut().reset(deadline);
            }
        }
        while pace.timer.as_mut().poll(context).is_ready() {
            match pace.pace.deadline() {
                Some(deadline) if deadline > Instant::now() => pace.timer.as_mut().reset(deadline),
                Some(_) | None => {
                    counters.limit_acted(ConnectionLimit::SlowBody);
                    return Poll::Ready(());
                }
            }
        }
        Poll::Pending
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(pace) = &mut self.pace {
                    pace.pace.moved(frame.data_ref().map_or(0, Bytes::len), Instant::now());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::of(&error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.wait(context).map(|()| Some(Err(BodyError::TooSlow))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> AnswerBody<B> {
    /// The engine asks for its first bytes only once the client's window has room for one.
    pub(crate) fn new(inner: B, mut open: Open) -> Self {
        open.handed_over();
        Self { inner, open }
    }
}

impl<B: Body + Unpin> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.open.asked();
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        match &frame {
            Poll::Ready(Some(Ok(_))) => self.open.handed_over(),
            Poll::Ready(Some(Err(_))) => self.open.breaks(),
            Poll::Ready(None) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
