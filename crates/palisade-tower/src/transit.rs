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
use http::{Method, StatusCode};
use http_body::Body;
use palisade_core::record::Outcome;
use palisade_core::{
    Edited, Head, HeaderEdits, Identity, Now, Path, Protocol, Reason, Record, Refusal, Reply, ResponseView, Route,
    RouteTable, Sift, Stage, View,
};

use crate::answer::Answer;
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
    /// The method.
    pub method: &'a Method,
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

/// What arrives beside the head's fields, which may change while these are looked at.
pub struct Incoming<'a> {
    /// The method.
    pub method: &'a Method,
    /// The protocol of the client's connection.
    pub protocol: Protocol,
    /// The target without scheme and authority: a path and perhaps a query, or `*`.
    pub target: &'a str,
    /// The authority that the client asked for.
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
        head: &mut impl Sift,
        close: C,
    ) -> (Self, Option<Refusal>) {
        let Incoming { method, protocol, target, authority, peer, now, entropy } = incoming;
        let (arrival, filtered) = protection.edge.arrive(head, peer, now, entropy);
        let mark = target.bytes().position(|byte| byte == b'?').and_then(|at| target.split_at_checked(at));
        let (path, query) = match mark {
            Some((path, query)) => (path, query.get(1..)),
            None => (target, None),
        };
        let sent = match path {
            // About the server as a whole (RFC 9112 section 3.2.4).
            "*" if *method == Method::OPTIONS => Ok(Path::asterisk()),
            // A tunnel is asked for by authority; whatever stands for its path is none (section 3.2.3).
            _ if *method == Method::CONNECT => Ok(Path::asterisk()),
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
        let sight = Sight { method, path, query, authority, protocol, route };
        let record = open(&arrival, &sight, head);
        let transit = Self {
            notes: if arrival.traced { Notes::Full } else { Notes::Brief },
            passage: Passage::default(),
            observation: Observation::open(record, close),
            arrival,
            sight,
        };
        (transit, filtered.err().or(malformed))
    }

    /// Says who sent it, where no policy finds that out: in an explanation.
    pub fn sent_by(&mut self, identity: Identity) {
        self.passage.identity = identity;
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
        head: &dyn Head,
        body: &mut Held<B>,
    ) -> Ruling
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let view = self.sight.view(&self.arrival, head);
        guard::ask(stores, stages, &view, body, &mut self.passage, self.notes).await
    }

    /// Who waits for the answer: a person gets a page.
    pub fn audience(&self, head: &dyn Head) -> Audience {
        let view = self.sight.view(&self.arrival, head);
        if view.is_navigation() { Audience::Person } else { Audience::Program }
    }

    /// The answer to a ruling that ends the request here. `head` is the request's.
    pub fn end<B>(&mut self, ruling: Refused, head: &dyn Head) -> Answer<HeaderMap, ObservedBody<AnswerBody<B>, C>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut answer = match ruling {
            Refused::Refusal(refusal) => {
                self.observation.failed(refusal.reason);
                render::refusal(&refusal, self.arrival.request_id, self.audience(head)).into()
            }
            Refused::Reply(reply) => own(reply),
        };
        if *self.sight.method == Method::HEAD {
            withhold(&mut answer);
        }
        // Our own body can't break.
        self.answer(answer.map(AnswerBody::Own), |_| Reason::InternalPanic, head)
    }

    /// Dresses an answer and observes its body until its end; `blame` names the reason if the body
    /// breaks before. `head` is the request's.
    pub fn answer<H, B>(
        &mut self,
        answer: Answer<H, AnswerBody<B>>,
        blame: fn(&B::Error) -> Reason,
        head: &dyn Head,
    ) -> Answer<H, ObservedBody<AnswerBody<B>, C>>
    where
        H: Head,
        B: Body<Data = Bytes> + Unpin,
    {
        let outline = Outline { status: answer.status, length: length(&answer, self.sight.method) };
        let Answer { status, head: received, mut edits, body } = answer;
        let view = self.sight.view(&self.arrival, head);
        let rewritings = guard::dress(&view, outline, &received, &mut edits, &mut self.passage, self.notes);
        if !rewritings.is_empty() {
            edits.remove(CONTENT_LENGTH);
        }
        self.bear_id(&mut edits);
        self.settle(&ResponseView { status, head: &Edited { head: &received, edits: &edits }, length: outline.length });
        let observation = self.note(status);
        let body = ObservedBody::new(body, blame, observation, rewritings);
        Answer { status, head: received, edits, body }
    }

    /// Bears the request's id on an answer that opens a tunnel, and gives the observation to
    /// whoever carries its bytes. Such an answer is not dressed: it is no page.
    pub fn switch(&mut self, status: StatusCode, edits: &mut HeaderEdits) -> Observation<C> {
        self.bear_id(edits);
        self.settle(&ResponseView { status, head: &Edited { head: &HeaderMap::new(), edits }, length: None });
        let mut observation = self.note(status);
        if let Some(record) = observation.record() {
            record.stream = true;
            record.first_byte = Some(clock::monotonic().since(record.now.monotonic));
        }
        observation
    }

    fn bear_id(&self, edits: &mut HeaderEdits) {
        edits.set(X_REQUEST_ID, self.arrival.request_id_value.clone());
    }

    /// Settles what the answer's head decides.
    fn settle(&mut self, response: &ResponseView<'_>) {
        let reason = self.observation.record().and_then(|record| record.code);
        self.passage.reservations.answered(response, reason);
    }

    /// Writes down what was decided, once the answer's status is known. It is the last thing that is
    /// asked of a transit.
    fn note(&mut self, status: StatusCode) -> Observation<C> {
        let mut observation = self.observation.take();
        let Passage { reservations, watches, .. } = &mut self.passage;
        observation.holds(std::mem::take(reservations), std::mem::take(watches));
        if let Some(record) = observation.record() {
            record.status = Some(status);
            record.identity = std::mem::take(&mut self.passage.identity);
            record.policies = std::mem::take(&mut self.passage.asked);
            record.limits = std::mem::take(&mut self.passage.limits);
            record.store_wait = self.passage.store_wait;
            if status.as_u16() >= 500 && record.code.is_none() {
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
    fn view<'v>(&'v self, arrival: &'v Arrival, head: &'v dyn Head) -> View<'v> {
        View {
            method: self.method,
            path: &self.path,
            query: self.query,
            authority: self.authority,
            head,
            client: arrival.client,
            secure: arrival.secure,
            protocol: self.protocol,
            route: self.route,
            identity: &ANONYMOUS,
            request_id: &arrival.request_id,
            facts: &NO_FACTS,
            limits: &[],
            overrides: None,
            now: arrival.now,
        }
    }
}

