//! One small policy of each shape, and a request to ask them about.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body::Body;
use http_body_util::Full;
use palisade_core::charge::TableSize;
use palisade_core::decision::Facts;
use palisade_core::identity::User;
use palisade_core::path::EncodedSlash;
use palisade_core::policy::{End, Fed};
use palisade_core::*;
use palisade_store::counters::memory::Table;
use palisade_store::{Counters, Records};
use palisade_tower::clock;
use palisade_tower::guard::{self, Notes, Outline, Passage, REQUEST_STAGES, Ruling, Stores};
use palisade_tower::held::Held;

pub(crate) fn question(name: &'static str, stage: Stage, mode: Mode, policy: Policy) -> Question {
    Question { name, stage, mode, place: "test".into(), about: "".into(), policy }
}

/// A request about which questions are asked, with stores that last from one to the next.
pub(crate) struct Case {
    pub(crate) passage: Passage,
    route: Route,
    stores: Stores,
}

impl Case {
    pub(crate) fn new(questions: Vec<Question>) -> Self {
        let route = Route {
            id: RouteId(0),
            label: "/".into(),
            kind: Kind::Api,
            questions: questions.into(),
            max_body: u64::MAX,
            settings: 0,
        };
        let counters = Counters::Memory(Table::new(TableSize::default())).into();
        Self { passage: Passage::default(), route, stores: Stores { counters, records: Records::new(1 << 20) } }
    }

    pub(crate) async fn ask(&mut self, notes: Notes, body: &str) -> Ruling {
        self.ask_with(REQUEST_STAGES, notes, &mut Held::new(Full::from(body.to_owned()))).await
    }

    pub(crate) async fn ask_stages(&mut self, stages: RangeInclusive<Stage>, notes: Notes, body: &str) -> Ruling {
        self.ask_with(stages, notes, &mut Held::new(Full::from(body.to_owned()))).await
    }

    pub(crate) async fn ask_with<B>(
        &mut self,
        stages: RangeInclusive<Stage>,
        notes: Notes,
        body: &mut Held<B>,
    ) -> Ruling
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let request = request("POST / HTTP/1.1");
        let path = Path::parse("/", EncodedSlash::Keep).unwrap();
        let view = view(&request, &path, &self.route);
        guard::ask(&self.stores, stages, &view, body, &mut self.passage, notes).await
    }

    pub(crate) fn dress(&mut self, status: StatusCode, head: &mut HeaderMap) -> Vec<Box<dyn Transformation>> {
        let request = request("GET / HTTP/1.1");
        let path = Path::parse("/", EncodedSlash::Keep).unwrap();
        let outline = Outline { status, length: None };
        let view = view(&request, &path, &self.route);
        let mut edits = HeaderEdits::none();
        let rewritings = guard::dress(&view, outline, head, &mut edits, &mut self.passage, Notes::Brief);
        edits.apply(head);
        rewritings
    }

    pub(crate) async fn remember(&mut self, name: &'static str) {
        let ends = Utc::from_nanos(u64::MAX);
        self.stores.records.insert(&Names(name).lookup(), Bytes::from(name), ends, clock::now()).await.unwrap();
    }

    pub(crate) fn asked(&self) -> Vec<&'static str> {
        self.passage.asked.iter().map(|asked| asked.policy).collect()
    }
}

pub(crate) fn request(text: &str) -> Request<()> {
    let mut lines = text.lines();
    let mut first = lines.next().unwrap().split(' ');
    let mut request = Request::builder().method(first.next().unwrap()).uri(first.next().unwrap());
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(()).unwrap()
}

fn view<'a>(request: &'a Request<()>, path: &'a Path<'a>, route: &'a Route) -> View<'a> {
    static ANONYMOUS: Identity = Identity::Anonymous;
    static NONE: Facts = Facts::none();
    static ID: LazyLock<RequestId> = LazyLock::new(|| RequestId::new(Utc::from_nanos(0), 0));
    View {
        method: request.method(),
        path,
        query: None,
        authority: "app.example",
        head: request.headers(),
        client: std::net::IpAddr::from([192, 0, 2, 1]).into(),
        secure: false,
        protocol: Protocol::Http11,
        route,
        identity: &ANONYMOUS,
        request_id: &ID,
        facts: &NONE,
        limits: &[],
        overrides: None,
        now: clock::now(),
    }
}

