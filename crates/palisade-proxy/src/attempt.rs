//! One try: a connection, the request on it, the answer's head.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use palisade_core::{Edited, HeaderEdits, Monotonic, Reason};
use palisade_http1::write::Writable;
use tokio::sync::oneshot;

use crate::body::{Outgoing, Progress, Streamable};
use crate::deadline::Deadline;
use crate::error::{ConnectError, Failure};
use crate::head::AnswerHead;
use crate::http1::{self, Exchange, Idle, Line, Switched};
use crate::http2;
use crate::lease::Lease;
use crate::retry::Cause;
use crate::send::Hints;
use crate::server::{Flight, Server};
use crate::settings::{Engine, Protocol, Timeouts};
use crate::upstream::Upstream;
use crate::wire::TooMuch;

/// What a try sends.
pub(crate) struct Message<'a, B> {
    pub(crate) method: &'a Method,
    pub(crate) target: &'a str,
    pub(crate) head: &'a dyn Writable,
    pub(crate) edits: HeaderEdits,
    /// Gone once any of it may have been sent.
    pub(crate) body: Option<Outgoing<B>>,
    pub(crate) hints: Option<&'a dyn Hints>,
}

/// How a try is made.
pub(crate) struct Terms<'a> {
    pub(crate) timeouts: Timeouts,
    pub(crate) deadline: &'a Deadline,
    pub(crate) connection: Connection,
    pub(crate) switch: Switch,
    pub(crate) progress: Option<&'a Rc<Progress>>,
}

/// Which connections may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Any,
    /// A new one: the last kept one was dead, and the next would be too.
    New,
}

/// Whether the request asks to switch the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    No,
    Asked,
}

/// An answer's head, with everything that its body needs.
pub(crate) struct Answered<B: 'static> {
    pub(crate) status: StatusCode,
    pub(crate) head: AnswerHead,
    pub(crate) lease: Lease<B>,
    pub(crate) switched: Option<oneshot::Receiver<Switched>>,
}

/// A try without an answer.
pub(crate) struct Failed {
    pub(crate) cause: Cause,
    pub(crate) failure: Failure,
}

impl<B: Streamable> Upstream<B> {
    /// Sends a message to `server` once. If that fails, what is left there may be sent again.
    pub(crate) async fn attempt(
        &self,
        server: &Rc<Server<B>>,
        message: &mut Message<'_, B>,
        terms: &Terms<'_>,
        now: Monotonic,
    ) -> Result<Answered<B>, Failed> {
        let flight = Flight::new(server, now);
        // A WebSocket begins in HTTP/1.1, whatever else is spoken.
        match (self.settings.protocol, terms.switch) {
            (Protocol::Http1, _) | (_, Switch::Asked) => self.attempt_http1(flight, message, terms).await,
            (Protocol::H2 | Protocol::H2c, Switch::No) => Box::pin(self.attempt_http2(flight, message, terms)).await,
        }
    }

    async fn attempt_http1(
        &self,
        flight: Flight<B>,
        message: &mut Message<'_, B>,
        terms: &Terms<'_>,
    ) -> Result<Answered<B>, Failed> {
        let server = Rc::clone(&flight.server);
        let kept = match terms.connection {
            Connection::Any => server.idle.borrow_mut().take(Idle::is_usable),
            Connection::New => None,
        };
        let is_kept = kept.is_some();
        let idle = match kept {
            Some(idle) => idle,
            // On the heap, since it is rare and would make every request's future larger.
            None => match Box::pin(self.dial(&server, terms.timeouts)).await {
                Ok(idle) => {
                    flight.succeeded();
                    idle
                }
                Err(error) => return Err(self.not_connected(&flight, &error)),
            },
        };
        let answered = match idle {
            Idle::Own(line) => self.exchange(line, flight, message, terms).await,
            // On the heap: hyper's part of a request's future is larger than all the rest.
            Idle::Hyper(idle) => Box::pin(self.attempt_hyper(idle, flight, message, terms)).await,
        };
        if is_kept { answered } else { answered.map_err(Failed::on_new_connection) }
    }

    async fn dial(&self, server: &Rc<Server<B>>, timeouts: Timeouts) -> Result<Idle<B>, ConnectError> {
        let tls = self.tls.as_ref();
        match self.settings.engine {
            Engine::Own => Line::dial(server, tls, timeouts).await.map(Idle::Own),
            Engine::Hyper => http1::hyper::dial(server, tls, timeouts).await.map(Idle::Hyper),
        }
    }

