//! One worker's numbers.
//!
//! The worker alone writes them, when a record closes; a scrape reads them. Nothing is locked, and
//! once a label set has been seen nothing is allocated. Counting never goes through a queue, so it
//! is exact under any load.

use std::sync::OnceLock;
use std::time::Duration;

use palisade_core::record::{Answer, Attempt};
use palisade_core::{Kind, Mode, Outcome, Reason, Record, Said, Tally};

use super::cell::{Counter, Histogram, MACHINE, Named, REQUEST, Slots};
use super::label::{CLASSES, METHODS, method, status};
use super::registry::{Admission, PLANS, Plan, Registry, SeriesKey, Slot};

/// One worker's numbers.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) routes: Slots<RouteCells>,
    pub(crate) gateway: Histogram,
    pub(crate) store_wait: Histogram,
    pub(crate) opened: [Counter; Kind::ALL.len()],
    pub(crate) closed: [Counter; Kind::ALL.len()],
    pub(crate) refusals: [Refusals; Reason::ALL.len()],
    /// Records of kind `health`, by class: they count nowhere else.
    pub(crate) health: [Counter; CLASSES.len()],
    pub(crate) limits: Named<LimitCells>,
    pub(crate) servers: Named<ServerCells>,
}

/// Numbers of one route.
#[derive(Debug)]
pub(crate) struct RouteCells {
    pub(crate) first_byte: Histogram,
    pub(crate) stream: Histogram,
    pub(crate) methods: [OnceLock<Box<MethodCells>>; METHODS.len()],
}

/// Numbers of one route and method.
#[derive(Debug)]
pub(crate) struct MethodCells {
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    /// By class and plan.
    pub(crate) series: [[OnceLock<Box<Series>>; PLANS]; CLASSES.len()],
}

/// Numbers of one route, method, class and plan.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) outcomes: [Counter; Outcome::ALL.len()],
    pub(crate) latency: Histogram,
    /// A bit per outcome that was asked for, and one per outcome that overflows.
    asked: Counter,
    overflows: Counter,
}

/// Refusals that counted, and those of mode `report`.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) enforced: Counter,
    pub(crate) reported: Counter,
}

/// What one limit said.
#[derive(Debug, Default)]
pub(crate) struct LimitCells {
    pub(crate) admitted: Counter,
    pub(crate) refused: Counter,
    pub(crate) reported: Counter,
    pub(crate) near: Counter,
    pub(crate) bans: Counter,
}

/// Numbers of one server of the application.
#[derive(Debug)]
pub(crate) struct ServerCells {
    pub(crate) classes: [Counter; CLASSES.len()],
    pub(crate) errors: [Counter; Reason::ALL.len()],
    pub(crate) retries: Counter,
    pub(crate) duration: Histogram,
}

impl Shard {
    pub(crate) fn new() -> Self {
        Self {
            routes: Slots::new(),
            gateway: Histogram::new(&MACHINE),
            store_wait: Histogram::new(&MACHINE),
            opened: Default::default(),
            closed: Default::default(),
            refusals: std::array::from_fn(|_| Refusals::default()),
            health: Default::default(),
            limits: Named::new(),
            servers: Named::new(),
        }
    }

    /// Counts a request that begins.
    pub(crate) fn open(&self, kind: Kind) {
        bump(&self.opened, kind as usize);
    }

    /// Counts a record. `slot` is the place of its route's label.
    pub(crate) fn count(&self, record: &Record, slot: Slot, registry: &Registry) {
        bump(&self.closed, record.kind as usize);
        if record.kind == Kind::Health {
            bump(&self.health, status(record.status));
            return;
        }
        self.count_route(record, slot, registry);
        self.count_refusals(record);
        self.count_limits(record);
        let elsewhere = record.upstream + record.client_wait;
        self.gateway.observe(record.duration.saturating_sub(elsewhere));
        if record.store_wait > Duration::ZERO {
            self.store_wait.observe(record.store_wait);
        }
        for (place, attempt) in record.attempts.iter().enumerate() {
            self.count_attempt(record, place, attempt);
        }
    }

    fn count_route(&self, record: &Record, slot: Slot, registry: &Registry) {
        let key = SeriesKey {
            slot,
            method: method(&record.method),
            class: status(record.status),
            plan: Plan::of(record.identity.plan()),
        };
        if self.count_series(record, key, registry) == Admission::Overflow {
            self.count_series(record, SeriesKey { slot: Slot::OTHER, ..key }, registry);
        }
    }

