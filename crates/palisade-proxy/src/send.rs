//! A request's way to the application: up to three tries, one answer.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, StatusCode};
use palisade_core::record::Attempt;
use palisade_core::trace::{self, SENTRY_TRACE, TRACEPARENT};
use palisade_core::{Edited, Head as _, HeaderEdits, Monotonic, Reason, SpanId, TraceId, media};
use palisade_http1::Fields;
use palisade_http1::write::Writable;

use crate::admission::Permit;
use crate::attempt::{Answered, Connection, Message, Switch, Terms, latency};
use crate::body::{Outgoing, RequestBody, ResponseBody, Source, Streamable};
use crate::error::Failure;
use crate::head::AnswerHead;
use crate::hop::{self, Malformed, Prepared};
use crate::lease::Lease;
use crate::retry::{Cause, Payload, may_retry};
use crate::settings::{HostHeader, Timeouts};
use crate::tunnel::{self, Tunnel};
use crate::upstream::Upstream;
use crate::websocket;

/// A request for the application. The head is the client's; what differs in it is beside it.
pub struct Outbound<'a, B> {
    /// The method.
    pub method: &'a Method,
    /// A path and query, or `*`.
    pub target: &'a str,
    /// The client's head.
    pub head: &'a dyn Writable,
    /// What the application receives in place of it. [`hop::prepare`] has taken the framing out,
    /// which is made anew.
    pub edits: HeaderEdits,
    /// The body.
    pub body: RequestBody<B>,
    /// Who is told of early hints, if the client can be.
    pub hints: Option<&'a dyn Hints>,
}

/// Takes what an application says before it answers (RFC 8297).
pub trait Hints {
    /// The fields of a 103.
    fn hint(&self, fields: &Fields);
}

/// What the proxy has to know of a request beside the request.
#[derive(Debug)]
pub struct Ask {
    /// When the request began; tries are told relative to it.
    pub began: Monotonic,
    /// Its time limits.
    pub timeouts: Timeouts,
    /// The trace it belongs to. Each try gets a span of its own, in `traceparent`.
    pub trace: Trace,
    /// What [`hop::prepare`] found.
    pub prepared: Prepared,
    /// Its place in flight, held until the answer has ended. Event streams and tunnels give it
    /// back with their head: they wait, they don't work.
    pub permit: Option<Permit>,
}

/// A trace, as it is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// Whether `sentry-trace` is sent beside `traceparent`.
    pub sentry: Sentry,
}

/// Whether the application's SDK is told of the trace in the form that Sentry's read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sentry {
    /// It is not.
    Untold,
    /// It is.
    Told {
        /// The flag that the client sent, if it sent one.
        flag: Option<bool>,
    },
}

/// What became of a request.
#[derive(Debug)]
pub struct Sent<B: 'static> {
    /// The answer, or why there is none.
    pub answer: Result<Answer<B>, Failure>,
    /// Every try, in order.
    pub attempts: Vec<Attempt>,
}

/// What the application answered.
#[derive(Debug)]
pub enum Answer<B: 'static> {
    /// A final answer, streamed.
    Response(Received<ResponseBody<B>>),
    /// A 101 that opens the WebSocket that was asked for. The client is to get this head, and the
    /// tunnel both connections.
    Switch(Received<Tunnel<B>>),
}

/// An answer as it came, and what of it is not for the client.
#[derive(Debug)]
pub struct Received<T> {
    /// The status.
    pub status: StatusCode,
    /// The head.
    pub head: AnswerHead,
    /// Fields of the connection, and framing, which is made anew.
    pub edits: HeaderEdits,
    /// What follows the head.
    pub body: T,
}

impl<B> Sent<B> {
    /// The label of the server that answered, or was tried last.
    pub fn server(&self) -> Option<&Arc<str>> {
        self.attempts.last().map(|attempt| &attempt.server)
    }
}

/// The tries of one request so far.
struct Trip {
    attempts: Vec<Attempt>,
    tried: u64,
    retries: u32,
    connection: Connection,
}

