//! An answer's body on its way to the client.
//!
//! It ends well only if the application ended it. A connection that closes earlier, or a pause
//! that is too long, is an error: a cut answer must never look like a whole one. With the end,
//! the connection goes back to the pool; a body that is dropped before closes it, because the
//! client has left and the application should stop.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::admission::Permit;
use crate::body::Streamable;
use crate::deadline::Deadline;
use crate::error::BodyError;
use crate::lease::Lease;
use crate::trailers::Trailers;

/// The body of an answer. It holds the request's place in flight until it ends or is dropped.
pub struct ResponseBody<B: 'static> {
    /// Where it comes from; `None` as soon as it ended, well or not.
    lease: Option<Lease<B>>,
    permit: Option<Permit>,
    trailers: Trailers,
    deadline: Deadline,
    idle: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Flowing,
    /// The application is waited for.
    Waiting,
    /// It broke off: there is no more, and it isn't whole.
    Broken,
}

/// What a body is made of.
pub(crate) struct Source<B: 'static> {
    pub(crate) lease: Lease<B>,
    pub(crate) permit: Option<Permit>,
    pub(crate) trailers: Trailers,
    pub(crate) deadline: Deadline,
    pub(crate) idle: Duration,
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(source: Source<B>) -> Self {
        let Source { lease, permit, trailers, deadline, idle } = source;
        let ended = lease.is_complete();
        let mut body = Self { lease: Some(lease), permit, trailers, deadline, idle, state: State::Flowing };
        if ended {
            body.end();
        }
        body
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.finish();
        }
        self.permit = None;
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.lease = None;
        self.permit = None;
        self.state = State::Broken;
        Poll::Ready(Some(Err(error)))
    }
}

impl<B: Streamable> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(lease) = &mut this.lease else { return Poll::Ready(None) };
        // Asked for more, the client has taken what it was given; until then it was waited for.
        if let Some(permit) = &this.permit {
            permit.place().step_back();
        }
        let frame = match lease.poll_frame(context) {
            Poll::Pending => {
                // The time runs only while the application is waited for, not while the client
                // takes what it has.
                if this.state == State::Flowing {
                    this.state = State::Waiting;
                    this.deadline.set(this.idle);
                }
                return match this.deadline.poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => this.fail(BodyError::Idle),
                };
            }
            Poll::Ready(None) => {
                this.end();
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => return this.fail(error),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        this.state = State::Flowing;
        match frame.into_trailers() {
            Ok(fields) => {
                this.end();
                Poll::Ready(this.trailers.keep(fields).map(|fields| Ok(Frame::trailers(fields))))
            }
            Err(data) => {
                if lease.is_complete() {
                    this.end();
                } else if let Some(permit) = &this.permit {
                    permit.place().step_aside();
                }
                Poll::Ready(Some(Ok(data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_none() && self.state != State::Broken
    }

    fn size_hint(&self) -> SizeHint {
        self.lease.as_ref().map_or(SizeHint::with_exact(0), Lease::size_hint)
    }
}

impl<B> std::fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").field("ended", &self.lease.is_none()).finish_non_exhaustive()
    }
}
