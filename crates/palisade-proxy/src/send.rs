//! A request's way to the application: up to three tries, one answer.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use palisade_core::record::Attempt;
use palisade_core::trace::{self, SENTRY_TRACE, TRACEPARENT};
use palisade_core::{Monotonic, Reason, SpanId, TraceId, media};

use crate::admission::Permit;
use crate::attempt::{Answered, Connection, Message, Switch, Terms, latency};
use crate::body::{Outgoing, RequestBody, ResponseBody, Source, Streamable};
use crate::error::Failure;
use crate::hop::{self, Malformed, Prepared};
use crate::lease::Lease;
use crate::retry::{Cause, Payload, may_retry};
use crate::server::Server;
use crate::settings::{HostHeader, Timeouts};
use crate::tunnel::Tunnel;
use crate::upstream::Upstream;
use crate::websocket;

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
    Response(Response<ResponseBody<B>>),
    /// A 101 that opens the WebSocket that was asked for. The client is to get this head, and the
    /// tunnel both connections.
    Switch(Response<()>, Tunnel<B>),
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
    /// upstream's, and framing; its target is a path and query.
    ///
    /// Dropping the future, or the answer's body before its end, cancels the exchange at once.
    pub async fn send(&self, request: Request<RequestBody<B>>, ask: Ask) -> Sent<B> {
        let Ask { began, timeouts, trace, prepared, permit } = ask;
        let (head, body) = request.into_parts();
        let (method, payload) = (head.method.clone(), body.payload());
        let body = Outgoing::new(body, prepared.trailers, &self.ambient, || {
            permit.as_ref().map(|permit| Rc::clone(permit.place()))
        });
        let progress = body.progress();
        let mut message = Message { head, body };
        self.frame(&mut message);
        let mut message = Some(message);
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
            if let Some(message) = &mut message {
                self.address(&mut message.head, server, trace, span_id);
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
                    let received = Received { method, timeouts, deadline, permit, upgrade: prepared.upgrade };
                    let answer = received.answer(answered);
                    attempt.error = answer.as_ref().err().and_then(Failure::reason);
                    trip.attempts.push(attempt);
                    return Sent { answer, attempts: trip.attempts };
                }
                Err(failed) => failed,
            };
            attempt.error = failed.failure.reason();
            trip.attempts.push(attempt);
            trip.tried |= bit;
            if message.is_none() || !trip.may_retry(failed.cause, &method, payload, self, now) {
                return trip.failed(failed.failure);
            }
        }
    }

    /// What depends on the server and the try.
    fn address(&self, head: &mut Parts, server: &Server<B>, trace: Trace, span_id: SpanId) {
        if let Ok(value) = HeaderValue::from_bytes(&trace::traceparent(trace.id, span_id)) {
            head.headers.insert(TRACEPARENT, value);
        }
        head.headers.remove(SENTRY_TRACE);
        if let Sentry::Told { flag } = trace.sentry
            && let Ok(value) = HeaderValue::from_bytes(&trace::sentry_trace(trace.id, span_id, flag))
        {
            head.headers.insert(SENTRY_TRACE, value);
        }
        match self.settings.host {
            // A request of HTTP/1.0 may name no host; ours to the application has to.
            HostHeader::Keep if head.headers.get(HOST).is_some_and(|host| !host.is_empty()) => {}
            HostHeader::Keep => {
                head.headers.insert(HOST, server.authority.clone());
            }
            HostHeader::Upstream => {
                head.headers.insert(HOST, server.authority.clone());
            }
        }
    }

    /// Framing is made anew from the body that there is, whatever the head says.
    fn frame(&self, message: &mut Message<B>) {
        let Message { head, body } = message;
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let size = match body {
            Outgoing::Empty => Some(0),
            Outgoing::Streamed { .. } => body.size_hint().exact(),
        };
        let declared = head.headers.get(CONTENT_LENGTH).map(|length| parse(length.as_bytes()));
        if declared.is_some_and(|declared| declared != size) {
            head.headers.remove(CONTENT_LENGTH);
        }
        // Without it some applications refuse a request whose method usually has a body.
        let expects_body = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
        if size == Some(0) && expects_body && !head.headers.contains_key(CONTENT_LENGTH) {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        // Without it a body of unknown length would not be sent with methods that rarely have one.
        if size.is_none() && matches!(head.method, Method::GET | Method::HEAD) {
            head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
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
        // The only server that refused a connection will refuse the next one as well.
        let elsewhere = upstream.servers.len() > self.tried.count_ones() as usize;
        if (cause == Cause::Connect && !elsewhere)
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
struct Received {
    method: Method,
    timeouts: Timeouts,
    deadline: crate::deadline::Deadline,
    permit: Option<Permit>,
    upgrade: Option<websocket::Accept>,
}

impl Received {
    fn answer<B>(self, answered: Answered<B>) -> Result<Answer<B>, Failure> {
        let Answered { response, lease, switched } = answered;
        let (mut head, incoming) = response.into_parts();
        head.extensions.clear();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let opened = self.upgrade.filter(|expected| websocket::accepted(head.status, &head.headers, expected));
            let (Some(_), Some(switched), Lease::Http1(lease)) = (opened, switched, lease) else {
                return Err(malformed(Malformed::Switch));
            };
            receive(&self.method, &mut head)?;
            websocket::switch(&mut head.headers);
            let idle = self.timeouts.stream_idle;
            let tunnel = Tunnel::new(switched, lease.into_flight(), self.deadline, idle);
            return Ok(Answer::Switch(Response::from_parts(head, ()), tunnel));
        }
        let trailers = receive(&self.method, &mut head)?;
        let streams = head.headers.get(CONTENT_TYPE).is_some_and(|value| media::is_stream(value.as_bytes()));
        let body = ResponseBody::new(Source {
            incoming,
            lease,
            permit: if streams { None } else { self.permit },
            trailers,
            deadline: self.deadline,
            idle: if streams { self.timeouts.stream_idle } else { self.timeouts.body_idle },
        });
        Ok(Answer::Response(Response::from_parts(head, body)))
    }
}

fn receive(method: &Method, head: &mut http::response::Parts) -> Result<crate::trailers::Trailers, Failure> {
    hop::receive(method, head.status, &mut head.headers).map_err(malformed)
}

fn malformed(malformed: Malformed) -> Failure {
    Failure::upstream(Reason::UpstreamMalformed, &malformed)
}

fn parse(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.parse().ok()
}
