//! The observation of one request: opened at the edge, closed exactly once.
//!
//! It rides in the answer's body and closes when the last byte was handed over, when the client
//! left, or when handling panicked: whatever drops it closes it. Nothing else measures requests.
//!
//! A request costs two clock reads, plus two for every chunk that was waited for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use palisade_core::decision::Facts;
use palisade_core::{Monotonic, Outcome, Reason, Record, Transformation, Watch};

use crate::clock;
use crate::reserve::Reservations;

/// Where a closed record goes.
pub trait Close {
    /// Takes the record of a request that is over.
    fn close(self, record: Box<Record>);
}

/// An open record. Dropping it closes it.
pub struct Observation<C: Close> {
    open: Option<(Box<Record>, C)>,
    intake: Option<Arc<Intake>>,
    /// Settled when the answer is over.
    reservations: Reservations,
    watches: Vec<Box<dyn Watch>>,
    answered: bool,
}

impl<C: Close> Observation<C> {
    /// Opens: `close` is given the record, exactly once.
    pub fn open(record: Box<Record>, close: C) -> Self {
        Self {
            open: Some((record, close)),
            intake: None,
            reservations: Reservations::default(),
            watches: Vec::new(),
            answered: false,
        }
    }

    /// Counts what the client sends as its body, too.
    pub fn takes_in(&mut self, intake: Option<Arc<Intake>>) {
        self.intake = intake;
    }

    /// Keeps reservations until the answer is over, and those who watch it for them.
    pub(crate) fn holds(&mut self, reservations: Reservations, watches: Vec<Box<dyn Watch>>) {
        self.reservations = reservations;
        self.watches = watches;
    }

    /// Settles what was reserved, by what was seen.
    fn conclude(&mut self) {
        if self.watches.is_empty() {
            return;
        }
        let bytes_in = self.intake.as_ref().map_or(0, |intake| intake.bytes.load(Ordering::Relaxed));
        let mut facts = Facts::none();
        facts.extend(self.watches.drain(..).map(|watch| watch.found(bytes_in)).collect());
        self.reservations.conclude(&facts);
    }

    /// Bytes of the answer's body that went another way than through an [`ObservedBody`].
    pub fn carried(&mut self, bytes_in: u64, bytes_out: u64) {
        if let Some(record) = self.record() {
            record.bytes_in += bytes_in;
            record.bytes_out += bytes_out;
        }
        self.complete();
    }

    /// The observation, and in its place one that is over.
    pub fn take(&mut self) -> Self {
        Self {
            open: self.open.take(),
            intake: self.intake.take(),
            reservations: std::mem::take(&mut self.reservations),
            watches: std::mem::take(&mut self.watches),
            answered: self.answered,
        }
    }

    /// The record, to be filled in.
    pub fn record(&mut self) -> Option<&mut Record> {
        self.open.as_mut().map(|(record, _)| &mut **record)
    }

    /// The request failed or was refused for `reason`. If several apply, the gravest outcome stays.
    pub fn failed(&mut self, reason: Reason) {
        if let Some(record) = self.record() {
            record.code = Some(reason);
            record.outcome = record.outcome.max(Outcome::of(reason));
        }
    }

    /// The answer is handed over whole.
    fn complete(&mut self) {
        self.answered = true;
        // Before the last bytes leave: who has them may ask again at once.
        self.conclude();
        self.reservations = Reservations::default();
    }
}

impl<C: Close> Drop for Observation<C> {
    fn drop(&mut self) {
        self.conclude();
        let Some((mut record, close)) = self.open.take() else { return };
        record.duration = clock::monotonic().since(record.now.monotonic);
        if let Some(intake) = &self.intake {
            record.bytes_in += intake.bytes.load(Ordering::Relaxed);
            record.client_wait += Duration::from_nanos(intake.wait_ns.load(Ordering::Relaxed));
        }
        if std::thread::panicking() {
            record.outcome = Outcome::InternalError;
            record.code = Some(Reason::InternalPanic);
        } else if !self.answered && record.outcome < Outcome::ClientLeft && record.code.is_none() {
            record.outcome = Outcome::ClientLeft;
        }
        record.latency = match record.first_byte {
            Some(first) if record.stream => first,
            Some(_) | None => record.duration.saturating_sub(record.client_wait),
        };
        close.close(record);
    }
}