    /// A try on a connection of our own engine.
    async fn exchange(
        &self,
        line: Box<Line>,
        flight: Flight<B>,
        message: &mut Message<'_, B>,
        terms: &Terms<'_>,
    ) -> Result<Answered<B>, Failed> {
        let Some(body) = message.body.take() else { return Err(Failed::canceled()) };
        let server = Rc::clone(&flight.server);
        let mut exchange = Exchange::new(line, flight, message, body);
        match wait(poll_fn(|context| exchange.poll_head(context, message.method, message.hints)), terms).await {
            Ok(head) => {
                server.answered();
                let (status, head) = (head.status, AnswerHead::Fields(head.fields));
                Ok(Answered { status, head, lease: Lease::Own(exchange), switched: None })
            }
            Err(None) => Err(Failed::late()),
            Err(Some(http1::NoHead::Body)) => {
                let error = terms.progress.and_then(|progress| progress.take_error());
                let failure = error.map_or_else(|| Failed::canceled().failure, Failure::Body);
                Err(Failed { cause: Cause::Other, failure })
            }
            Err(Some(error)) => {
                let (cause, reason) = match &error {
                    http1::NoHead::Malformed(_) | http1::NoHead::TooMuch => (Cause::Other, Reason::UpstreamMalformed),
                    _ if exchange.has_heard() => (Cause::Other, Reason::UpstreamReset),
                    _ if exchange.has_written() => (Cause::Closed, Reason::UpstreamReset),
                    _ => (Cause::Unsent, Reason::UpstreamReset),
                };
                message.body = exchange.into_body();
                Err(Failed { cause, failure: Failure::upstream(reason, &error) })
            }
        }
    }

    async fn attempt_hyper(
        &self,
        idle: http1::hyper::Idle<B>,
        flight: Flight<B>,
        message: &mut Message<'_, B>,
        terms: &Terms<'_>,
    ) -> Result<Answered<B>, Failed> {
        let server = Rc::clone(&flight.server);
        let mut lease = idle.lend(flight, terms.progress.cloned());
        let switched = match terms.switch {
            Switch::No => None,
            Switch::Asked => Some(lease.expect_switch()),
        };
        let read_before = lease.line.meter.read();
        lease.line.meter.expect_head();
        let (Some(sender), Some(body)) = (&mut lease.sender, message.body.take()) else {
            return Err(Failed::canceled());
        };
        let kept = Kept::of(message.method, &body);
        let request = match message.to_request(body) {
            Ok(request) => request,
            Err(failed) => return Err(failed),
        };
        let answer = wait(sender.try_send_request(request), terms).await.map_err(NoHead::of);
        lease.line.meter.expect_body();
        match answer {
            Ok(response) => {
                server.answered();
                Ok(Answered::of_hyper(response, |incoming| Lease::Http1(Box::new(incoming), lease), switched))
            }
            Err(error) => {
                let heard = if lease.line.meter.read() == read_before { Heard::Nothing } else { Heard::Something };
                Err(failed(error, heard, kept, terms.progress, message))
            }
        }
    }

    async fn attempt_http2(
        &self,
        flight: Flight<B>,
        message: &mut Message<'_, B>,
        terms: &Terms<'_>,
    ) -> Result<Answered<B>, Failed> {
        let server = Rc::clone(&flight.server);
        let picked = http2::pick(&server);
        let is_kept = picked.is_some();
        let line = match picked {
            Some(line) => line,
            None => match Box::pin(http2::acquire(&server, self.tls.as_ref(), terms.timeouts)).await {
                Ok(line) => {
                    flight.succeeded();
                    line
                }
                Err(error) => return Err(self.not_connected(&flight, &error)),
            },
        };
        let mut sender = line.sender();
        let lease = line.lend(flight, terms.progress.cloned());
        let Some(body) = message.body.take() else { return Err(Failed::canceled()) };
        let kept = Kept::of(message.method, &body);
        let mut request = match message.to_request(body) {
            Ok(request) => request,
            Err(failed) => return Err(failed),
        };
        to_absolute_form(&mut request, &server);
        match wait(sender.try_send_request(request), terms).await.map_err(NoHead::of) {
            Ok(response) => {
                server.answered();
                Ok(Answered::of_hyper(response, |incoming| Lease::Http2(Box::new(incoming), lease), None))
            }
            Err(error) => {
                if matches!(error, NoHead::Late) {
                    lease.retire();
                }
                let (heard, is_refused) = (error.heard_of_stream(), error.is_refused_stream());
                let failed = failed(error, heard, kept, terms.progress, message);
                Err(match failed.cause {
                    Cause::Closed if is_refused => Failed { cause: Cause::Unsent, ..failed },
                    _ if is_kept => failed,
                    _ => failed.on_new_connection(),
                })
            }
        }
    }