/// Leaves the length of the content in its place, as an answer to `HEAD` has it (RFC 9110 section
/// 9.3.2): engines of HTTP/2 send whatever body there is.
fn withhold(answer: &mut Answer<HeaderMap, Bytes>) {
    let content = std::mem::take(&mut answer.body);
    if !content.is_empty() {
        answer.head.insert(CONTENT_LENGTH, content.len().into());
    }
}

/// How long the content of an answer is: what its body knows. One to HEAD has none to ask, so there
/// its head counts.
fn length<H: Head, B: Body>(answer: &Answer<H, B>, method: &Method) -> Option<u64> {
    if *method != Method::HEAD {
        return answer.body.size_hint().exact();
    }
    std::str::from_utf8(answer.edited().first(&CONTENT_LENGTH)?).ok()?.parse().ok()
}

fn own(reply: Reply) -> Answer<HeaderMap, Bytes> {
    let mut head = HeaderMap::with_capacity(reply.head.len());
    for (name, value) in reply.head {
        head.append(name, value);
    }
    Answer { status: reply.status, head, edits: HeaderEdits::none(), body: reply.body }
}

const HOST_BYTES_MAX: usize = 255;
const AGENT_BYTES_MAX: usize = 256;

fn open(arrival: &Arrival, sight: &Sight<'_>, head: &dyn Head) -> Box<Record> {
    let Sight { method, path, query, authority, protocol, route } = sight;
    let agent = head.first(&USER_AGENT);
    Box::new(Record {
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
        method: (*method).clone(),
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
        forwarded_untrusted: arrival.forwarded_untrusted,
        identity: Identity::Anonymous,
        user_agent: agent.map(|agent| agent.get(..AGENT_BYTES_MAX).unwrap_or(agent).into()),
        status: None,
        outcome: Outcome::Ok,
        code: None,
        server: None,
        attempts: Vec::new(),
        policies: Vec::new(),
        limits: Vec::new(),
        stream: false,
        traced: arrival.traced,
    })
}
