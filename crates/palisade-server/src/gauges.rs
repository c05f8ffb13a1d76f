//! Numbers for the scrape that no record holds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use palisade_core::{Monotonic, Reason};
use palisade_proxy::Gauges as Server;
use palisade_telemetry::Gauges;
use palisade_telemetry::metrics::{Connections, Lag};
use palisade_tower::guard::Stores;

use crate::accept::Door;
use crate::counters::{ConnectionLimit, Engine, Handshake};
use crate::rotation::{News, Rotation};
use crate::status::Status;
use crate::store;
use crate::tick::LAG_BOUNDS;

/// Where workers leave what nobody can ask them for: how the application's servers are doing.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Posted>);

#[derive(Debug, Default)]
struct Posted {
    /// What each worker last told.
    servers: BTreeMap<usize, Vec<Server>>,
    rotation: Rotation,
}

impl Board {
    /// Leaves what one worker knows at `now`.
    pub(crate) fn post(&self, worker: usize, now: Monotonic, servers: Vec<Server>) {
        let mut board = self.lock();
        let standings = servers.iter().map(|server| (server.server.clone(), server.standing));
        board.rotation.post(worker, now, standings);
        board.servers.insert(worker, servers);
    }

    /// What became of servers, to be told now.
    pub(crate) fn news(&self, now: Monotonic) -> Vec<News> {
        self.lock().rotation.news(now)
    }

    /// The servers that are out of rotation, and since when.
    pub(crate) fn out(&self) -> Vec<(Arc<str>, Monotonic)> {
        self.lock().rotation.out().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Posted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sum(&self) -> Vec<(Arc<str>, &'static str, u64)> {
        let board = self.lock();
        let mut sums: BTreeMap<(Arc<str>, &'static str), u64> = BTreeMap::new();
        for Server { server, open, idle, .. } in board.servers.values().flatten() {
            *sums.entry((server.clone(), "busy")).or_default() += u64::from(open.saturating_sub(*idle));
            *sums.entry((server.clone(), "idle")).or_default() += u64::from(*idle);
        }
        sums.into_iter().map(|((server, state), count)| (server, state, count)).collect()
    }
}

/// What a scrape is told.
pub(crate) fn gauges(door: &Door, status: &Status, stores: &Stores, board: &Board, snapshot: Arc<str>) -> Gauges {
    let counters = &door.counters;
    let fill = stores.counters.table().fill();
    let connections = counters.each().into_iter().flat_map(|(listener, counters)| {
        Engine::ALL.map(|engine| Connections {
            listener,
            protocol: engine.name(),
            open: counters.open(engine),
            total: counters.opened(engine),
        })
    });
    Gauges {
        connections: connections.collect(),
        connection_limits: ConnectionLimit::ALL.iter().map(|limit| (limit.name(), counters.limit(*limit))).collect(),
        handshakes: Handshake::ALL.iter().map(|result| (result.name(), counters.handshake(*result))).collect(),
        refusals: Reason::ALL.iter().map(|reason| (*reason, counters.refusal(*reason))).collect(),
        lag: lag(status),
        upstream_connections: board.sum(),
        limits_cells: fill.used,
        limits_evictions: fill.evictions,
        limits_store: store::gauges(&stores.counters),
        // Told by whoever keeps them.
        limits_kept: None,
        reload: status.reload(),
        snapshot,
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("PALISADE_REVISION").unwrap_or("unknown"),
    }
}

fn lag(status: &Status) -> Lag {
    let mut lag = Lag { bounds: LAG_BOUNDS.into(), buckets: vec![0; LAG_BOUNDS.len() + 1], ..Lag::default() };
    for tick in status.ticks() {
        for (sum, count) in lag.buckets.iter_mut().zip(tick.lags()) {
            *sum += count;
        }
        lag.sum += tick.lag_sum();
    }
    lag
}