impl<B: Streamable> Upstream<B> {
    /// Sends a request and gives the answer as soon as its head is there, even if the request's
    /// body is still being read. The head is final but for `traceparent`, `Host` where it is the
    /// upstream's, and framing.
    ///
    /// Dropping the future, or the answer's body before its end, cancels the exchange at once.
    pub async fn send(&self, request: Outbound<'_, B>, ask: Ask) -> Sent<B> {
        let Ask { began, timeouts, trace, prepared, permit } = ask;
        let Outbound { method, target, head, edits, body, hints } = request;
        let payload = body.payload();
        let body = Outgoing::new(body, prepared.trailers, &self.ambient, || {
            permit.as_ref().map(|permit| Rc::clone(permit.place()))
        });
        let progress = body.progress();
        let mut message = Message { method, target, head, edits, body: Some(body), hints };
        let names_host = Edited { head, edits: &message.edits }.first(&HOST).is_some_and(|host| !host.is_empty());
        let deadline = self.deadlines.deadline();
        let switch = if prepared.upgrade.is_some() { Switch::Asked } else { Switch::No };
        let mut trip = Trip { attempts: Vec::with_capacity(1), tried: 0, retries: 0, connection: Connection::Any };
        let mut now = self.ambient.now();
        self.budget.borrow_mut().request(now);
        loop {
            let Some((server, bit)) = self.choose(trip.tried, now) else {
                return trip.failed(Failure::Upstream { reason: Reason::UpstreamUnreachable, detail: String::new() });
            };
            let span_id = self.ambient.span_id();
            tell(&mut message.edits, trace, span_id);
            // A request of HTTP/1.0 may name no host; ours to the application has to.
            if self.settings.host == HostHeader::Upstream || !names_host {
                message.edits.set(HOST, server.authority.clone());
            }
            let tried = now;
            let terms = Terms {
                timeouts,
                deadline: &deadline,
                connection: trip.connection,
                switch,
                progress: progress.as_ref(),
            };
            let result = self.attempt(server, &mut message, &terms, now).await;
            now = self.ambient.now();
            let mut attempt = Attempt {
                server: Arc::clone(&server.label),
                duration: now.since(tried),
                error: None,
                span_id,
                began: tried.since(began),
            };
            let failed = match result {
                Ok(answered) => {
                    if let (Some(permit), Some(latency)) = (&permit, latency(tried, now, progress.as_ref())) {
                        permit.answered(latency, now);
                    }
                    let expected = Expected { method, timeouts, deadline, permit, upgrade: prepared.upgrade };
                    let answer = expected.answer(answered);
                    attempt.error = answer.as_ref().err().and_then(Failure::reason);
                    trip.attempts.push(attempt);
                    return Sent { answer, attempts: trip.attempts };
                }
                Err(failed) => failed,
            };
            attempt.error = failed.failure.reason();
            trip.attempts.push(attempt);
            trip.tried |= bit;
            if message.body.is_none() || !trip.may_retry(failed.cause, method, payload, self, now) {
                return trip.failed(failed.failure);
            }
        }
    }
}

/// Tells the application of the trace, with the span of one try.
fn tell(edits: &mut HeaderEdits, trace: Trace, span_id: SpanId) {
    if let Ok(value) = HeaderValue::from_bytes(&trace::traceparent(trace.id, span_id)) {
        edits.set(TRACEPARENT, value);
    }
    match trace.sentry {
        Sentry::Untold => edits.remove(SENTRY_TRACE),
        Sentry::Told { flag } => {
            if let Ok(value) = HeaderValue::from_bytes(&trace::sentry_trace(trace.id, span_id, flag)) {
                edits.set(SENTRY_TRACE, value);
            }
        }
    }
}

impl Trip {
    fn may_retry<B>(
        &mut self,
        cause: Cause,
        method: &Method,
        payload: Payload,
        upstream: &Upstream<B>,
        now: Monotonic,
    ) -> bool {
        let elsewhere = upstream.servers.len() > self.tried.count_ones() as usize;
        if (cause.is_of_server() && !elsewhere)
            || !may_retry(cause, method, payload, self.retries)
            || !upstream.budget.borrow_mut().retry(now)
        {
            return false;
        }
        self.retries += 1;
        if cause != Cause::Connect {
            self.connection = Connection::New;
        }
        true
    }

    fn failed<B>(self, failure: Failure) -> Sent<B> {
        Sent { answer: Err(failure), attempts: self.attempts }
    }
}

/// What is needed to make an answer of a head.
struct Expected<'a> {
    method: &'a Method,
    timeouts: Timeouts,
    deadline: crate::deadline::Deadline,
    permit: Option<Permit>,
    upgrade: Option<websocket::Accept>,
}

impl Expected<'_> {
    fn answer<B>(self, answered: Answered<B>) -> Result<Answer<B>, Failure> {
        let Answered { status, head, lease, switched } = answered;
        let mut edits = HeaderEdits::none();
        let trailers = hop::receive(self.method, status, &head, &mut edits).map_err(malformed)?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let opened = self.upgrade.filter(|expected| websocket::accepted(status, &head, expected));
            let (upstream, flight) = match (opened, lease, switched) {
                (Some(_), Lease::Own(exchange), _) => {
                    let (switched, flight) = exchange.into_switched();
                    (tunnel::Upstream::Here(Box::new(switched)), Some(flight))
                }
                (Some(_), Lease::Http1(_, lease), Some(switched)) => {
                    (tunnel::Upstream::Soon(switched), lease.into_flight())
                }
                _ => return Err(malformed(Malformed::Switch)),
            };
            websocket::switch(&mut edits);
            let body = Tunnel::new(upstream, flight, self.deadline, self.timeouts.stream_idle);
            return Ok(Answer::Switch(Received { status, head, edits, body }));
        }
        let streams = head.first(&CONTENT_TYPE).is_some_and(media::is_stream);
        let body = ResponseBody::new(Source {
            lease,
            permit: if streams { None } else { self.permit },
            trailers,
            deadline: self.deadline,
            idle: if streams { self.timeouts.stream_idle } else { self.timeouts.body_idle },
        });
        Ok(Answer::Response(Received { status, head, edits, body }))
    }
}

fn malformed(malformed: Malformed) -> Failure {
    Failure::upstream(Reason::UpstreamMalformed, &malformed)
}
