//! A worker's end of telemetry: it counts at once and tells in batches.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use palisade_core::{Kind, Record};

use crate::bus::BATCH;
use crate::guess::Guesser;
use crate::metrics::registry::{Registry, Slot};
use crate::metrics::shard::Shard;
use crate::telemetry::Shared;

/// How often a worker calls [`WorkerTelemetry::tick`].
pub const TICK: Duration = Duration::from_millis(20);

/// Telemetry of one worker. It may be sent to the worker's thread and is then used there alone.
#[derive(Debug)]
pub struct WorkerTelemetry {
    pub(crate) shared: Arc<Shared>,
    shard: Arc<Shard>,
    routes: RefCell<RouteSlots>,
    guesser: RefCell<Guesser>,
    batch: RefCell<Vec<Record>>,
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
            guesser: RefCell::default(),
            batch: RefCell::new(Vec::with_capacity(BATCH)),
        }
    }

    /// A request begins. Each is closed once.
    pub fn opened(&self, kind: Kind) {
        self.shard.open(kind);
    }

    /// A request ended: it is counted now and told soon.
    pub fn closed(&self, mut record: Box<Record>) {
        let registry = &self.shared.registry;
        let slot = match self.guesser.borrow_mut().guess(&record, &self.shared) {
            Some((label, slot)) => {
                record.route_label = label;
                slot
            }
            None => self.routes.borrow_mut().slot(&record, registry),
        };
        self.shard.count(&record, slot, registry);

        let mut batch = self.batch.borrow_mut();
        batch.push(*record);
        if batch.len() >= BATCH {
            self.send(&mut batch);
        }
    }

    /// Tells what has gathered. Called every [`TICK`].
    pub fn tick(&self) {
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
        self.tick();
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
