//! A worker's end of telemetry: it counts at once and tells in batches.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use palisade_core::{Kind, Monotonic, Protocol, Record};

use crate::bus::BATCH;
use crate::metrics::registry::{Registry, Slot};
use crate::metrics::shard::{ConnectionCells, Shard, bump};
use crate::telemetry::Shared;

/// How often a worker calls [`WorkerTelemetry::tick`].
pub const TICK: Duration = Duration::from_millis(20);

/// Telemetry of one worker. It may be sent to the worker's thread and is then used there alone.
#[derive(Debug)]
pub struct WorkerTelemetry {
    shared: Arc<Shared>,
    shard: Arc<Shard>,
    routes: RefCell<RouteSlots>,
    batch: RefCell<Vec<Record>>,
    ticked: Cell<Option<Monotonic>>,
}

/// Slots of routes by their id. A route's id means another route after a reload, while requests of
/// both snapshots are under way, so what is kept is checked against the record's own label.
#[derive(Debug, Default)]
struct RouteSlots(Vec<Option<(Arc<str>, Slot)>>);

impl WorkerTelemetry {
    pub(crate) fn new(shared: Arc<Shared>, shard: Arc<Shard>) -> Self {
        Self {
            shared,
            shard,
            routes: RefCell::default(),
            batch: RefCell::new(Vec::with_capacity(BATCH)),
            ticked: Cell::new(None),
        }
    }

    /// A request begins. Each is closed once.
    pub fn opened(&self, kind: Kind) {
        self.shard.open(kind);
    }

    /// A request ended: it is counted now and told soon.
    pub fn closed(&self, record: Record) {
        let registry = &self.shared.registry;
        let slot = self.routes.borrow_mut().slot(&record, registry);
        self.shard.count(&record, slot, registry);

        let mut batch = self.batch.borrow_mut();
        batch.push(record);
        if batch.len() >= BATCH {
            self.send(&mut batch);
        }
    }

    /// Tells what has gathered. Called every [`TICK`], so how late it is says how busy the
    /// worker's runtime is.
    pub fn tick(&self, now: Monotonic) {
        if let Some(before) = self.ticked.replace(Some(now)) {
            self.shard.lag.observe(now.since(before).saturating_sub(TICK));
        }
        self.flush();
    }

    /// A client connected.
    pub fn connection_opened(&self, protocol: Protocol) {
        bump(&self.shard.connections.opened, ConnectionCells::place(protocol));
    }

    /// A client's connection ended.
    pub fn connection_closed(&self, protocol: Protocol) {
        bump(&self.shard.connections.closed, ConnectionCells::place(protocol));
    }

    /// A limit on connections acted. Names come from code, never from a client.
    pub fn connection_limited(&self, limit: &'static str) {
        if let Some(cell) = self.shard.connection_limits.cell(limit) {
            cell.add(1);
        }
    }

    /// A TLS handshake ended. Results come from code, never from a client.
    pub fn handshake(&self, result: &'static str) {
        if let Some(cell) = self.shard.handshakes.cell(result) {
            cell.add(1);
        }
    }

    fn flush(&self) {
        let mut batch = self.batch.borrow_mut();
        if !batch.is_empty() {
            self.send(&mut batch);
        }
    }

    fn send(&self, batch: &mut Vec<Record>) {
        *batch = self.shared.queue.push(std::mem::take(batch), self.shared.slow());
    }
}

impl Drop for WorkerTelemetry {
    fn drop(&mut self) {
        self.flush();
    }
}

impl RouteSlots {
    fn slot(&mut self, record: &Record, registry: &Registry) -> Slot {
        let place = usize::from(record.route.0);
        let label = &record.route_label;
        if let Some(Some((known, slot))) = self.0.get(place)
            && (Arc::ptr_eq(known, label) || known == label)
        {
            return *slot;
        }
        let slot = registry.slot(label);
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        if let Some(known) = self.0.get_mut(place) {
            *known = Some((label.clone(), slot));
        }
        slot
    }
}
