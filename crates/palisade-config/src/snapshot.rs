//! What the gateway runs on: everything that the configuration says, as types that can't be wrong.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use palisade_core::charge::TableSize;
use palisade_core::client::Hops;
use palisade_core::config::{Place, join};
use palisade_core::path::EncodedSlash;
use palisade_core::{Question, Route, RouteTable};
use palisade_policy::inbound::InboundFilter;

use crate::admin::Admin;
use crate::app::{App, ForwardingTable, ServerGroup};
use crate::document::{Document, Effective};
use crate::log::Log;
use crate::performance::Performance;
use crate::store::CounterStore;

/// A compiled configuration. Never changed: a reload makes another one.
pub struct Snapshot {
    /// The application behind the gateway, and how both are reached.
    pub app: App,
    /// What is made of a request's head before anybody is asked about it.
    pub edge: EdgeSettings,
    /// Every path's route, with its questions.
    pub routes: Arc<RouteTable>,
    /// The questions that are asked of every route, in order.
    pub questions: Arc<[Question]>,
    /// The limits by their names.
    pub limits: palisade_policy::limits::Roster,
    /// How large the table of counters is.
    pub table: TableSize,
    /// Where counters are kept.
    pub counters: CounterStore,
    /// How long a request may wait for counters that are kept elsewhere.
    pub store_deadline: Duration,
    /// The directory of what has to survive a restart; `None`: nothing is kept.
    pub state: Option<PathBuf>,
    /// How the requests of each route are sent on.
    pub forwarding: ForwardingTable,
    /// The groups of servers; the first one is that of `[app] upstream`.
    pub upstreams: Vec<ServerGroup>,
    /// What is written about requests.
    pub log: Log,
    /// What is measured, and how finely.
    pub performance: Performance,
    /// The listener for operators.
    pub admin: Admin,
    pub(crate) document: Document,
    pub(crate) hash: u64,
}

/// What is made of a request's head before anybody is asked about it.
#[derive(Clone, Debug)]
pub struct EdgeSettings {
    /// Which peers may speak for their clients, and in which field.
    pub hops: Hops,
    /// What an escaped slash in a path means.
    pub encoded_slash: EncodedSlash,
    /// Which request fields are taken out.
    pub inbound: InboundFilter,
}

impl Snapshot {
    /// Equal for equal effective values, on every machine and in every run. Secrets count as
    /// references.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Where a key's effective value came from: `palisade.toml:12`, `PALISADE_LISTEN`, or
    /// `default`.
    pub fn place(&self, key: &str) -> Arc<str> {
        self.document.place(key)
    }

    /// The same for a report.
    pub fn spot(&self, key: &str) -> Place {
        self.document.spot(key)
    }

    /// A key's effective value and where it came from; `None` for tables and for keys without one.
    pub fn value(&self, key: &str) -> Option<Effective> {
        self.effective().into_iter().find(|effective| effective.key == key)
    }

    /// The key that says how long a body may be on a route, with its value and place.
    pub fn body_rule(&self, route: &Route) -> Effective {
        let own = self.forwarding.pattern_of(route).map(|pattern| {
            let key = join("app.route", pattern.as_str());
            format!("{key}.max_body")
        });
        let of = |key: &str| self.value(key);
        own.and_then(|key| of(&key)).or_else(|| of("app.max_body")).unwrap_or_else(|| Effective {
            key: "app.max_body".to_owned(),
            value: route.max_body.to_string(),
            place: self.place("app.max_body"),
        })
    }

    /// Every key that has a value, defaults included, in the order of the reference.
    pub fn effective(&self) -> Vec<Effective> {
        self.document.effective()
    }
}