    fn not_connected(&self, flight: &Flight<B>, error: &ConnectError) -> Failed {
        flight.failed(self.ambient.now());
        Failed { cause: Cause::Connect, failure: Failure::upstream(Reason::UpstreamUnreachable, error) }
    }
}

impl<B: Streamable> Message<'_, B> {
    /// The message as hyper takes it. Framing is made anew from the body that there is.
    fn to_request(&self, body: Outgoing<B>) -> Result<Request<Outgoing<B>>, Failed> {
        // A target that came through an engine which takes more than the `http` crate does.
        let Ok(target) = PathAndQuery::try_from(self.target) else {
            let detail = "the target can't be sent over this protocol".to_owned();
            let failure = Failure::Upstream { reason: Reason::HttpMalformed, detail };
            return Err(Failed { cause: Cause::Other, failure });
        };
        let size = body.size_hint().exact();
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(target);
        let mut head = Edited { head: self.head, edits: &self.edits }.to_map();
        // Without it some applications refuse a request whose method usually has a body.
        if size == Some(0) && expects_body(self.method) {
            head.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        // Without it a body of unknown length would not be sent with methods that rarely have one.
        if size.is_none() && matches!(*self.method, Method::GET | Method::HEAD) {
            head.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        *request.headers_mut() = head;
        Ok(request)
    }
}

/// Whether a method usually has a body.
pub(crate) fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

impl<B> Answered<B> {
    fn of_hyper(
        response: Response<Incoming>,
        lease: impl FnOnce(Incoming) -> Lease<B>,
        switched: Option<oneshot::Receiver<Switched>>,
    ) -> Self {
        let (head, incoming) = response.into_parts();
        Self { status: head.status, head: head.headers.into(), lease: lease(incoming), switched }
    }
}

/// Whether a request may be sent again that may have been written: only one without a body, since
/// that can be read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Nothing,
    Empty,
}

impl Kept {
    fn of<B>(method: &Method, body: &Outgoing<B>) -> Self {
        match body {
            Outgoing::Empty if method.is_idempotent() => Self::Empty,
            Outgoing::Empty | Outgoing::Streamed(_) => Self::Nothing,
        }
    }
}

/// Why there is no head.
enum NoHead<B> {
    /// The connection says so.
    Error(Box<TrySendError<Request<Outgoing<B>>>>),
    /// The time is up.
    Late,
}

/// What came of an answer before its head was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    Something,
}

/// Waits for the head; an error of nothing means that the time is up. The time runs anew while the
/// request's body is still being sent: an upload may take longer than an answer.
async fn wait<T, E>(sent: impl Future<Output = Result<T, E>>, terms: &Terms<'_>) -> Result<T, Option<E>> {
    let mut sent = pin!(sent);
    let frames = || terms.progress.map_or(0, |progress| progress.frames());
    let mut seen = frames();
    terms.deadline.set(terms.timeouts.response);
    poll_fn(|context| {
        if let Poll::Ready(result) = sent.as_mut().poll(context) {
            return Poll::Ready(result.map_err(Some));
        }
        if terms.deadline.poll(context).is_pending() {
            return Poll::Pending;
        }
        if seen == frames() {
            return Poll::Ready(Err(None));
        }
        seen = frames();
        terms.deadline.set(terms.timeouts.response);
        terms.deadline.poll(context).map(|()| Err(None))
    })
    .await
}

fn failed<B>(
    error: NoHead<B>,
    heard: Heard,
    kept: Kept,
    progress: Option<&Rc<Progress>>,
    message: &mut Message<'_, B>,
) -> Failed {
    let mut error = match error {
        NoHead::Late => return Failed::late(),
        NoHead::Error(error) => error,
    };
    if let Some(body) = progress.and_then(|progress| progress.take_error()) {
        return Failed { cause: Cause::Other, failure: Failure::Body(body) };
    }
    let unsent = error.take_message();
    let error = error.into_error();
    let reason = if is_malformed(&error) { Reason::UpstreamMalformed } else { Reason::UpstreamReset };
    let failure = Failure::upstream(reason, &error);
    if let Some(request) = unsent {
        message.body = Some(request.into_body());
        return Failed { cause: Cause::Unsent, failure };
    }
    message.body = match kept {
        Kept::Empty => Some(Outgoing::Empty),
        Kept::Nothing => None,
    };
    let cause = if heard == Heard::Nothing && reason == Reason::UpstreamReset { Cause::Closed } else { Cause::Other };
    Failed { cause, failure }
}

