//! What a worker makes of a snapshot: the protection, and the way to the application.
//!
//! A request takes one [`Live`] when it arrives and keeps it to its end, so it sees exactly one
//! snapshot. A reload makes another one and takes over the upstream connections whose settings
//! stayed equal.

use std::rc::Rc;
use std::sync::Arc;

use palisade_config::{Forwarding, HostHeader, PublicUrl, ServerGroup, Snapshot, UpstreamProtocol};
use palisade_core::{Reply, Route};
use palisade_proxy::limiter::Bounds;
use palisade_proxy::{Address, Admission, Ambient, Engine, Sentry, Settings, SetupError, Timeouts, Upstream};
use palisade_tower::edge::Arrival;
use palisade_tower::transit::Protection;

use crate::gateway::ForwardedBody;
use crate::protection;
use crate::redirect::Redirect;
use crate::told::Names;

/// A snapshot and what all workers make of it alike.
pub(crate) struct Plan {
    /// What the config says.
    pub(crate) snapshot: Arc<Snapshot>,
    /// The edge and the routes.
    pub(crate) protection: Protection,
    /// What the application is told about its client.
    pub(crate) names: Names,
    redirect: Redirect,
    settings: Vec<Settings>,
}

/// One worker's share of a plan.
pub(crate) struct Live {
    pub(crate) plan: Arc<Plan>,
    groups: Vec<Option<Group>>,
}

/// The servers of one application, and the door in front of them.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) upstream: Rc<Upstream<ForwardedBody>>,
    pub(crate) admission: Rc<Admission>,
}

/// Why a worker can't use a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// An address is none for the proxy.
    #[error("`{0}` can't be used as an address of the application")]
    Address(String, #[source] palisade_proxy::AddressError),
    /// The servers can't be reached with these settings.
    #[error("the application can't be reached as [app] says")]
    Setup(#[from] SetupError),
}

impl Live {
    /// Makes a worker's share of a snapshot. `before` lends the connections that may stay.
    pub(crate) fn new(plan: Arc<Plan>, workers: u32, ambient: &Rc<Ambient>, before: Option<&Self>) -> Self {
        let kept = before.map(|before| before.groups.as_slice()).unwrap_or_default();
        let in_flight_max = |plan: &Plan| plan.snapshot.app.in_flight_max;
        let same_door = before.is_some_and(|before| in_flight_max(&before.plan) == in_flight_max(&plan));
        let ceiling = u32::try_from(in_flight_max(&plan)).unwrap_or(u32::MAX);
        let groups = plan.settings.iter().map(|settings| {
            let known = kept.iter().flatten().find(|group| group.upstream.settings() == settings);
            let servers = u32::try_from(settings.servers.len()).unwrap_or(u32::MAX);
            let admission = match known {
                Some(group) if same_door => group.admission.clone(),
                Some(_) | None => Admission::new(Bounds::share(ceiling, servers, workers), ambient.clone()),
            };
            let upstream = match known {
                Some(group) => group.upstream.clone(),
                // The plan was checked, so this holds. If it didn't, its requests would fail.
                None => Upstream::new(settings.clone(), ambient.clone()).ok()?,
            };
            Some(Group { upstream, admission })
        });
        Self { groups: groups.collect(), plan }
    }

    /// How requests of a route are sent on, and by whom they are answered.
    pub(crate) fn forwarding(&self, route: &Route) -> Option<(&Forwarding, &Group)> {
        let forwarding = self.plan.snapshot.forwarding.of(route);
        Some((forwarding, self.groups.get(forwarding.upstream)?.as_ref()?))
    }

    /// The answer beside TLS.
    pub(crate) fn redirect(&self, target: &str) -> Reply {
        let (head, body) = self.plan.redirect.answer(target).into_parts();
        let fields = head.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Reply { status: head.status, head: fields, body }
    }

    /// How the application's SDK is told of the trace: with the client's flag, if it is told.
    pub(crate) fn sentry(&self, arrival: &Arrival) -> Sentry {
        if !self.plan.snapshot.performance.sentry {
            return Sentry::Untold;
        }
        Sentry::Told { flag: arrival.trace.parent.and_then(|parent| parent.sentry) }
    }

    /// All groups, for gauges.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().flatten()
    }
}