    fn count_series(&self, record: &Record, key: SeriesKey, registry: &Registry) -> Admission {
        let Some(cells) = self.routes.fill(usize::from(key.slot.0), RouteCells::new) else {
            return Admission::Overflow;
        };
        let Some(by_method) = cells.methods.get(key.method) else { return Admission::Overflow };
        let by_method = by_method.get_or_init(|| Box::new(MethodCells::new()));
        let series = by_method.series.get(key.class).and_then(|plans| plans.get(usize::from(key.plan.0)));
        let Some(series) = series else { return Admission::Overflow };
        let series = series.get_or_init(|| Box::new(Series::new()));
        let outcome = record.outcome as usize;
        if series.admit(key, outcome, registry) == Admission::Overflow {
            return Admission::Overflow;
        }

        bump(&series.outcomes, outcome);
        series.latency.observe(record.latency);
        by_method.bytes_in.add(record.bytes_in);
        by_method.bytes_out.add(record.bytes_out);
        if let Some(first_byte) = record.first_byte {
            cells.first_byte.observe(first_byte);
        }
        if record.stream {
            cells.stream.observe(record.duration);
        }
        Admission::Use
    }

    fn count_refusals(&self, record: &Record) {
        if let Some(refusals) = record.code.and_then(|code| self.refusals.get(code as usize)) {
            refusals.enforced.add(1);
        }
        for asked in &record.policies {
            let Answer::Refuse(refusal) = &asked.answer else { continue };
            let reported = asked.mode == Mode::Report;
            if reported && let Some(refusals) = self.refusals.get(refusal.reason as usize) {
                refusals.reported.add(1);
            }
        }
    }

    /// A limit counts once, however much it bounds.
    fn count_limits(&self, record: &Record) {
        let is_same = |one: &Tally, other: &Tally| (&one.item.limit, one.mode) == (&other.item.limit, other.mode);
        for limit in record.limits.chunk_by(is_same) {
            let refusal = limit.iter().find(|tally| tally.refuses());
            let Some(tally) = refusal.or(limit.first().filter(|tally| tally.said == Said::Admit)) else { continue };
            let Some(cells) = self.limits.cell(&tally.item.limit) else { continue };
            cells.bans.add(u64::from(limit.iter().any(|tally| tally.said == Said::Ban)));
            match (tally.said, tally.mode) {
                (Said::Refuse | Said::Ban, Mode::Report) => cells.reported.add(1),
                (Said::Refuse | Said::Ban, Mode::Enforce | Mode::Off) => cells.refused.add(1),
                (Said::Admit | Said::Spare, _) => {
                    cells.admitted.add(1);
                    cells.near.add(u64::from(limit.iter().any(Tally::is_near)));
                }
            }
        }
    }

    fn count_attempt(&self, record: &Record, place: usize, attempt: &Attempt) {
        let Some(server) = self.servers.cell(&attempt.server) else { return };
        match attempt.error {
            Some(reason) => {
                bump(&server.errors, reason as usize);
                bump(&server.classes, status(None));
            }
            None => {
                bump(&server.classes, status(record.status));
                server.duration.observe(attempt.duration);
            }
        }
        if place > 0 {
            server.retries.add(1);
        }
    }
}

impl RouteCells {
    fn new() -> Self {
        Self { first_byte: Histogram::new(&REQUEST), stream: Histogram::new(&REQUEST), methods: Default::default() }
    }
}

impl MethodCells {
    fn new() -> Self {
        Self {
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            series: std::array::from_fn(|_| std::array::from_fn(|_| OnceLock::new())),
        }
    }
}

impl Series {
    fn new() -> Self {
        Self {
            outcomes: Default::default(),
            latency: Histogram::new(&REQUEST),
            asked: Counter::default(),
            overflows: Counter::default(),
        }
    }

    /// Asks the registry on the first use of an outcome, and then no more.
    fn admit(&self, key: SeriesKey, outcome: usize, registry: &Registry) -> Admission {
        let bit = 1 << outcome;
        if self.asked.read() & bit == 0 {
            self.asked.add(bit);
            if registry.admit(key, outcome) == Admission::Overflow {
                self.overflows.add(bit);
            }
        }
        if self.overflows.read() & bit == 0 { Admission::Use } else { Admission::Overflow }
    }
}

impl Default for ServerCells {
    fn default() -> Self {
        Self {
            classes: Default::default(),
            errors: std::array::from_fn(|_| Counter::default()),
            retries: Counter::default(),
            duration: Histogram::new(&REQUEST),
        }
    }
}

/// Adds one to a cell of its owner.
fn bump(cells: &[Counter], place: usize) {
    if let Some(cell) = cells.get(place) {
        cell.add(1);
    }
}
