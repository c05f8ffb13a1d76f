//! A request's body on its way to the application.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use palisade_core::Monotonic;

use crate::admission::Place;
use crate::ambient::Ambient;
use crate::retry::Payload;
use crate::trailers::Trailers;

/// What a request's body has to be; every body that is `Unpin` and made of [`Bytes`] is.
pub trait Streamable: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + 'static {}

impl<B> Streamable for B where B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + 'static {}

/// What a request carries.
#[derive(Debug)]
pub enum RequestBody<B> {
    /// Nothing.
    Empty,
    /// A body that is read while it is sent, once.
    Streamed(B),
}

/// The body that the connection reads from.
pub(crate) enum Outgoing<B> {
    Empty,
    /// On the heap, so that what has none doesn't carry the room for it about.
    Streamed(Box<Streaming<B>>),
}

/// A body on its way.
pub(crate) struct Streaming<B> {
    body: B,
    trailers: Trailers,
    progress: Rc<Progress>,
}

/// How far a body was sent, seen from outside of the connection that sends it.
pub(crate) struct Progress {
    ambient: Rc<Ambient>,
    frames: Cell<u64>,
    ended: Cell<Option<Monotonic>>,
    error: RefCell<Option<Box<dyn Error + Send + Sync>>>,
    canceled: Cell<bool>,
    waker: Cell<Option<Waker>>,
    /// The request's place in flight.
    place: Option<Rc<Place>>,
}

/// What the connection is told when the body fails; the error itself is kept in [`Progress`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyFailed;

impl<B: Body> RequestBody<B> {
    /// A body, or nothing if it is known to be empty.
    pub fn new(body: B) -> Self {
        if body.is_end_stream() { Self::Empty } else { Self::Streamed(body) }
    }

    /// Whether there is something to send.
    pub fn payload(&self) -> Payload {
        match self {
            Self::Empty => Payload::Empty,
            Self::Streamed(_) => Payload::Streamed,
        }
    }
}

impl<B> Outgoing<B> {
    pub(crate) fn new(
        body: RequestBody<B>,
        trailers: Trailers,
        ambient: &Rc<Ambient>,
        place: impl FnOnce() -> Option<Rc<Place>>,
    ) -> Self {
        match body {
            RequestBody::Empty => Self::Empty,
            RequestBody::Streamed(body) => {
                let progress = Progress {
                    ambient: Rc::clone(ambient),
                    frames: Cell::new(0),
                    ended: Cell::new(None),
                    error: RefCell::new(None),
                    canceled: Cell::new(false),
                    waker: Cell::new(None),
                    place: place(),
                };
                Self::Streamed(Box::new(Streaming { body, trailers, progress: Rc::new(progress) }))
            }
        }
    }

    pub(crate) fn progress(&self) -> Option<Rc<Progress>> {
        match self {
            Self::Empty => None,
            Self::Streamed(streaming) => Some(Rc::clone(&streaming.progress)),
        }
    }
}

impl Progress {
    /// Grows with everything that is sent.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.get()
    }

    /// When the last byte was handed to the connection.
    pub(crate) fn ended(&self) -> Option<Monotonic> {
        self.ended.get()
    }

    /// Why the body could not be read to its end.
    pub(crate) fn take_error(&self) -> Option<Box<dyn Error + Send + Sync>> {
        self.error.borrow_mut().take()
    }

    /// The rest is not to be sent: the exchange is over.
    pub(crate) fn cancel(&self) {
        self.canceled.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn end(&self) {
        if self.ended.get().is_none() {
            self.ended.set(Some(self.ambient.now()));
        }
    }
}

impl<B: Streamable> Body for Outgoing<B> {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let Self::Streamed(streaming) = self.get_mut() else { return Poll::Ready(None) };
        let Streaming { body, trailers, progress } = &mut **streaming;
        if progress.canceled.get() {
            return Poll::Ready(Some(Err(BodyFailed)));
        }
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) else {
            progress.waker.set(Some(context.waker().clone()));
            if let Some(place) = &progress.place {
                place.step_aside();
            }
            return Poll::Pending;
        };
        if let Some(place) = &progress.place {
            place.step_back();
        }
        progress.frames.set(progress.frames.get() + 1);
        let frame = match frame {
            None => {
                progress.end();
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                *progress.error.borrow_mut() = Some(error.into());
                return Poll::Ready(Some(Err(BodyFailed)));
            }
            Some(Ok(frame)) => frame,
        };
        match frame.into_trailers() {
            Ok(fields) => {
                progress.end();
                Poll::Ready(trailers.keep(fields).map(|fields| Ok(Frame::trailers(fields))))
            }
            Err(data) => {
                if body.is_end_stream() {
                    progress.end();
                }
                Poll::Ready(Some(Ok(data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streamed(streaming) => streaming.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed(streaming) => streaming.body.size_hint(),
        }
    }
}

impl fmt::Display for BodyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body failed")
    }
}

impl Error for BodyFailed {}
