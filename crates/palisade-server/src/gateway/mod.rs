//! One worker's half of the gateway: a request comes in, an answer goes out.
//!
//! It is a shell around [`Transit`]: the edge, the guard and the renderer are the library's, the
//! way to the application is the proxy's. What is here is the order in which they are called, and
//! what each failure becomes.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use palisade_core::{Head, HeaderEdits, Kind, Protocol, Reason, Record, Refusal, RequestId, Sift, Stage, media};
use palisade_http1::write::Writable;
use palisade_proxy::{
    Ambient, AnswerHead, Ask, Failure, Outbound, Permit, Received, ResponseBody, Sent, Tunnel, TunnelEnd,
};
use palisade_telemetry::WorkerTelemetry;
use palisade_tower::answer::Answer;
use palisade_tower::body::AnswerBody;
use palisade_tower::clock;
use palisade_tower::edge::{Entropy, Peer};
use palisade_tower::guard::Stores;
use palisade_tower::held::Held;
use palisade_tower::observe::{Close, IntakeBody, IntakeError, Observation, ObservedBody};
use palisade_tower::render::{self, Audience};
use palisade_tower::transit::{Incoming, Refused, Sight, Transit};
use tokio::task::spawn_local;

use crate::connection::{Arrived, BodyError, Connection, RequestBody, Service, Upgrade};
use crate::counters::Engine;
use crate::ending::{Endable, Ending, Ends};
use crate::live::{Group, Live, Plan, timeouts};
use crate::memory::{Memory, Pressure};
use crate::panic::{Panicked, caught};
use crate::refuse::Reserved;
use crate::status::Status;
use crate::{health, onward, refuse};

/// The listener beside TLS, whose requests are sent to the public address.
pub(crate) const REDIRECT: &str = "redirect";

/// A request's body on its way to the application.
pub(crate) type ForwardedBody = Held<IntakeBody<RequestBody>>;

/// An answer's body on its way to the client. On the heap, since the answer is handed on a dozen times
/// before it is sent.
pub(crate) type GatewayBody = Box<ObservedBody<AnswerBody<Endable<ResponseBody<ForwardedBody>>>, ToTelemetry>>;

/// One worker's half of the gateway.
pub(crate) struct Gateway {
    live: Rc<RefCell<Rc<Live>>>,
    stores: Arc<Stores>,
    status: Arc<Status>,
    telemetry: Rc<WorkerTelemetry>,
    random: RefCell<fastrand::Rng>,
    ending: Ending,
    ambient: Rc<Ambient>,
    workers: u32,
    memory: Arc<Memory>,
    reserved: Reserved,
}

/// Hands closed records to the worker's telemetry.
pub(crate) struct ToTelemetry(Rc<WorkerTelemetry>);

impl Close for ToTelemetry {
    fn close(self, record: Box<Record>) {
        self.0.closed(record);
    }
}

/// There is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// HTTP/2: the request broke a rule of framing.
    Malformed(h2::Error),
    /// The client left, or its body broke off.
    ClientLeft,
}

/// What a transit through this gateway is.
type Passing<'a> = Transit<'a, ToTelemetry>;

/// What the gateway answers.
type GatewayAnswer = Answer<AnswerHead, GatewayBody>;

impl Gateway {
    pub(crate) fn new(
        live: Rc<RefCell<Rc<Live>>>,
        stores: Arc<Stores>,
        status: Arc<Status>,
        telemetry: Rc<WorkerTelemetry>,
        ambient: Rc<Ambient>,
        workers: u32,
        memory: Arc<Memory>,
    ) -> Self {
        let random = RefCell::new(fastrand::Rng::new());
        let reserved = Reserved::default();
        Self { live, stores, status, telemetry, random, ending: Ending::default(), ambient, workers, memory, reserved }
    }

    /// What requests that arrive now are served with.
    pub(crate) fn live(&self) -> Rc<Live> {
        self.live.borrow().clone()
    }

    /// Serves all requests that arrive from now on with another snapshot.
    pub(crate) fn replace(&self, plan: Arc<Plan>) {
        let before = self.live();
        self.live.replace(Rc::new(Live::new(plan, self.workers, &self.ambient, Some(&before))));
    }

    /// Streams and tunnels come to an end, spread over some time.
    pub(crate) fn end_streams(&self) {
        self.ending.begin();
    }

    fn ends(&self) -> Ends {
        self.ending.of(self.random.borrow_mut().u32(..))
    }

