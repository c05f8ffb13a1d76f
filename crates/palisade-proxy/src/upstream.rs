//! A group of servers that answer for one application, in one worker.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use palisade_core::Monotonic;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{MissedTickBehavior, interval};

use crate::address::Address;
use crate::ambient::Ambient;
use crate::balance::{Candidate, Tried, choose};
use crate::connect::Tls;
use crate::deadline::Deadlines;
use crate::error::SetupError;
use crate::retry::Budget;
use crate::server::{Gauges, Server};
use crate::settings::{Protocol, Settings};

/// Servers kept apart by one bit each while a request is tried.
const SERVERS_MAX: usize = 64;

/// How often connections are looked through for those to close.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// An application's servers with their connections, health and retry budget. It belongs to one
/// worker; a reload keeps it where the [`Settings`] stay equal.
pub struct Upstream<B: 'static> {
    pub(crate) settings: Settings,
    pub(crate) servers: Vec<Rc<Server<B>>>,
    pub(crate) tls: Option<Tls>,
    pub(crate) ambient: Rc<Ambient>,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) budget: RefCell<Budget>,
    /// Its own task, ended with it.
    sweeper: AbortHandle,
}

impl<B: 'static> Upstream<B> {
    /// Connects to nothing yet. To be called in a `LocalSet`, like everything here.
    ///
    /// # Errors
    /// When no connection could ever be made with these settings.
    pub fn new(settings: Settings, ambient: Rc<Ambient>) -> Result<Rc<Self>, SetupError> {
        let tls = settings.tls()?;
        let deadlines = Deadlines::start();
        let servers = settings.servers.iter().map(|address| Server::new(address, &deadlines).map(Rc::new));
        let servers = servers.collect::<Result<_, _>>()?;
        Ok(Rc::new_cyclic(|this: &Weak<Self>| {
            let sweeper = spawn_local(sweep(Weak::clone(this))).abort_handle();
            Self { settings, servers, tls, ambient, deadlines, budget: RefCell::default(), sweeper }
        }))
    }

    /// What it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The state of each server, in the order of the settings.
    pub fn gauges(&self, now: Monotonic) -> impl Iterator<Item = Gauges> + '_ {
        self.servers.iter().map(move |server| server.gauges(now))
    }

    /// The server for a request that was `tried` on those whose bits are set, and its bit.
    pub(crate) fn choose(&self, tried: u64, now: Monotonic) -> Option<(&Rc<Server<B>>, u64)> {
        if let [only] = self.servers.as_slice() {
            return Some((only, 1));
        }
        let candidates = self.servers.iter().enumerate().map(|(place, server)| Candidate {
            in_flight: server.in_flight.get(),
            standing: server.health.borrow().standing(now),
            tried: if tried & (1 << place) == 0 { Tried::No } else { Tried::Yes },
        });
        let candidates: arrayvec::ArrayVec<_, SERVERS_MAX> = candidates.take(SERVERS_MAX).collect();
        let place = choose(&candidates, self.ambient.entropy())?;
        Some((self.servers.get(place)?, 1 << place))
    }
}

impl Settings {
    /// What is needed for TLS, after everything was checked.
    fn tls(&self) -> Result<Option<Tls>, SetupError> {
        if self.servers.is_empty() {
            return Err(SetupError::NoServer);
        }
        if self.servers.len() > SERVERS_MAX {
            return Err(SetupError::TooManyServers);
        }
        for address in &self.servers {
            check_protocol(self.protocol, address)?;
        }
        let any_tls = self.servers.iter().any(|address| matches!(address, Address::Https(_)));
        if any_tls { Tls::new(self.private_ca.as_deref()).map(Some) } else { Ok(None) }
    }

    /// Whether connections could be made with these settings.
    ///
    /// # Errors
    /// What makes every connection impossible.
    pub fn check(&self) -> Result<(), SetupError> {
        self.tls().map(drop)
    }
}

impl<B> Drop for Upstream<B> {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

impl<B> std::fmt::Debug for Upstream<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn check_protocol(protocol: Protocol, address: &Address) -> Result<(), SetupError> {
    match (protocol, address) {
        (Protocol::H2, Address::Http(_) | Address::Unix(_)) => Err(SetupError::NeedsTls(address.clone())),
        (Protocol::H2c, Address::Https(_)) => Err(SetupError::NeedsNoTls(address.clone())),
        (Protocol::Http1, _)
        | (Protocol::H2, Address::Https(_))
        | (Protocol::H2c, Address::Http(_) | Address::Unix(_)) => Ok(()),
    }
}

async fn sweep<B: 'static>(upstream: Weak<Upstream<B>>) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(upstream) = upstream.upgrade() else { return };
        for server in &upstream.servers {
            server.sweep();
        }
    }
}
