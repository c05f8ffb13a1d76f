//! One worker's half of the gateway: a request comes in, an answer goes out.
//!
//! It is a shell around [`Transit`]: the edge, the guard and the renderer are the library's, the
//! way to the application is the proxy's. What is here is the order in which they are called, and
//! what each failure becomes.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TRAILER};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use palisade_core::{Kind, Path, Pattern, Reason, Record, Refusal, RequestId, Stage, media};
use palisade_policy::inbound::{Inbound, InboundFilter};
use palisade_proxy::{Ambient, Answer, Ask, Failure, Permit, ResponseBody, Sent, Tunnel, TunnelEnd, hop};
use palisade_telemetry::WorkerTelemetry;
use palisade_tower::body::AnswerBody;
use palisade_tower::edge::{Entropy, Peer};
use palisade_tower::guard::Stores;
use palisade_tower::held::Held;
use palisade_tower::observe::{Close, IntakeBody, IntakeError, Observation, ObservedBody};
use palisade_tower::render::{self, Audience};
use palisade_tower::transit::{Incoming, Refused, Sight, Transit};
use palisade_tower::{authority, clock};
use tokio::task::spawn_local;

use crate::connection::{BodyError, Connection, RequestBody, Service, framing};
use crate::counters::Engine;
use crate::ending::{Endable, Ending, Ends};
use crate::health;
use crate::limits::Limits;
use crate::live::{Group, Live, Plan, timeouts};
use crate::memory::{Memory, Pressure};
use crate::panic::{Caught, Panicked};
use crate::status::Status;

/// The listener beside TLS, whose requests are sent to the public address.
pub(crate) const REDIRECT: &str = "redirect";

/// A request's body on its way to the application.
pub(crate) type ForwardedBody = Held<IntakeBody<RequestBody>>;

/// An answer's body on its way to the client.
pub(crate) type GatewayBody = ObservedBody<AnswerBody<Endable<ResponseBody<ForwardedBody>>>, ToTelemetry>;

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
    reserved: Option<Pattern>,
}

/// Hands closed records to the worker's telemetry.
pub(crate) struct ToTelemetry(Rc<WorkerTelemetry>);