impl Plan {
    /// Prepares a snapshot, so that no worker can fail to use it.
    ///
    /// # Errors
    ///
    /// What can't be used, and why.
    pub(crate) fn new(snapshot: Arc<Snapshot>, sample: [u8; 16]) -> Result<Self, LiveError> {
        let settings: Vec<_> =
            snapshot.upstreams.iter().map(|group| settings(&snapshot, group)).collect::<Result<_, _>>()?;
        let origin = snapshot.app.public_url.as_ref().map(PublicUrl::origin).unwrap_or_default();
        Ok(Self {
            protection: protection::of(&snapshot, sample),
            names: Names::new(&snapshot.app),
            redirect: Redirect::new(&origin),
            settings,
            snapshot,
        })
    }
}

/// How a group of servers is reached.
///
/// # Errors
///
/// What can't be used, and why.
pub(crate) fn settings(snapshot: &Snapshot, group: &ServerGroup) -> Result<Settings, LiveError> {
    let mut servers = Vec::with_capacity(group.servers.len());
    let mut private_ca = Vec::new();
    for server in &group.servers {
        let address = server.address.to_string();
        servers.push(address.parse::<Address>().map_err(|error| LiveError::Address(address, error))?);
        private_ca.extend_from_slice(server.ca.as_deref().unwrap_or_default());
    }
    let settings = Settings {
        servers,
        protocol: match snapshot.app.protocol {
            UpstreamProtocol::Http1 => palisade_proxy::Protocol::Http1,
            UpstreamProtocol::H2 => palisade_proxy::Protocol::H2,
            UpstreamProtocol::H2c => palisade_proxy::Protocol::H2c,
        },
        engine: engine(snapshot),
        host: match snapshot.app.host_header {
            HostHeader::Keep => palisade_proxy::HostHeader::Keep,
            HostHeader::Upstream => palisade_proxy::HostHeader::Upstream,
        },
        private_ca: (!private_ca.is_empty()).then(|| private_ca.into()),
    };
    settings.check()?;
    Ok(settings)
}

/// Who speaks HTTP/1.1.
pub(crate) fn engine(snapshot: &Snapshot) -> Engine {
    match snapshot.app.engine {
        palisade_config::Engine::Own => Engine::Own,
        palisade_config::Engine::Hyper => Engine::Hyper,
    }
}

/// The proxy's time limits for a route.
pub(crate) fn timeouts(forwarding: &Forwarding) -> Timeouts {
    Timeouts {
        connect: forwarding.connect,
        tls: forwarding.connect,
        response: forwarding.response,
        body_idle: forwarding.body_idle,
        stream_idle: forwarding.stream_idle,
    }
}

#[cfg(test)]
mod tests {
    use palisade_config::{Inputs, Seed, load};

    use super::*;

    #[test]
    fn every_time_limit_is_that_of_the_configuration() {
        let text = "[app]\nupstream = \"http://127.0.0.1:1\"\n[app.timeouts]\nconnect = \"7s\"\nresponse = \"8s\"\n\
            body_idle = \"9s\"\nstream_idle = \"10s\"\n";
        let (snapshot, _) = load(&Inputs::text("test.toml", text), Seed([0; 16])).map_err(|_| "config").unwrap();
        let timeouts = timeouts(snapshot.forwarding.iter().next().unwrap());
        let seconds = [timeouts.connect, timeouts.tls, timeouts.response, timeouts.body_idle, timeouts.stream_idle];
        assert_eq!(seconds.map(|limit| limit.as_secs()), [7, 7, 8, 9, 10]);
    }
}
