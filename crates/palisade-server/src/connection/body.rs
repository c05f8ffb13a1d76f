//! The bodies on both sides of the service: the request's, whose reader learns why it ended, and
//! the answer's, which marks the end of the exchange.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
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
pub struct RequestBody(Source);

enum Source {
    None,
    /// Of our own engine, and how much of it is to come, if that is known.
    Intake(Rc<dyn Intake>, Option<u64>),
    Hyper(Box<HyperBody>),
}

/// A connection from which a request's body is read.
pub(crate) trait Intake {
    /// The next part.
    fn poll_frame(&self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>>;

    /// Whether all of it was read.
    fn is_complete(&self) -> bool;
}

struct HyperBody {
    inner: Incoming,
    /// For HTTP/2, where streams share a socket; in HTTP/1.1 the socket has the pace.
    pace: Option<StreamPace>,
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
    /// Nothing.
    pub(crate) fn none() -> Self {
        Self(Source::None)
    }

    /// A body that is read from its connection.
    pub(crate) fn of_intake(intake: Rc<dyn Intake>, length: Option<u64>) -> Self {
        Self(Source::Intake(intake, length))
    }

    /// A body of hyper whose socket has the pace.
    pub(crate) fn of_connection(inner: Incoming) -> Self {
        Self(Source::Hyper(Box::new(HyperBody { inner, pace: None, rule: None })))
    }

    /// A body of hyper that has a pace of its own.
    pub(crate) fn of_stream(inner: Incoming, rule: PaceRule, counters: Arc<Counters>) -> Self {
        Self(Source::Hyper(Box::new(HyperBody { inner, pace: None, rule: Some((rule, counters)) })))
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestBody")
    }
}

impl HyperBody {
    /// The client is waited for; whether it took too long. The timer exists only for bodies that
    /// are waited for, and is moved only when it fires.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((rule, counters)) = &self.rule else {
            return Poll::Pending;
        };
        let pace = self.pace.get_or_insert_with(|| StreamPace {
            pace: Pace::new(*rule),
            timer: Box::pin(tokio::time::sleep(rule.grace)),
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

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
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
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Source::None => Poll::Ready(None),
            Source::Hyper(body) => body.poll_frame(context),
            Source::Intake(intake, left) => {
                let polled = intake.poll_frame(context);
                if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, left) {
                    *left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::None => true,
            Source::Intake(intake, _) => intake.is_complete(),
            Source::Hyper(body) => body.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::None => SizeHint::with_exact(0),
            Source::Intake(_, left) => left.map_or_else(SizeHint::default, SizeHint::with_exact),
            Source::Hyper(body) => body.inner.size_hint(),
        }
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
