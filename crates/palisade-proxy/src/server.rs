//! One server of an application, as one worker sees it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use palisade_core::Monotonic;
use tokio::sync::Semaphore;

use crate::address::Address;
use crate::deadline::Deadlines;
use crate::error::SetupError;
use crate::health::{Health, Standing};
use crate::http1;
use crate::http2;
use crate::pool::Pool;
use crate::resolve::{Resolver, STALE};

/// A server with its connections.
pub(crate) struct Server<B: 'static> {
    pub(crate) address: Address,
    pub(crate) label: Arc<str>,
    pub(crate) authority: HeaderValue,
    pub(crate) resolver: Option<Rc<Resolver>>,
    pub(crate) health: RefCell<Health>,
    pub(crate) in_flight: Cell<u32>,
    /// Connections, idle or not.
    pub(crate) open: Rc<Cell<u32>>,
    pub(crate) idle: RefCell<Pool<http1::Idle<B>>>,
    pub(crate) shared: RefCell<Vec<Rc<http2::Line<B>>>>,
    /// Lets one request at a time open a shared connection, and the others use it then.
    pub(crate) dialing: Semaphore,
    clock: Rc<Deadlines>,
}

/// A request under way to a server.
pub(crate) struct Flight<B: 'static> {
    pub(crate) server: Rc<Server<B>>,
    verdict: Cell<Verdict>,
}

/// Whether the server still waits to hear what became of its trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    NotNeeded,
    Owed,
}

/// Numbers of one server, for gauges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gauges {
    /// The server's label.
    pub server: Arc<str>,
    /// Requests under way.
    pub in_flight: u32,
    /// Connections that are open.
    pub open: u32,
    /// Connections that wait for a request.
    pub idle: u32,
    /// Whether requests should go there.
    pub standing: Standing,
}

impl<B> Server<B> {
    pub(crate) fn new(address: &Address, clock: &Rc<Deadlines>) -> Result<Self, SetupError> {
        let authority = address.authority();
        let authority = HeaderValue::try_from(authority).map_err(|_| SetupError::Authority(address.clone()))?;
        Ok(Self {
            address: address.clone(),
            label: address.label().into(),
            authority,
            resolver: address.target().cloned().map(Resolver::new),
            health: RefCell::default(),
            in_flight: Cell::new(0),
            open: Rc::default(),
            idle: RefCell::default(),
            shared: RefCell::default(),
            dialing: Semaphore::new(1),
            clock: Rc::clone(clock),
        })
    }

    /// Takes an idle connection back.
    pub(crate) fn put(&self, idle: http1::Idle<B>) {
        let now = self.clock.coarse();
        self.idle.borrow_mut().put(idle, now);
    }

    pub(crate) fn answered(&self) {
        let mut health = self.health.borrow_mut();
        if !health.is_clean() {
            health.succeeded();
        }
    }

    /// Drops connections that are too old, closed, or lead to an address that the name no longer
    /// has.
    pub(crate) fn sweep(&self) {
        self.clock.catch_up();
        let now = self.clock.coarse();
        let addresses = self.resolver.as_ref().and_then(|resolver| resolver.known(STALE));
        let is_current = |peer: Option<std::net::SocketAddr>| match (&addresses, peer) {
            (Some(addresses), Some(peer)) => addresses.contains(&peer),
            (None, _) | (_, None) => true,
        };
        self.idle.borrow_mut().sweep(now, |idle| {
            idle.rest();
            is_current(idle.peer()) && idle.is_usable()
        });
        self.shared.borrow_mut().retain(|line| line.is_usable() && is_current(line.peer));
    }

    pub(crate) fn gauges(&self, now: Monotonic) -> Gauges {
        let idle_lines = self.shared.borrow().iter().filter(|line| line.streams.get() == 0).count();
        let idle = self.idle.borrow().len() + idle_lines;
        Gauges {
            server: Arc::clone(&self.label),
            in_flight: self.in_flight.get(),
            open: self.open.get(),
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
            standing: self.health.borrow().standing(now),
        }
    }
}

impl<B> Flight<B> {
    /// A request sets out to `server`; if that is half open, this is its trial.
    pub(crate) fn new(server: &Rc<Server<B>>, now: Monotonic) -> Self {
        server.in_flight.set(server.in_flight.get() + 1);
        let mut health = server.health.borrow_mut();
        let verdict = match health.standing(now) {
            Standing::HalfOpen => Verdict::Owed,
            Standing::In | Standing::Out(_) => Verdict::NotNeeded,
        };
        health.chosen(now);
        drop(health);
        Self { server: Rc::clone(server), verdict: Cell::new(verdict) }
    }

    /// A connect succeeded, or an answer came.
    pub(crate) fn succeeded(&self) {
        self.verdict.set(Verdict::NotNeeded);
        self.server.answered();
    }

    /// No connection was made.
    pub(crate) fn failed(&self, now: Monotonic) {
        self.verdict.set(Verdict::NotNeeded);
        self.server.health.borrow_mut().failed(now);
    }
}

impl<B> Drop for Flight<B> {
    fn drop(&mut self) {
        let server = &self.server;
        server.in_flight.set(server.in_flight.get().saturating_sub(1));
        if self.verdict.get() == Verdict::Owed {
            server.health.borrow_mut().undecided();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;
    use crate::body::RequestBody;

    #[tokio::test]
    async fn a_trial_that_ends_without_a_verdict_is_anybodys() {
        let check = async {
            let address = "http://127.0.0.1:1".parse().unwrap();
            let server: Rc<Server<RequestBody<()>>> = Rc::new(Server::new(&address, &Deadlines::start()).unwrap());
            let at = |seconds: u64| Monotonic::from_nanos(seconds * 1_000_000_000);
            let standing = |seconds| server.gauges(at(seconds)).standing;
            for _ in 0..5 {
                Flight::new(&server, at(0)).failed(at(0));
            }
            assert_eq!((standing(0), standing(1)), (Standing::Out(at(1)), Standing::HalfOpen));
            let trial = Flight::new(&server, at(1));
            let other = Flight::new(&server, at(1));
            assert_eq!((standing(1), server.in_flight.get()), (Standing::Out(at(1)), 2));
            // Whoever isn't the trial decides nothing by leaving.
            drop(other);
            assert_eq!(standing(1), Standing::Out(at(1)));
            drop(trial);
            assert_eq!((standing(1), server.in_flight.get()), (Standing::HalfOpen, 0));
            Flight::new(&server, at(1)).succeeded();
            assert_eq!(standing(1), Standing::In);
        };
        LocalSet::new().run_until(check).await;
    }
}
