//! How a service says what protects it.

use std::net::SocketAddr;

use http::Extensions;
use palisade_core::charge::TableSize;
use palisade_core::client::Hops;
use palisade_core::path::EncodedSlash;
use palisade_core::route::{Kind, Treatment};
use palisade_core::{Mode, Pattern, Question, Rate, Record, RouteTable};
use palisade_policy::inbound::{InboundFilter, MethodOverride, OddNames};
use palisade_policy::limits::{self, Ladder, Spec, Style, TooFast};
use palisade_policy::{headers, method};
use palisade_store::counters::memory::Table;
use palisade_store::{Counters, Records};

use crate::edge::{AcceptTrace, Edge, Peer, Sample};
use crate::guard::Stores;
use crate::layer::{PalisadeLayer, PeerOf, Shared};
use crate::transit::Protection;

/// The protections of the gateway, for a service written in Rust.
///
/// ```
/// use palisade_core::{Mode, Rate};
/// use palisade_tower::Palisade;
/// use std::time::Duration;
///
/// let rate = Rate::new(300, Duration::from_secs(60), 300).expect("300 a minute is a rate");
/// let layer = Palisade::builder().per_ip(rate, Mode::Enforce).headers().build().expect("nothing is out of range");
/// ```
#[derive(Debug)]
pub struct Palisade;

/// What protects a service.
pub struct Builder {
    questions: Vec<Question>,
    routes: Vec<(Pattern, Kind)>,
    hops: Hops,
    table: TableSize,
    seed: [u8; 16],
    body_bytes_max: u64,
    limits: Vec<Spec>,
    peer: PeerOf,
    record: Box<dyn Fn(Record) + Send + Sync>,
}

/// Why there is no layer.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The widest address prefix would refill faster than can be counted.
    #[error(transparent)]
    TooFast(#[from] TooFast),
    /// More routes than a table holds.
    #[error("the routes don't fit into a table")]
    Routes(#[source] palisade_core::route::TooManyRoutes),
}

/// The longest request body, unless the service says otherwise: 100 MiB.
const BODY_BYTES_MAX: u64 = 100 << 20;
/// What the records that policies may look up take of memory: 64 MiB.
const RECORD_BYTES_MAX: usize = 64 << 20;

impl Palisade {
    /// Nothing is protected yet but for what every request needs: a path in normal form, no
    /// forged fields, no `TRACE` or `CONNECT`.
    pub fn builder() -> Builder {
        let mut random = fastrand::Rng::new();
        Builder {
            questions: Vec::new(),
            routes: Vec::new(),
            hops: Hops::default(),
            table: TableSize::default(),
            seed: random.u128(..).to_ne_bytes(),
            body_bytes_max: BODY_BYTES_MAX,
            limits: Vec::new(),
            peer: Box::new(peer_of),
            record: Box::new(|_| {}),
        }
    }
}

impl Builder {
    /// Lets each client address make requests at this rate.
    pub fn per_ip(self, rate: Rate, mode: Mode) -> Self {
        self.limit(Spec::per_ip(rate, mode))
    }

    /// Adds a limit. Those by user or plan see who a question of stage `identify` says it is.
    pub fn limit(mut self, limit: Spec) -> Self {
        self.limits.push(limit);
        self
    }

    /// Sends the headers that make browsers protect the reader and can't break a page.
    pub fn headers(mut self) -> Self {
        self.questions.extend(headers::compile());
        self
    }

    /// Asks one more question, after those of the same stage that are there already.
    pub fn question(mut self, question: Question) -> Self {
        self.questions.push(question);
        self
    }

    /// Names a route, so that its records bear the pattern instead of `unmatched`.
    pub fn route(mut self, pattern: Pattern, kind: Kind) -> Self {
        self.routes.push((pattern, kind));
        self
    }

    /// Lets these peers speak for their clients. By default nobody may.
    pub fn hops(mut self, hops: Hops) -> Self {
        self.hops = hops;
        self
    }

    /// Memory for counters; taken only as they are used.
    pub fn table(mut self, size: TableSize) -> Self {
        self.table = size;
        self
    }

    /// The longest request body. A longer one ends with an error at that byte.
    pub fn body_bytes_max(mut self, bytes: u64) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// Says how a connection's other end is found. By default a [`Peer`] or a [`SocketAddr`] among
    /// the request's extensions counts; requests with neither count as one client.
    pub fn peer(mut self, find: impl Fn(&Extensions) -> Option<Peer> + Send + Sync + 'static) -> Self {
        self.peer = Box::new(find);
        self
    }

    /// Receives the record of every request that is over. It is called where the answer's body is
    /// dropped, so it must not wait.
    pub fn on_record(mut self, record: impl Fn(Record) + Send + Sync + 'static) -> Self {
        self.record = Box::new(record);
        self
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// What can't be counted, or is too much.
    pub fn build(self) -> Result<PalisadeLayer, BuildError> {
        let settings = limits::Settings {
            ladder: Ladder::default(),
            style: Style::default(),
            overrides: MethodOverride::Drop,
            seed: self.seed.into(),
            place: "default".into(),
        };
        // In the order of the gateway's: what limits see of an answer, headers take out.
        let mut questions = method::compile();
        questions.extend(limits::build(&self.limits, &settings)?.0);
        questions.extend(self.questions);
        questions.sort_by_key(|question| question.stage);
        let questions: std::sync::Arc<[Question]> = questions.into();
        let treatment =
            |kind| Treatment { kind, questions: questions.clone(), max_body: self.body_bytes_max, settings: 0 };
        let routes = self.routes.into_iter().map(|(pattern, kind)| (pattern, treatment(kind))).collect();
        let routes = RouteTable::new(routes, treatment(Kind::Api)).map_err(BuildError::Routes)?;
        let edge = Edge {
            hops: self.hops,
            encoded_slash: EncodedSlash::Keep,
            inbound: InboundFilter::new(OddNames::Drop, Vec::new(), MethodOverride::Drop),
            accept: AcceptTrace::Ids,
            sample: Sample { key: self.seed, per_million: 0 },
        };
        let stores = Stores {
            counters: Counters::Memory(Table::new(self.table)).into(),
            records: Records::new(RECORD_BYTES_MAX),
        };
        Ok(PalisadeLayer::new(Shared {
            protection: Protection { edge, routes: routes.into() },
            stores,
            body_bytes_max: self.body_bytes_max,
            peer: self.peer,
            record: self.record,
        }))
    }
}

fn peer_of(extensions: &Extensions) -> Option<Peer> {
    extensions.get::<Peer>().copied().or_else(|| {
        let address = extensions.get::<SocketAddr>()?;
        Some(Peer { address: address.ip().into(), secure: false })
    })
}