pub(crate) fn is_navigation(request: &Request<()>) -> bool {
    let path = Path::parse("/", EncodedSlash::Keep).unwrap();
    let case = Case::new(Vec::new());
    view(request, &path, &case.route).is_navigation()
}

/// Inspect: always says the same.
pub(crate) struct Say(fn() -> Decision);

impl Say {
    pub(crate) fn allow() -> Policy {
        Policy::Inspect(Arc::new(Self(Decision::allow)))
    }

    pub(crate) fn refuse(reason: Reason) -> Policy {
        match reason {
            Reason::LimitsRate => Policy::Inspect(Arc::new(Self(|| Decision::refuse(Reason::LimitsRate)))),
            _ => Policy::Inspect(Arc::new(Self(|| Decision::refuse(Reason::HttpUnknownHost)))),
        }
    }

    pub(crate) fn stamp() -> Policy {
        Policy::Inspect(Arc::new(Self(|| {
            let mut effects = Effects::none();
            effects.request.set(HeaderName::from_static("x-seen"), HeaderValue::from_static("yes"));
            effects.response.set(HeaderName::from_static("x-seen"), HeaderValue::from_static("yes"));
            Decision::Allow(effects)
        })))
    }
}

impl Inspect for Say {
    fn decide(&self, _: &View<'_>) -> Decision {
        (self.0)()
    }
}

/// Meter: two requests an hour.
pub(crate) struct Spend;

impl Spend {
    pub(crate) fn twice() -> Policy {
        Policy::Meter(Arc::new(Self))
    }
}

impl Meter for Spend {
    fn items(&self) -> &[Arc<Item>] {
        &[]
    }

    fn charges(&self, _: &View<'_>, charges: &mut Charges) {
        let bound = Bound::Rate(Rate::new(2, Duration::from_secs(3600), 2).unwrap());
        charges.push(Charge { item: 0, key: KeyHash(7), bound, amount: 1, spend: palisade_core::Spend::Now });
    }

    fn decide(&self, _: &View<'_>, _: &Charges, verdicts: &Verdicts) -> Decision {
        if verdicts.admit() { Decision::allow() } else { Decision::refuse(Reason::LimitsRate) }
    }

    fn tell(&self, _: Mode, _: &Charges, _: &Verdicts, _: &mut Vec<Tally>) {}
}

/// Meter: so many slots of a counter that has one, each with a counter of its own.
pub(crate) struct Hold(u128);

impl Hold {
    pub(crate) fn one() -> Policy {
        Policy::Meter(Arc::new(Self(1)))
    }

    pub(crate) fn too_many() -> Policy {
        Policy::Meter(Arc::new(Self(1_000)))
    }
}

impl Meter for Hold {
    fn items(&self) -> &[Arc<Item>] {
        &[]
    }

    fn charges(&self, _: &View<'_>, charges: &mut Charges) {
        for key in 0..self.0 {
            let spend = palisade_core::Spend::Now;
            charges.push(Charge { item: 0, key: KeyHash(key), bound: Bound::Slots(1), amount: 1, spend });
        }
    }

    fn decide(&self, _: &View<'_>, _: &Charges, verdicts: &Verdicts) -> Decision {
        if verdicts.admit() { Decision::allow() } else { Decision::refuse(Reason::LimitsConcurrent) }
    }

    fn tell(&self, _: Mode, _: &Charges, _: &Verdicts, _: &mut Vec<Tally>) {}
}

/// Meter: tells when it was asked, and spends nothing.
#[derive(Clone, Default)]
pub(crate) struct When(Arc<OnceLock<Monotonic>>);

impl When {
    pub(crate) fn policy(&self) -> Policy {
        Policy::Meter(Arc::new(self.clone()))
    }

