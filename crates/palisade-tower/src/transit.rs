//! One request on its way: from the edge past the guard to its answer.
//!
//! The gateway and the Tower layer are two shells around this. A shell parses the message, calls
//! [`Transit::arrive`], asks the stages, forwards, and hands the answer to [`Transit::answer`];
//! everything between is here, once.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, USER_AGENT};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, Version};
use http_body::Body;
use palisade_core::record::Outcome;
use palisade_core::{
    Head as _, Identity, Now, Path, Protocol, Reason, Record, Refusal, Reply, Route, RouteTable, Stage, View,
};

use crate::body::AnswerBody;
use crate::clock;
use crate::edge::{Arrival, Edge, Entropy, Peer};
use crate::guard::{self, Notes, Outline, Passage, Ruling, Stores};
use crate::held::Held;
use crate::observe::{Close, Observation, ObservedBody};
use crate::render::{self, Audience};

/// What protects an application: the edge's rules and the routes with their questions.
pub struct Protection {
    /// What is made of a head before anybody is asked about it.
    pub edge: Edge,
    /// Which questions are asked about which path.
    pub routes: Arc<RouteTable>,
}

/// One request on its way.
pub struct Transit<'a, C: Close> {
    /// What the edge found out.
    pub arrival: Arrival,
    /// What the guard found out.
    pub passage: Passage,
    /// What it asks for.
    pub sight: Sight<'a>,
    /// The open record.
    pub observation: Observation<C>,
    notes: Notes,
}

/// What a request asks for, in the form in which everybody sees it.
#[derive(Clone)]
pub struct Sight<'a> {
    /// The path in normal form.
    pub path: Path<'a>,
    /// What follows the first `?`, untouched.
    pub query: Option<&'a str>,
    /// The authority that the client asked for.
    pub authority: &'a str,
    /// The protocol of the client's connection.
    pub protocol: Protocol,
    /// The route that the path belongs to.
    pub route: &'a Route,
}

/// The header in which every answer bears the request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

static ANONYMOUS: Identity = Identity::Anonymous;
static NO_FACTS: palisade_core::decision::Facts = palisade_core::decision::Facts::none();

/// What arrives beside the head: what was asked for, and where it came from.
pub struct Incoming<'a> {
    /// The request's target; outlives the request's parts.
    pub target: &'a PathAndQuery,
    /// The authority that the client asked for; outlives the request's parts.
    pub authority: &'a str,
    /// The other end of the connection.
    pub peer: Peer,
    /// When the head was complete.
    pub now: Now,
    /// Random bits for this request.
    pub entropy: Entropy,
}

impl<'a, C: Close> Transit<'a, C> {
    /// Passes the edge and opens the observation. The second part is a refusal by the edge itself.
    /// Fields that no client may set are taken out of the head.
    pub fn arrive(
        protection: &'a Protection,
        incoming: Incoming<'a>,
        parts: &mut Parts,
        close: C,
    ) -> (Self, Option<Refusal>) {
        let Incoming { target, authority, peer, now, entropy } = incoming;
        let (arrival, filtered) = protection.edge.arrive(&mut parts.headers, peer, now, entropy);
        let sent = match target.path() {
            // About the server as a whole (RFC 9112 section 3.2.4).
            "*" if parts.method == Method::OPTIONS => Ok(Path::asterisk()),
            // A tunnel is asked for by authority; whatever stands for its path is none (section 3.2.3).
            _ if parts.method == Method::CONNECT => Ok(Path::asterisk()),
            path => protection.edge.path(path),
        };
        let (path, malformed) = match sent {
            Ok(path) => (path, None),
            // A path without normal form belongs to no route; its record shows an empty one.
            Err(refusal) => (Path::empty(), Some(refusal)),
        };
        let route = match malformed {
            None => protection.routes.find(&path),
            Some(_) => protection.routes.unmatched(),
        };
        let protocol = match parts.version {
            Version::HTTP_2 => Protocol::H2,
            Version::HTTP_10 => Protocol::Http10,
            _ => Protocol::Http11,
        };
        let sight = Sight { path, query: target.query(), authority, protocol, route };
        let record = open(&arrival, &sight, parts);
        let transit = Self {
            notes: if arrival.traced { Notes::Full } else { Notes::Brief },
            passage: Passage::default(),
            observation: Observation::open(record, close),
            arrival,
            sight,
        };
        (transit, filtered.err().or(malformed))
    }

    /// Notes every question, as an explanation needs it.
    pub fn note_everything(&mut self) {
        self.notes = Notes::Full;
    }