impl Close for ToTelemetry {
    fn close(self, record: Record) {
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
        let reserved = Pattern::parse("/.palisade/**").ok();
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

    async fn answer(
        &self,
        request: Request<RequestBody>,
        connection: Connection,
        known_as: &Cell<Option<RequestId>>,
    ) -> Result<Response<GatewayBody>, NoAnswer> {
        let live = self.live();
        let (mut parts, body) = request.into_parts();
        let malformed = framing::check(&parts).err();
        if connection.engine == Engine::H2 {
            if malformed.is_some() {
                return Err(NoAnswer::Malformed(h2::Reason::PROTOCOL_ERROR.into()));
            }
            framing::join_cookies(&mut parts.headers);
        }
        let target = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let asked_for = authority::of(&parts.uri, &parts.headers);
        let arriving = Incoming {
            target: &target,
            authority: &asked_for,
            peer: Peer { address: connection.peer.ip().into(), secure: connection.secure },
            now: clock::now(),
            entropy: Entropy::draw(&mut self.random.borrow_mut()),
        };
        let close = ToTelemetry(self.telemetry.clone());
        let (mut transit, refused) = Transit::arrive(&live.plan.protection, arriving, &mut parts, close);
        known_as.set(Some(transit.arrival.request_id));
        self.telemetry.opened(transit.sight.route.kind);
        if let Some(malformed) = malformed {
            let refusal = Refusal::new(Reason::HttpMalformed).detail(malformed.to_string());
            let mut response = transit.end(Refused::Refusal(refusal), &parts);
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return Ok(response);
        }
        if let Some(refusal) = refused.or_else(|| oversized(&parts, target.as_str())) {
            return Ok(transit.end(Refused::Refusal(refusal), &parts));
        }
        if connection.listener == REDIRECT {
            return Ok(transit.end(Refused::Reply(live.redirect(&parts.uri)), &parts));
        }
        let route = transit.sight.route;
        if route.kind == Kind::Health {
            return Ok(self.health(transit, &parts));
        }
        let body = IntakeBody::new(body, route.max_body);
        transit.observation.takes_in(body.intake());
        let mut body = Held::new(body);
        if let Some(ended) = transit.ask(&self.stores, Stage::Shed..=Stage::Shed, &parts, &mut body).await.ended() {
            return Ok(transit.end(ended, &parts));
        }
        if declared(&parts).is_some_and(|bytes| bytes > route.max_body) {
            return Ok(transit.end(Refused::Refusal(Refusal::new(Reason::HttpBodyTooLarge)), &parts));
        }
        let Some((forwarding, group)) = live.forwarding(route) else {
            return Ok(transit.end(Refused::Refusal(Refusal::new(Reason::InternalPanic)), &parts));
        };
        let permit = match self.admit(group, &transit).await {
            Ok(permit) => permit,
            Err(refusal) => return Ok(transit.end(Refused::Refusal(refusal), &parts)),
        };
        let later = Stage::Identify..=Stage::Shape;
        if let Some(ended) = transit.ask(&self.stores, later, &parts, &mut body).await.ended() {
            return Ok(transit.end(ended, &parts));
        }
        if route.kind == Kind::Own || self.is_reserved(&transit.sight.path) {
            return Ok(transit.end(Refused::Refusal(Refusal::new(Reason::HttpNotFound)), &parts));
        }
        // Not a future of its own: what it would take in would lie twice in every request's future.
        let on_upgrade = parts.extensions.remove::<OnUpgrade>();
        let way = Way { live: &live, timeouts: timeouts(forwarding), permit };
        let (request, ask) = match way.prepare(&mut transit, &parts, body) {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(transit.end(Refused::Refusal(refusal), &parts)),
        };
        let sent = group.upstream.send(request, ask).await;
        self.conclude(transit, sent, on_upgrade, &parts)
    }

    /// Whether a reader who ignores case, parameters or escapes would take a path for one of ours.
    /// Nothing under our prefix reaches the application in any spelling.
    fn is_reserved(&self, path: &Path<'_>) -> bool {
        // Nearly no path has such a segment, and looking for it is cheaper than comparing.
        let has_dot = path.as_str().as_bytes().windows(2).any(|pair| matches!(pair, b".p" | b".P"));
        has_dot && self.reserved.as_ref().is_some_and(|reserved| reserved.matches_broadly(path))
    }

    /// What becomes of what the application said.
    fn conclude(
        &self,
        mut transit: Passing<'_>,
        sent: Sent<ForwardedBody>,
        on_upgrade: Option<OnUpgrade>,
        parts: &Parts,
    ) -> Result<Response<GatewayBody>, NoAnswer> {
        if let Some(record) = transit.observation.record() {
            record.server = sent.server().cloned();
            record.upstream = sent.attempts.iter().map(|attempt| attempt.duration).sum();
            record.attempts = sent.attempts;
        }
        match sent.answer {
            Ok(Answer::Response(response)) => {
                let ends = is_stream(&response).then(|| self.ends());
                Ok(respond(transit, response.map(|body| Endable::new(body, ends)), parts))
            }
            Ok(Answer::Switch(response, tunnel)) => Ok(switch(transit, response, tunnel, on_upgrade, self.ends())),
            Err(failure) => fail(transit, failure, parts),
        }
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
    fn health(&self, transit: Passing<'_>, parts: &Parts) -> Response<GatewayBody> {
        let now = transit.arrival.now.monotonic;
        if !health::is_method(&parts.method) {
            let mut refusal = Refusal::new(Reason::HttpMethodNotAllowed);
            refusal.response.set(ALLOW, health::METHODS);
            return transit.end(Refused::Refusal(refusal), parts);
        }
        let path = transit.sight.path.as_str().strip_prefix("/.palisade/").unwrap_or_default();
        let answer = health::answer(path, None, &self.status.conditions(now), now, health::Audience::Public);
        let ended = match answer {
            Some(health::Answer::Reply(reply)) => Refused::Reply(reply),
            Some(health::Answer::Refuse(reason)) => Refused::Refusal(Refusal::new(reason)),
            None => Refused::Refusal(Refusal::new(Reason::HttpNotFound)),
        };
        transit.end(ended, parts)
    }
}

impl Service for Gateway {
    type Body = GatewayBody;
    type Error = NoAnswer;

    async fn call(
        &self,
        request: Request<RequestBody>,
        connection: Connection,
    ) -> Result<Response<GatewayBody>, NoAnswer> {
        let known_as = Cell::new(None);
        // What follows a CONNECT is meant for its tunnel, and a TRACE comes from no application's
        // client: none of it is read as a request.
        let is_last = *request.method() == Method::CONNECT || *request.method() == Method::TRACE;
        let answer = match Caught::new(self.answer(request, connection, &known_as)).await {
            Ok(answer) => answer,
            // The record was closed by the panic itself; the client is told its id.
            Err(Panicked) => {
                let id = known_as.get().unwrap_or_else(|| RequestId::new(clock::now().utc, 0));
                let refusal = Refusal::new(Reason::InternalPanic);
                let answer = render::refusal(&refusal, id, Audience::Program).map(AnswerBody::Own);
                Ok(answer.map(|body| ObservedBody::unobserved(body, palisade_proxy::BodyError::reason)))
            }
        };
        // HTTP/2 says goodbye with a frame of its own; a tunnel isn't kept for another request.
        let closes = connection.engine == Engine::H1 && (is_last || self.status.is_draining());
        answer.map(|mut answer| {
            if closes && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            answer
        })
    }
}

/// Bounds that HTTP/1.1 has on the wire and HTTP/2 has not: fields, and bytes of the target.
fn oversized(parts: &Parts, target: &str) -> Option<Refusal> {
    let limits = Limits::default();
    if target.len() > limits.target_bytes_max {
        return Some(Refusal::new(Reason::HttpTargetTooLong));
    }
    (parts.headers.len() > limits.fields_max).then(|| Refusal::new(Reason::HttpHeadTooLarge))
}

/// The body's declared length.
fn declared(parts: &Parts) -> Option<u64> {
    std::str::from_utf8(parts.headers.get(CONTENT_LENGTH)?.as_bytes()).ok()?.parse().ok()
}

/// The way of one request to the application.
struct Way<'a> {
    live: &'a Live,
    timeouts: palisade_proxy::Timeouts,
    permit: Option<Permit>,
}

impl Way<'_> {
    /// Makes the request that the application receives.
    fn prepare(
        self,
        transit: &mut Passing<'_>,
        parts: &Parts,
        body: ForwardedBody,
    ) -> Result<(Request<palisade_proxy::RequestBody<ForwardedBody>>, Ask), Refusal> {
        let mut head = parts.headers.clone();
        std::mem::take(&mut transit.passage.request).apply(&mut head);
        announce_only(&mut head, &self.live.plan.protection.edge.inbound);
        let body = palisade_proxy::RequestBody::new(body);
        let prepared = hop::prepare(&parts.method, &mut head, body.payload())
            .map_err(|malformed| Refusal::new(Reason::HttpMalformed).detail(malformed.to_string()))?;
        let Sight { path, query, authority, .. } = &transit.sight;
        self.live.plan.names.tell(&mut head, &transit.arrival, authority);
        let uri = target(&parts.uri, path.as_str(), path.as_sent(), *query)
            .ok_or_else(|| Refusal::new(Reason::PathMalformed))?;
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = head;
        let ask = Ask {
            began: transit.arrival.now.monotonic,
            timeouts: self.timeouts,
            trace: palisade_proxy::Trace { id: transit.arrival.trace_id, sentry: self.live.sentry(&transit.arrival) },
            prepared,
            permit: self.permit,
        };
        Ok((request, ask))
    }
}

