//! Numbers for the scrape that no record holds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use palisade_core::Reason;
use palisade_telemetry::Gauges;
use palisade_telemetry::metrics::{Connections, Lag};
use palisade_tower::guard::Stores;

use crate::accept::Door;
use crate::counters::{ConnectionLimit, Engine, Handshake};
use crate::status::Status;
use crate::store;
use crate::tick::LAG_BOUNDS;

/// Connections to each server, as one worker last told: server, busy, idle.
pub(crate) type UpstreamConnections = Vec<(Arc<str>, u64, u64)>;

/// Where workers leave what a scrape can't ask them for.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<BTreeMap<usize, UpstreamConnections>>);

impl Board {
    /// Leaves the numbers of one worker.
    pub(crate) fn post(&self, worker: usize, connections: UpstreamConnections) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(worker, connections);
    }

    fn sum(&self) -> Vec<(Arc<str>, &'static str, u64)> {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums: BTreeMap<(Arc<str>, &'static str), u64> = BTreeMap::new();
        for (server, busy, idle) in board.values().flatten() {
            *sums.entry((server.clone(), "busy")).or_default() += busy;
            *sums.entry((server.clone(), "idle")).or_default() += idle;
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
