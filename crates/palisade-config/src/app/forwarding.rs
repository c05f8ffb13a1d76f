//! What is different from route to route when a request is sent on.

use std::time::Duration;

use palisade_core::config::{Problems, Setting};
use palisade_core::{Pattern, Route};

use super::raw::{RawRoute, RawRouteTimeouts};
use super::upstream;
use super::upstream::{Rules, ServerGroup};

/// How requests of a route are sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// Which servers, by their place in [`Snapshot::upstreams`](crate::Snapshot::upstreams).
    pub upstream: usize,
    /// The longest body of a request, in bytes.
    pub body_bytes_max: u64,
    /// For a connection, and again for its TLS handshake.
    pub connect: Duration,
    /// For the head of the answer.
    pub response: Duration,
    /// Between two pieces of a body.
    pub body_idle: Duration,
    /// Between two pieces of an event stream or of a WebSocket.
    pub stream_idle: Duration,
}

/// All settings of a snapshot, by [`Route::settings`](palisade_core::Route::settings).
#[derive(Clone, Debug)]
pub struct ForwardingTable {
    default: Forwarding,
    further: Vec<(Pattern, Forwarding)>,
}

/// What `[app.route]` says about one pattern.
pub(crate) struct Overrides {
    pub(crate) pattern: Setting<Pattern>,
    pub(crate) forwarding: Forwarding,
}

impl ForwardingTable {
    /// The table; index 0 is the default, then come the others in their order.
    pub(crate) const fn new(default: Forwarding, further: Vec<(Pattern, Forwarding)>) -> Self {
        Self { default, further }
    }

    /// How requests of a route of the same snapshot are sent on.
    pub fn of(&self, route: &Route) -> &Forwarding {
        self.further_of(route).map_or(&self.default, |(_, forwarding)| forwarding)
    }

    /// The pattern of `[app.route]` whose settings hold for a route; `None`: those of `[app]` do.
    pub fn pattern_of(&self, route: &Route) -> Option<&Pattern> {
        self.further_of(route).map(|(pattern, _)| pattern)
    }

    fn further_of(&self, route: &Route) -> Option<&(Pattern, Forwarding)> {
        self.further.get(usize::from(route.settings).checked_sub(1)?)
    }

    /// All settings, the default first.
    pub fn iter(&self) -> impl Iterator<Item = &Forwarding> {
        std::iter::once(&self.default).chain(self.further.iter().map(|(_, forwarding)| forwarding))
    }
}

/// The settings of a route: its own, and for the rest those of `[app]`.
pub(super) fn compile(
    pattern: Setting<Pattern>,
    raw: RawRoute,
    default: Forwarding,
    upstreams: &mut Vec<ServerGroup>,
    rules: &Rules<'_>,
    problems: &mut Problems,
) -> Overrides {
    let RawRoute { timeouts, max_body, upstream } = raw;
    let RawRouteTimeouts { connect, response, body_idle, stream_idle } = timeouts.value;
    let upstream = match upstream {
        Some(servers) => place_group(upstream::compile(servers.value, rules, problems), upstreams),
        None => default.upstream,
    };
    let forwarding = Forwarding {
        upstream,
        body_bytes_max: max_body.map_or(default.body_bytes_max, |size| size.value.get()),
        connect: connect.map_or(default.connect, |period| period.value.get()),
        response: response.map_or(default.response, |period| period.value.get()),
        body_idle: body_idle.map_or(default.body_idle, |period| period.value.get()),
        stream_idle: stream_idle.map_or(default.stream_idle, |period| period.value.get()),
    };
    Overrides { pattern, forwarding }
}

/// Equal groups are one: they share connections and bookkeeping.
fn place_group(group: ServerGroup, upstreams: &mut Vec<ServerGroup>) -> usize {
    upstreams.iter().position(|known| *known == group).unwrap_or_else(|| {
        upstreams.push(group);
        upstreams.len() - 1
    })
}