    pub(crate) fn asked(&self) -> Monotonic {
        *self.0.get().unwrap()
    }
}

impl Meter for When {
    fn items(&self) -> &[Arc<Item>] {
        &[]
    }

    fn charges(&self, view: &View<'_>, _: &mut Charges) {
        self.0.set(view.now.monotonic).unwrap();
    }

    fn decide(&self, _: &View<'_>, _: &Charges, _: &Verdicts) -> Decision {
        Decision::allow()
    }

    fn tell(&self, _: Mode, _: &Charges, _: &Verdicts, _: &mut Vec<Tally>) {}
}

/// A body that ends only when the clock has gone on.
pub(crate) struct Late;

impl Body for Late {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let since = clock::monotonic();
        while clock::monotonic().since(since) < Duration::from_millis(1) {}
        Poll::Ready(None)
    }
}

/// Recall: somebody who must be known.
#[derive(Clone)]
pub(crate) struct Names(&'static str);

impl Names {
    pub(crate) fn of(name: &'static str) -> Policy {
        Policy::Recall(Arc::new(Self(name)))
    }

    fn lookup(&self) -> Lookup {
        Lookup { collection: "names", key: [self.0.len() as u8; 32] }
    }
}

impl Recall for Names {
    fn lookup(&self, _: &View<'_>) -> Option<Lookup> {
        Some(self.lookup())
    }

    fn decide(&self, _: &View<'_>, found: Found) -> Decision {
        let Found::Record(record) = found else { return Decision::refuse(Reason::HttpUnknownHost) };
        let subject = String::from_utf8(record.to_vec()).unwrap();
        let user = Identity::User(Arc::new(User { subject, ..User::default() }));
        Decision::Allow(Effects { identity: Some(user), ..Effects::none() })
    }
}

/// Examine: a word that must not occur.
pub(crate) struct Word(&'static str);

impl Word {
    pub(crate) const BUDGET: usize = 64;

    pub(crate) fn refused(word: &'static str) -> Policy {
        Policy::Examine(Arc::new(Self(word)))
    }
}

impl Examine for Word {
    fn begin(&self, view: &View<'_>) -> Option<Box<dyn Examination>> {
        (view.method == Method::POST).then(|| Box::new(Reading { word: self.0, seen: Vec::new() }) as _)
    }
}

struct Reading {
    word: &'static str,
    seen: Vec<u8>,
}

impl Examination for Reading {
    fn budget(&self) -> usize {
        Word::BUDGET
    }

    fn feed(&mut self, chunk: &[u8]) -> Fed {
        self.seen.extend_from_slice(chunk);
        Fed::More
    }

    fn decide(self: Box<Self>, _: End) -> Decision {
        let evil = String::from_utf8_lossy(&self.seen).contains(self.word);
        if evil { Decision::refuse(Reason::HttpMalformed) } else { Decision::allow() }
    }
}

/// Dress: one header.
pub(crate) struct Stamp(&'static str);

impl Stamp {
    pub(crate) fn on(name: &'static str) -> Policy {
        Policy::Dress(Arc::new(Self(name)))
    }
}

impl Dress for Stamp {
    fn dress(&self, _: &View<'_>, _: &ResponseView<'_>, edits: &mut HeaderEdits) {
        edits.set(HeaderName::from_static(self.0), HeaderValue::from_static("yes"));
    }
}

/// Transform: upper case.
#[derive(Clone)]
pub(crate) struct Upper;

impl Upper {
    pub(crate) fn policy() -> Policy {
        Policy::Transform(Arc::new(Self))
    }
}

impl Transform for Upper {
    fn begin(&self, _: &View<'_>, _: &ResponseView<'_>, _: &mut HeaderEdits) -> Option<Box<dyn Transformation>> {
        Some(Box::new(self.clone()))
    }
}

impl Transformation for Upper {
    fn feed(&mut self, chunk: Bytes) -> Bytes {
        chunk.to_ascii_uppercase().into()
    }

    fn end(&mut self) -> Bytes {
        Bytes::new()
    }
}