impl<B> NoHead<B> {
    fn of(error: Option<TrySendError<Request<Outgoing<B>>>>) -> Self {
        error.map_or(Self::Late, |error| Self::Error(Box::new(error)))
    }

    /// Whether the server says that it did nothing with the request (RFC 9113 section 8.7).
    fn is_refused_stream(&self) -> bool {
        let Self::Error(error) = self else { return false };
        let error = source::<h2::Error>(error.error());
        error.is_some_and(|error| error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
    }

    /// Whether an HTTP/2 server can have begun to answer. The frames of one stream aren't counted,
    /// but the error tells whose fault it was.
    fn heard_of_stream(&self) -> Heard {
        let Self::Error(error) = self else { return Heard::Something };
        match source::<h2::Error>(error.error()) {
            Some(error) if error.is_reset() && error.reason() != Some(h2::Reason::REFUSED_STREAM) => Heard::Something,
            Some(error) if error.is_reset() || error.is_io() || error.is_go_away() => Heard::Nothing,
            Some(_) => Heard::Something,
            None => Heard::Nothing,
        }
    }
}

impl Failed {
    /// The same for a connection that had served nobody before.
    fn on_new_connection(self) -> Self {
        let cause = if self.cause == Cause::Closed { Cause::Crashed } else { self.cause };
        Self { cause, ..self }
    }

    fn late() -> Self {
        let failure = Failure::Upstream { reason: Reason::UpstreamTimeout, detail: "no answer in time".to_owned() };
        Self { cause: Cause::Other, failure }
    }

    fn canceled() -> Self {
        let detail = "the connection was taken back".to_owned();
        Self { cause: Cause::Other, failure: Failure::Upstream { reason: Reason::UpstreamReset, detail } }
    }
}

fn is_malformed(error: &hyper::Error) -> bool {
    error.is_parse()
        || source::<TooMuch>(error).is_some()
        || source::<h2::Error>(error).is_some_and(|error| {
            error.is_library() && error.reason().is_some_and(|reason| reason == h2::Reason::PROTOCOL_ERROR)
        })
}

/// The error of type `E` among the sources of `error`. An I/O error hides its own first source.
fn source<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        next = match inner {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// HTTP/2 wants the authority in the target and no `Host`.
fn to_absolute_form<B>(request: &mut Request<Outgoing<B>>, server: &Server<B>) {
    request.headers_mut().remove(CONNECTION);
    let host = request.headers_mut().remove(HOST);
    let authority = host.as_ref().unwrap_or(&server.authority);
    let Ok(authority) = Authority::try_from(authority.as_bytes()) else { return };
    let scheme = match server.address {
        crate::address::Address::Https(_) => Scheme::HTTPS,
        crate::address::Address::Http(_) | crate::address::Address::Unix(_) => Scheme::HTTP,
    };
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let absolute = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
    if let Ok(absolute) = absolute {
        *request.uri_mut() = absolute;
    }
}

/// How long the application took: from the try's start, or from the last byte of the request's
/// body if that came later. Nothing is known of one that answers before that byte.
pub(crate) fn latency(began: Monotonic, answered: Monotonic, progress: Option<&Rc<Progress>>) -> Option<Duration> {
    let from = match progress {
        None => began,
        Some(progress) => progress.ended()?.max(began),
    };
    Some(answered.since(from))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use bytes::Bytes;
    use http_body::Body;
    use http_body_util::Full;

    use super::*;
    use crate::ambient::Ambient;
    use crate::body::RequestBody;
    use crate::trailers::Trailers;

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_time_that_a_client_takes_to_send_is_not_the_applications() {
        assert_eq!(latency(at(10), at(30), None), Some(Duration::from_millis(20)));
        let clock = Rc::new(Cell::new(0));
        let now = Rc::clone(&clock);
        let ambient = Rc::new(Ambient::new(move || at(now.get()), || 0));
        for (sent, expected) in [(25, 5), (5, 20)] {
            let body = RequestBody::Streamed(Full::new(Bytes::from_static(b"body")));
            let mut body = Outgoing::new(body, Trailers::default(), &ambient, || None);
            let progress = body.progress();
            assert_eq!(latency(at(10), at(30), progress.as_ref()), None);
            clock.set(sent);
            let mut context = Context::from_waker(Waker::noop());
            while let Poll::Ready(Some(_)) = Pin::new(&mut body).poll_frame(&mut context) {}
            assert_eq!(latency(at(10), at(30), progress.as_ref()), Some(Duration::from_millis(expected)));
        }
    }
}