    async fn answer<H: Sift + Writable>(
        &self,
        request: Arrived<H>,
        connection: Connection,
        known_as: &Cell<Option<RequestId>>,
    ) -> Result<GatewayAnswer, NoAnswer> {
        let Arrived { method, protocol, target, authority, mut head, body, malformed, upgrade, hints } = request;
        if malformed.is_some() && connection.engine == Engine::H2 {
            return Err(NoAnswer::Malformed(h2::Reason::PROTOCOL_ERROR.into()));
        }
        if protocol == Protocol::Http10 {
            // It knows no upgrade (RFC 9110 section 7.8).
            head.sift(&mut |name| name != b"upgrade");
        }
        // Taken for text once: each time they are looked through.
        let (target, authority) = (&*target, &*authority);
        let live = self.live();
        let arriving = Incoming {
            method: &method,
            protocol,
            target,
            authority,
            peer: Peer { address: connection.peer.ip().into(), secure: connection.secure },
            now: clock::now(),
            entropy: Entropy::draw(&mut self.random.borrow_mut()),
        };
        let close = ToTelemetry(self.telemetry.clone());
        let (mut transit, refused) = Transit::arrive(&live.plan.protection, arriving, &mut head, close);
        known_as.set(Some(transit.arrival.request_id));
        self.telemetry.opened(transit.sight.route.kind);
        if let Some(malformed) = malformed {
            let refusal = Refusal::new(Reason::HttpMalformed).detail(malformed.to_string());
            return Ok(closing(end(&mut transit, Refused::Refusal(refusal), &head)));
        }
        let oversized = || if protocol == Protocol::H2 { oversized(&head, target) } else { None };
        if let Some(refusal) = refused.or_else(oversized) {
            return Ok(end(&mut transit, Refused::Refusal(refusal), &head));
        }
        if connection.listener == REDIRECT {
            return Ok(end(&mut transit, Refused::Reply(live.redirect(target)), &head));
        }
        let route = transit.sight.route;
        if route.kind == Kind::Health {
            return Ok(self.health(&mut transit, &head));
        }
        let body = IntakeBody::new(body, route.max_body);
        transit.observation.takes_in(body.intake());
        let mut body = Held::new(body);
        if let Some(ended) = transit.ask(&self.stores, Stage::Shed..=Stage::Shed, &head, &mut body).await.ended() {
            return Ok(end(&mut transit, ended, &head));
        }
        if let Some(refusal) = refuse::declared_too_long(&head, route) {
            return Ok(end(&mut transit, Refused::Refusal(refusal), &head));
        }
        let Some((forwarding, group)) = live.forwarding(route) else {
            return Ok(end(&mut transit, Refused::Refusal(Refusal::new(Reason::InternalPanic)), &head));
        };
        let permit = match self.admit(group, &transit).await {
            Ok(permit) => permit,
            Err(refusal) => return Ok(end(&mut transit, Refused::Refusal(refusal), &head)),
        };
        let later = Stage::Identify..=Stage::Shape;
        if let Some(ended) = transit.ask(&self.stores, later, &head, &mut body).await.ended() {
            return Ok(end(&mut transit, ended, &head));
        }
        if let Some(refusal) = self.reserved.refuse(&transit.sight) {
            return Ok(end(&mut transit, Refused::Refusal(refusal), &head));
        }
        // Not a future of its own: what it would take in would lie twice in every request's future.
        let way = Way { live: &live, timeouts: timeouts(forwarding), permit };
        let payload = palisade_proxy::RequestBody::new(body);
        let (edits, ask) = match way.prepare(&mut transit, &head, payload.payload()) {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(end(&mut transit, Refused::Refusal(refusal), &head)),
        };
        let sent = {
            let path = onward(&transit.sight, target);
            let hints = hints.as_deref();
            let request = Outbound { method: &method, target: &path, head: &head, edits, body: payload, hints };
            group.upstream.send(request, ask).await
        };
        self.conclude(&mut transit, sent, upgrade, &head)
    }

    /// What becomes of what the application said.
    fn conclude(
        &self,
        transit: &mut Passing<'_>,
        sent: Sent<ForwardedBody>,
        upgrade: Option<Upgrade>,
        head: &dyn Head,
    ) -> Result<GatewayAnswer, NoAnswer> {
        if let Some(record) = transit.observation.record() {
            record.server = sent.server().cloned();
            record.upstream = sent.attempts.iter().map(|attempt| attempt.duration).sum();
            record.attempts = sent.attempts;
        }
        match sent.answer {
            Ok(palisade_proxy::Answer::Response(received)) => Ok(self.respond(transit, received, head)),
            Ok(palisade_proxy::Answer::Switch(received)) => Ok(switch(transit, received, upgrade, self.ends())),
            Err(failure) => fail(transit, failure, head),
        }
    }