    /// Asks the questions of `stages`.
    pub async fn ask<B>(
        &mut self,
        stores: &Stores,
        stages: RangeInclusive<Stage>,
        parts: &Parts,
        body: &mut Held<B>,
    ) -> Ruling
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let view = self.sight.view(&self.arrival, parts);
        guard::ask(stores, stages, &view, body, &mut self.passage, self.notes).await
    }

    /// Who waits for the answer: a person gets a page.
    pub fn audience(&self, parts: &Parts) -> Audience {
        let view = self.sight.view(&self.arrival, parts);
        if view.is_navigation() { Audience::Person } else { Audience::Program }
    }

    /// The answer to a ruling that ends the request here.
    pub fn end<B>(mut self, ruling: Refused, parts: &Parts) -> Response<ObservedBody<AnswerBody<B>, C>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let response = match ruling {
            Refused::Refusal(refusal) => {
                self.observation.failed(refusal.reason);
                render::refusal(&refusal, self.arrival.request_id, self.audience(parts))
            }
            Refused::Reply(reply) => own(reply),
        };
        // Our own body can't break.
        self.answer(response.map(AnswerBody::Own), |_| Reason::InternalPanic, parts)
    }

    /// Dresses an answer and observes its body until its end; `blame` names the reason if the body
    /// breaks before.
    pub fn answer<B>(
        mut self,
        mut response: Response<AnswerBody<B>>,
        blame: fn(&B::Error) -> Reason,
        parts: &Parts,
    ) -> Response<ObservedBody<AnswerBody<B>, C>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let status = response.status();
        let outline = Outline { status, length: length(&response, &parts.method) };
        let view = self.sight.view(&self.arrival, parts);
        let rewritings = guard::dress(&view, outline, response.headers_mut(), &mut self.passage, self.notes);
        if !rewritings.is_empty() {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        self.bear_id(response.headers_mut());
        let observation = self.note(status);
        response.map(|body| ObservedBody::new(body, blame, observation, rewritings))
    }

    /// Bears the request's id on an answer that opens a tunnel, and gives the observation to
    /// whoever carries its bytes. Such an answer is not dressed: it is no page.
    pub fn switch(self, response: &mut Response<()>) -> Observation<C> {
        let status = response.status();
        self.bear_id(response.headers_mut());
        let mut observation = self.note(status);
        if let Some(record) = observation.record() {
            record.stream = true;
            record.first_byte = Some(clock::monotonic().since(record.now.monotonic));
        }
        observation
    }

    fn bear_id(&self, head: &mut HeaderMap) {
        head.insert(X_REQUEST_ID, self.arrival.request_id_value.clone());
    }

    /// Writes down what was decided, once the answer's status is known.
    fn note(self, status: StatusCode) -> Observation<C> {
        let Self { mut observation, passage, .. } = self;
        if let Some(record) = observation.record() {
            record.status = Some(status);
            record.identity = passage.identity;
            record.policies = passage.asked;
            record.store_wait = passage.store_wait;
            if status.is_server_error() && record.code.is_none() {
                record.outcome = record.outcome.max(Outcome::AppError);
            }
        }
        observation
    }
}

/// A ruling that ends a request before the application sees it.
#[derive(Debug)]
pub enum Refused {
    /// A policy refused it, or the application could not be asked.
    Refusal(Refusal),
    /// A policy answered.
    Reply(Reply),
}

impl Ruling {
    /// What ends the request here, if anything does.
    pub fn ended(self) -> Option<Refused> {
        match self {
            Self::Pass => None,
            Self::Respond(reply) => Some(Refused::Reply(reply)),
            Self::Refuse(refusal) => Some(Refused::Refusal(refusal)),
        }
    }
}

impl Sight<'_> {
    /// The view of a request about which nothing is known yet beyond its head.
    fn view<'v>(&'v self, arrival: &Arrival, parts: &'v Parts) -> View<'v> {
        View {
            method: &parts.method,
            path: &self.path,
            query: self.query,
            authority: self.authority,
            head: &parts.headers,
            client: arrival.client,
            secure: arrival.secure,
            protocol: self.protocol,
            route: self.route,
            identity: &ANONYMOUS,
            request_id: arrival.request_id,
            facts: &NO_FACTS,
            now: arrival.now,
        }
    }
}

/// How long the content of an answer is: what its body knows. One to HEAD has none to ask, so there
/// its head counts.
fn length<B: Body>(response: &Response<B>, method: &Method) -> Option<u64> {
    if method != Method::HEAD {
        return response.body().size_hint().exact();
    }
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn own(reply: Reply) -> Response<Bytes> {
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status;
    for (name, value) in reply.head {
        response.headers_mut().append(name, value);
    }
    response
}

const HOST_BYTES_MAX: usize = 255;
const AGENT_BYTES_MAX: usize = 256;

fn open(arrival: &Arrival, sight: &Sight<'_>, parts: &Parts) -> Record {
    let Sight { path, query, authority, protocol, route } = sight;
    let agent = parts.headers.first(&USER_AGENT);
    Record {
        now: arrival.now,
        duration: Duration::ZERO,
        latency: Duration::ZERO,
        first_byte: None,
        upstream: Duration::ZERO,
        client_wait: Duration::ZERO,
        store_wait: Duration::ZERO,
        request_id: arrival.request_id,
        client_request_id: arrival.client_request_id,
        trace_id: arrival.trace_id,
        span_id: arrival.span_id,
        parent_id: arrival.parent_id,
        method: parts.method.clone(),
        route: route.id,
        route_label: route.label.clone(),
        path: path.as_str().into(),
        query_names: query
            .filter(|_| route.kind != palisade_core::Kind::Own)
            .map(|query| palisade_core::path::query_names(query).collect())
            .unwrap_or_default(),
        kind: route.kind,
        protocol: *protocol,
        host: authority.get(..authority.floor_char_boundary(HOST_BYTES_MAX)).unwrap_or_default().into(),
        bytes_in: 0,
        bytes_out: 0,
        client: arrival.client,
        identity: Identity::Anonymous,
        user_agent: agent.map(|agent| agent.get(..AGENT_BYTES_MAX).unwrap_or(agent).into()),
        status: None,
        outcome: Outcome::Ok,
        code: None,
        server: None,
        attempts: Vec::new(),
        policies: Vec::new(),
        stream: false,
        traced: arrival.traced,
    }
}