/// What the client sent as its body, shared between the body on its way to the application and
/// the observation.
#[derive(Debug, Default)]
pub struct Intake {
    bytes: AtomicU64,
    wait_ns: AtomicU64,
}

/// A request's body that is counted and bounded while it streams.
#[derive(Debug)]
pub struct IntakeBody<B> {
    body: B,
    /// Nothing for a body that is known to be empty: there is nothing to count.
    intake: Option<Arc<Intake>>,
    left: u64,
    waiting: Option<Monotonic>,
}

/// Why a request's body ended early.
#[derive(Debug)]
pub enum IntakeError<E> {
    /// It is longer than the bound.
    TooLarge,
    /// The client's connection failed.
    Body(E),
}

impl<E> std::fmt::Display for IntakeError<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request's body is longer than allowed",
            Self::Body(_) => "reading the request's body failed",
        })
    }
}

impl<E: std::error::Error + 'static> std::error::Error for IntakeError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLarge => None,
            Self::Body(error) => Some(error),
        }
    }
}

impl<B: Body> IntakeBody<B> {
    /// Lets at most `bytes_max` bytes pass.
    pub fn new(body: B, bytes_max: u64) -> Self {
        let intake = if body.is_end_stream() { None } else { Some(Arc::default()) };
        Self { body, intake, left: bytes_max, waiting: None }
    }