    /// The application's answer, dressed.
    fn respond(
        &self,
        transit: &mut Passing<'_>,
        received: Received<ResponseBody<ForwardedBody>>,
        request: &dyn Head,
    ) -> GatewayAnswer {
        let Received { status, head, edits, body } = received;
        // Answers whose latency is that of their first byte.
        let streams = head.first(&CONTENT_TYPE).is_some_and(media::is_stream);
        if let Some(record) = transit.observation.record() {
            record.stream = streams;
        }
        let body = AnswerBody::App(Endable::new(body, streams.then(|| self.ends())));
        transit.answer(Answer { status, head, edits, body }, palisade_proxy::BodyError::reason, request).map(Box::new)
    }

    /// Lets a request in, at once or after a wait in the queue. Webhooks always come in: whoever
    /// sent them may not try again. Event streams and tunnels leave the count with their head.
    async fn admit(&self, group: &Group, transit: &Passing<'_>) -> Result<Option<Permit>, Refusal> {
        let route = transit.sight.route;
        if matches!(route.kind, Kind::Webhook | Kind::Own) {
            return Ok(None);
        }
        let shed = || Refusal::new(Reason::ShedOverload).retry_after(Duration::from_secs(1));
        if self.memory.pressure() >= Pressure::Refuse {
            return Err(shed().detail("memory is short"));
        }
        group.admission.admit(route.id, transit.arrival.now.monotonic).await.map(Some).map_err(|_| shed())
    }

    /// The short answers about the gateway itself, before any policy.
    fn health(&self, transit: &mut Passing<'_>, head: &dyn Head) -> GatewayAnswer {
        let now = transit.arrival.now.monotonic;
        if !health::is_method(transit.sight.method) {
            let mut refusal = Refusal::new(Reason::HttpMethodNotAllowed);
            refusal.response.set(ALLOW, health::METHODS);
            return end(transit, Refused::Refusal(refusal), head);
        }
        let path = transit.sight.path.as_str().strip_prefix("/.palisade/").unwrap_or_default();
        let answer = health::answer(path, None, &self.status.conditions(now), now, health::Audience::Public);
        let ended = match answer {
            Some(health::Answer::Reply(reply)) => Refused::Reply(reply),
            Some(health::Answer::Refuse(reason)) => Refused::Refusal(Refusal::new(reason)),
            None => Refused::Refusal(Refusal::new(Reason::HttpNotFound)),
        };
        end(transit, ended, head)
    }
}

impl Service for Gateway {
    type Body = GatewayBody;
    type Error = NoAnswer;

    async fn call<H: Sift + Writable>(
        &self,
        request: Arrived<H>,
        connection: Connection,
    ) -> Result<GatewayAnswer, NoAnswer> {
        let known_as = Cell::new(None);
        // What follows a CONNECT is meant for its tunnel, and a TRACE comes from no application's
        // client: none of it is read as a request.
        let is_last = request.method == Method::CONNECT || request.method == Method::TRACE;
        let answer = pin!(self.answer(request, connection, &known_as));
        let answer = match caught(answer).await {
            Ok(answer) => answer,
            // The record was closed by the panic itself; the client is told its id.
            Err(Panicked) => {
                let id = known_as.get().unwrap_or_else(|| RequestId::new(clock::now().utc, 0));
                let refusal = Refusal::new(Reason::InternalPanic);
                let answer = Answer::from(render::refusal(&refusal, id, Audience::Program));
                let blame = palisade_proxy::BodyError::reason;
                let body = |body| Box::new(ObservedBody::unobserved(AnswerBody::Own(body), blame));
                Ok(answer.map(body).map_head(AnswerHead::from))
            }
        };
        // HTTP/2 says goodbye with a frame of its own; a tunnel isn't kept for another request.
        let closes = connection.engine == Engine::H1 && (is_last || self.status.is_draining());
        answer.map(
            |answer| {
                if closes && answer.status != StatusCode::SWITCHING_PROTOCOLS { closing(answer) } else { answer }
            },
        )
    }
}

/// The answer to a ruling that ends a request here.
fn end(transit: &mut Passing<'_>, ruling: Refused, head: &dyn Head) -> GatewayAnswer {
    transit.end(ruling, head).map(Box::new).map_head(AnswerHead::from)
}