/// Takes names that no client may set out of `Trailer`: a trailer passes only if it is announced.
fn announce_only(head: &mut HeaderMap, inbound: &InboundFilter) {
    if !head.contains_key(TRAILER) {
        return;
    }
    let values: Vec<_> = head.get_all(TRAILER).iter().filter_map(|value| value.to_str().ok()).collect();
    let names = values.iter().flat_map(|value| value.split(',')).map(str::trim);
    let kept: Vec<_> = names.filter(|name| !name.is_empty() && inbound.verdict(name) == Inbound::Keep).collect();
    match HeaderValue::from_str(&kept.join(", ")) {
        Ok(value) if !kept.is_empty() => drop(head.insert(TRAILER, value)),
        Ok(_) | Err(_) => drop(head.remove(TRAILER)),
    }
}

/// The application's answer, dressed.
fn respond(
    mut transit: Passing<'_>,
    mut response: Response<Endable<ResponseBody<ForwardedBody>>>,
    parts: &Parts,
) -> Response<GatewayBody> {
    if let Some(record) = transit.observation.record() {
        record.stream = is_stream(&response);
    }
    // Ours is the version that the client is answered with; the application's is its own affair.
    *response.version_mut() = Version::HTTP_11;
    transit.answer(response.map(AnswerBody::App), palisade_proxy::BodyError::reason, parts)
}

/// Answers whose latency is that of their first byte.
fn is_stream<B>(response: &Response<B>) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|value| media::is_stream(value.as_bytes()))
}

/// A WebSocket: from here on bytes go both ways, and the record closes with the tunnel.
fn switch(
    transit: Passing<'_>,
    mut response: Response<()>,
    tunnel: Tunnel<ForwardedBody>,
    on_upgrade: Option<OnUpgrade>,
    ends: Ends,
) -> Response<GatewayBody> {
    let observation = transit.switch(&mut response);
    if let Some(on_upgrade) = on_upgrade {
        spawn_local(carry(tunnel, on_upgrade, observation, ends));
    }
    let blame = palisade_proxy::BodyError::reason;
    response.map(|()| ObservedBody::unobserved(AnswerBody::Own(Bytes::new()), blame))
}

async fn carry(
    tunnel: Tunnel<ForwardedBody>,
    client: OnUpgrade,
    mut observation: Observation<ToTelemetry>,
    ends: Ends,
) {
    let carried = tunnel.run(client, ends).await;
    if carried.end == TunnelEnd::UpstreamLost {
        observation.failed(Reason::UpstreamReset);
    }
    observation.carried(carried.up, carried.down);
}

/// What becomes of a request that the application did not answer.
fn fail(transit: Passing<'_>, failure: Failure, parts: &Parts) -> Result<Response<GatewayBody>, NoAnswer> {
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
    let mut response = transit.end(Refused::Refusal(refusal), parts);
    if is_framing || response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// The target in origin-form: what was sent if that was in normal form already.
fn target(sent: &Uri, path: &str, as_sent: bool, query: Option<&str>) -> Option<Uri> {
    let path_and_query = match (as_sent, query) {
        (true, _) => sent.path_and_query().cloned()?,
        (false, None) => PathAndQuery::try_from(path).ok()?,
        (false, Some(query)) => PathAndQuery::try_from(format!("{path}?{query}")).ok()?,
    };
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path_and_query);
    Uri::from_parts(parts).ok()
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