    /// What is counted, shared with whoever wants to know.
    pub fn intake(&self) -> Option<Arc<Intake>> {
        self.intake.clone()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for IntakeBody<B> {
    type Data = Bytes;
    type Error = IntakeError<B::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(context);
        let Some(intake) = &this.intake else {
            return polled.map_err(IntakeError::Body);
        };
        match &polled {
            Poll::Pending => {
                this.waiting.get_or_insert_with(clock::monotonic);
            }
            Poll::Ready(_) => {
                if let Some(since) = this.waiting.take() {
                    let waited = clock::monotonic().since(since).as_nanos();
                    intake.wait_ns.fetch_add(u64::try_from(waited).unwrap_or(u64::MAX), Ordering::Relaxed);
                }
            }
        }
        let Poll::Ready(frame) = polled else { return Poll::Pending };
        if let Some(Ok(frame)) = &frame
            && let Some(chunk) = frame.data_ref()
        {
            let bytes = chunk.len() as u64;
            if bytes > this.left {
                return Poll::Ready(Some(Err(IntakeError::TooLarge)));
            }
            this.left -= bytes;
            intake.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(IntakeError::Body)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body with the observation of its request, and the rewritings it passes through.
pub struct ObservedBody<B: Body, C: Close> {
    body: B,
    blame: fn(&B::Error) -> Reason,
    /// Nothing if the request is observed elsewhere, as a tunnel is.
    observation: Option<Observation<C>>,
    rewritings: Vec<Box<dyn Transformation>>,
    began: Monotonic,
    /// Since when the client has bytes to take.
    handed: Option<Monotonic>,
    /// Since when the application is waited for.
    waiting: Option<Monotonic>,
    /// On the heap: nearly no answer has any.
    trailers: Option<Box<Frame<Bytes>>>,
    ended: bool,
}

impl<B: Body<Data = Bytes> + Unpin, C: Close> ObservedBody<B, C> {
    /// Observes `body` until its end; `blame` names the reason if it breaks before.
    pub fn new(
        body: B,
        blame: fn(&B::Error) -> Reason,
        mut observation: Observation<C>,
        rewritings: Vec<Box<dyn Transformation>>,
    ) -> Self {
        if body.is_end_stream() {
            observation.complete();
        }
        let began = observation.record().map_or(Monotonic::default(), |record| record.now.monotonic);
        Self {
            body,
            blame,
            observation: Some(observation),
            rewritings,
            began,
            handed: None,
            waiting: None,
            trailers: None,
            ended: false,
        }
    }

    /// A body whose request is observed elsewhere.
    pub fn unobserved(body: B, blame: fn(&B::Error) -> Reason) -> Self {
        Self {
            body,
            blame,
            observation: None,
            rewritings: Vec::new(),
            began: Monotonic::default(),
            handed: None,
            waiting: None,
            trailers: None,
            ended: false,
        }
    }

    fn record(&mut self) -> Option<&mut Record> {
        self.observation.as_mut().and_then(Observation::record)
    }

    fn complete(&mut self) {
        if let Some(observation) = &mut self.observation {
            observation.complete();
        }
    }

    fn see(&mut self, chunk: &Bytes) {
        for watch in self.observation.iter_mut().flat_map(|observation| &mut observation.watches) {
            watch.see(chunk);
        }
    }

    fn see_trailers(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let watches = self.observation.iter_mut().flat_map(|observation| &mut observation.watches);
        match frame.into_trailers() {
            Ok(mut trailers) => {
                watches.for_each(|watch| watch.trailers(&mut trailers));
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }
    }

    fn rewrite(&mut self, mut chunk: Bytes) -> Bytes {
        for rewriting in &mut self.rewritings {
            chunk = rewriting.feed(chunk);
        }
        chunk
    }

    /// What the rewritings held back, each passed through those after it.
    fn rest(&mut self) -> Bytes {
        let mut rest = Vec::new();
        for place in 0..self.rewritings.len() {
            let mut later = self.rewritings.iter_mut().skip(place);
            let Some(first) = later.next() else { break };
            let mut chunk = first.end();
            for rewriting in later {
                chunk = rewriting.feed(chunk);
            }
            rest.extend_from_slice(&chunk);
        }
        Bytes::from(rest)
    }

    /// The application's body has ended: first what was held back, then the trailers.
    fn end(&mut self, trailers: Option<Frame<Bytes>>) -> Option<Frame<Bytes>> {
        self.ended = true;
        self.complete();
        let rest = self.rest();
        if rest.is_empty() {
            return trailers;
        }
        self.trailers = trailers.map(Box::new);
        self.count(&rest, clock::monotonic());
        Some(Frame::data(rest))
    }

    /// The application's next frame. The time that it is waited for is noted.
    fn poll_app(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_pending() {
            self.waiting.get_or_insert_with(clock::monotonic);
        } else if let Some(since) = self.waiting.take() {
            let wait = clock::monotonic().since(since);
            if let Some(record) = self.record() {
                record.upstream += wait;
            }
        }
        polled
    }

    fn count(&mut self, chunk: &Bytes, now: Monotonic) {
        let began = self.began;
        if let Some(record) = self.record() {
            record.bytes_out += chunk.len() as u64;
            record.first_byte.get_or_insert_with(|| now.since(began).saturating_sub(record.client_wait));
        }
    }
}

impl<B, C> Body for ObservedBody<B, C>
where
    B: Body<Data = Bytes> + Unpin,
    C: Close + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(this.trailers.take().map(|trailers| Ok(*trailers)));
        }
        if let Some(handed) = this.handed.take() {
            let wait = clock::monotonic().since(handed);
            if let Some(record) = this.record() {
                record.client_wait += wait;
            }
        }
        let chunk = loop {
            match ready!(this.poll_app(context)) {
                None => return Poll::Ready(this.end(None).map(Ok)),
                Some(Err(error)) => {
                    this.ended = true;
                    let reason = (this.blame)(&error);
                    if let Some(observation) = &mut this.observation {
                        observation.failed(reason);
                    }
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Err(trailers) => {
                        let trailers = this.see_trailers(trailers);
                        return Poll::Ready(this.end(Some(trailers)).map(Ok));
                    }
                    Ok(chunk) => {
                        this.see(&chunk);
                        let chunk = this.rewrite(chunk);
                        // A frame of nothing tells the client nothing, and HTTP/2 peers count them.
                        if !chunk.is_empty() {
                            break chunk;
                        }
                    }
                },
            }
        };
        let now = clock::monotonic();
        this.count(&chunk, now);
        if this.rewritings.is_empty() && this.body.is_end_stream() {
            this.ended = true;
            this.complete();
        } else {
            this.handed = Some(now);
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        if self.ended { self.trailers.is_none() } else { self.rewritings.is_empty() && self.body.is_end_stream() }
    }

    fn size_hint(&self) -> SizeHint {
        if self.rewritings.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}