/// The same answer, as the last one of its connection.
fn closing(mut answer: GatewayAnswer) -> GatewayAnswer {
    answer.edits.set(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Bounds of HTTP/2 that an engine of HTTP/1.1 keeps on the wire: fields, and bytes of the target.
fn oversized(head: &dyn Head, target: &str) -> Option<Refusal> {
    let limits = palisade_http1::Limits::default();
    if target.len() > limits.target_bytes_max {
        return Some(Refusal::new(Reason::HttpTargetTooLong));
    }
    let mut fields = 0;
    head.fields(&mut |_, _| fields += 1);
    (fields > limits.fields_max).then(|| Refusal::new(Reason::HttpHeadTooLarge))
}

/// The way of one request to the application.
struct Way<'a> {
    live: &'a Live,
    timeouts: palisade_proxy::Timeouts,
    permit: Option<Permit>,
}

impl Way<'_> {
    /// Decides what the application receives in place of the client's head.
    fn prepare(
        self,
        transit: &mut Passing<'_>,
        head: &dyn Head,
        payload: palisade_proxy::retry::Payload,
    ) -> Result<(HeaderEdits, Ask), Refusal> {
        let Plan { protection, names, .. } = &*self.live.plan;
        let (edits, prepared) = onward::edits(names, &protection.edge.inbound, transit, head, payload)?;
        let ask = Ask {
            began: transit.arrival.now.monotonic,
            timeouts: self.timeouts,
            trace: palisade_proxy::Trace { id: transit.arrival.trace_id, sentry: self.live.sentry(&transit.arrival) },
            prepared,
            permit: self.permit,
        };
        Ok((edits, ask))
    }
}

/// A WebSocket: from here on bytes go both ways, and the record closes with the tunnel.
fn switch(
    transit: &mut Passing<'_>,
    received: Received<Tunnel<ForwardedBody>>,
    upgrade: Option<Upgrade>,
    ends: Ends,
) -> GatewayAnswer {
    let Received { status, head, mut edits, body: tunnel } = received;
    let observation = transit.switch(status, &mut edits);
    if let Some(upgrade) = upgrade {
        spawn_local(carry(tunnel, upgrade, observation, ends));
    }
    let blame = palisade_proxy::BodyError::reason;
    let body = Box::new(ObservedBody::unobserved(AnswerBody::Own(Bytes::new()), blame));
    Answer { status, head, edits, body }
}

async fn carry(tunnel: Tunnel<ForwardedBody>, client: Upgrade, mut observation: Observation<ToTelemetry>, ends: Ends) {
    let carried = tunnel.run(client, ends).await;
    if carried.end == TunnelEnd::UpstreamLost {
        observation.failed(Reason::UpstreamReset);
    }
    observation.carried(carried.up, carried.down);
}

/// What becomes of a request that the application did not answer.
fn fail(transit: &mut Passing<'_>, failure: Failure, head: &dyn Head) -> Result<GatewayAnswer, NoAnswer> {
    let refusal = match failure {
        Failure::Upstream { reason, detail } => {
            let refusal = Refusal::new(reason).detail(detail);
            if reason == Reason::UpstreamUnreachable { refusal.retry_after(Duration::from_secs(1)) } else { refusal }
        }
        Failure::Body(error) => match error.downcast_ref::<IntakeError<BodyError>>() {
            Some(IntakeError::TooLarge) => Refusal::new(Reason::HttpBodyTooLarge),
            Some(IntakeError::Body(error)) => match error.reason() {
                Some(reason) => Refusal::new(reason).detail(error.to_string()),
                None => return Err(NoAnswer::ClientLeft),
            },
            None => return Err(NoAnswer::ClientLeft),
        },
    };
    let is_framing = refusal.reason == Reason::HttpMalformed;
    let answer = end(transit, Refused::Refusal(refusal), head);
    if is_framing || answer.status == StatusCode::PAYLOAD_TOO_LARGE { Ok(closing(answer)) } else { Ok(answer) }
}

/// The target as it goes on: what was sent if that was in normal form already.
fn onward<'a>(sight: &'a Sight<'_>, sent: &'a str) -> Cow<'a, str> {
    let path = &sight.path;
    match sight.query {
        _ if path.as_sent() => Cow::Borrowed(sent),
        None => Cow::Borrowed(path.as_str()),
        Some(query) => Cow::Owned(format!("{}?{query}", path.as_str())),
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(_) => "the request is malformed",
            Self::ClientLeft => "the client left",
        })
    }
}

impl Error for NoAnswer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::ClientLeft => None,
        }
    }
}

#[cfg(test)]
mod tests;
