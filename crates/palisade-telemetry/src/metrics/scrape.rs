//! Adding up what the workers counted, and writing it down.
//!
//! The order of the calls is the order of the list of metrics. Everything is read from cells that
//! the workers write without a lock, so a scrape delays nobody.

use std::sync::Arc;
use std::time::Duration;

use palisade_core::{Kind, Outcome, Reason};

use super::cell::{Counter, Histogram, MACHINE, REQUEST, Sum};
use super::label::{CLASSES, METHODS};
use super::process::Process;
use super::registry::{PLANS, Plan, Registry};
use super::shard::{LimitCells, MethodCells, RouteCells, Series, ServerCells, Shard};
use super::text::{Format, Label, Text};
use super::{Gauges, LimitsKept, LimitsStore, Reload, catalog};

/// What a scrape is made from.
pub(crate) struct Sources<'a> {
    pub(crate) shards: &'a [Arc<Shard>],
    pub(crate) registry: &'a Registry,
    pub(crate) gauges: &'a Gauges,
    pub(crate) told: Told,
    /// When the process started, since the Unix epoch.
    pub(crate) started: Duration,
}

/// What the told half says of itself.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Sink and records lost.
    pub(crate) dropped: Vec<(&'static str, u64)>,
    /// Sink and how full it is.
    pub(crate) buffers: Vec<(&'static str, f64)>,
    /// Why, and how many traces were kept.
    pub(crate) traces: Vec<(&'static str, u64)>,
    /// Routes guessed.
    pub(crate) guessed: usize,
}

impl Sources<'_> {
    /// The text of the scrape.
    pub(crate) fn render(&self, format: Format) -> String {
        let mut text = Text::new(format);
        self.requests(&mut text);
        self.gateway(&mut text);
        self.refusals(&mut text);
        self.upstream(&mut text);
        self.connections(&mut text);
        self.telemetry(&mut text);
        self.process(&mut text);
        text.finish()
    }

    fn requests(&self, text: &mut Text) {
        let series = self.series();
        for (labels, sum) in &series {
            for (outcome, count) in Outcome::ALL.iter().zip(sum.outcomes).filter(|(_, count)| *count > 0) {
                let outcome = [("outcome", outcome.name())];
                text.value(&catalog::REQUESTS, &[labels.as_slice(), &outcome].concat(), count);
            }
        }
        for (labels, sum) in &series {
            text.histogram(&catalog::LATENCY, labels, &REQUEST, &sum.latency);
        }
        for (metric, cell) in [
            (&catalog::FIRST_BYTE, (|cells| &cells.first_byte) as fn(&RouteCells) -> &Histogram),
            (&catalog::STREAM, |cells| &cells.stream),
        ] {
            for (label, slot) in self.routes() {
                let sum = self.sum(|shard| shard.routes.find(slot).map(cell));
                text.histogram(metric, &[("route", label)], &REQUEST, &sum);
            }
        }
        for (metric, cell) in [
            (&catalog::REQUEST_BYTES, (|cells| &cells.bytes_in) as fn(&MethodCells) -> &Counter),
            (&catalog::RESPONSE_BYTES, |cells| &cells.bytes_out),
        ] {
            for (label, slot) in self.routes() {
                for (place, method) in METHODS.iter().enumerate() {
                    let bytes = self.total(|shard| by_method(shard, slot, place).map(cell));
                    if bytes > 0 {
                        text.value(metric, &[("route", label), ("method", method)], bytes);
                    }
                }
            }
        }
    }

    fn gateway(&self, text: &mut Text) {
        text.histogram(&catalog::GATEWAY, &[], &MACHINE, &self.sum(|shard| Some(&shard.gateway)));
        text.histogram(&catalog::STORE_WAIT, &[], &MACHINE, &self.sum(|shard| Some(&shard.store_wait)));
        for (place, kind) in Kind::ALL.iter().enumerate() {
            // Closed is read first: a request that closes meanwhile can't make the rest negative.
            let closed = self.total(|shard| shard.closed.get(place));
            let opened = self.total(|shard| shard.opened.get(place));
            if opened > 0 {
                text.value(&catalog::IN_FLIGHT, &[("kind", kind.name())], opened.saturating_sub(closed));
            }
        }
    }

    fn refusals(&self, text: &mut Text) {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            let early = self.gauges.refusals.iter().filter(|(early, _)| early == reason).map(|(_, count)| count);
            let enforced =
                self.total(|shard| shard.refusals.get(place).map(|refusals| &refusals.enforced)) + early.sum::<u64>();
            let reported = self.total(|shard| shard.refusals.get(place).map(|refusals| &refusals.reported));
            for (mode, count) in [("enforce", enforced), ("report", reported)].iter().filter(|(_, count)| *count > 0) {
                text.value(&catalog::REFUSALS, &[("code", reason.code()), ("mode", mode)], count);
            }
        }
        for (place, class) in CLASSES.iter().enumerate() {
            let count = self.total(|shard| shard.health.get(place));
            if count > 0 {
                text.value(&catalog::SERVICE, &[("kind", Kind::Health.name()), ("class", class)], count);
            }
        }
        let limits = self.names(|shard| shard.limits.iter().collect());
        for (limit, cells) in &limits {
            let sum = |cell: fn(&LimitCells) -> &Counter| cells.iter().map(|cells| cell(cells).read()).sum::<u64>();
            let outcomes = [
                ("admitted", sum(|cells| &cells.admitted)),
                ("refused", sum(|cells| &cells.refused)),
                ("would_refuse", sum(|cells| &cells.reported)),
            ];
            for (outcome, count) in outcomes.iter().filter(|(_, count)| *count > 0) {
                text.value(&catalog::LIMITS_REQUESTS, &[("limit", limit), ("outcome", outcome)], count);
            }
        }
        for (limit, cells) in &limits {
            let near: u64 = cells.iter().map(|cells| cells.near.read()).sum();
            if near > 0 {
                text.value(&catalog::LIMITS_NEAR, &[("limit", limit)], near);
            }
        }
        for (limit, cells) in &limits {
            let bans: u64 = cells.iter().map(|cells| cells.bans.read()).sum();
            if bans > 0 {
                text.value(&catalog::LIMITS_BANS, &[("limit", limit)], bans);
            }
        }
        text.value(&catalog::LIMITS_CELLS, &[], self.gauges.limits_cells);
        text.value(&catalog::LIMITS_EVICTIONS, &[], self.gauges.limits_evictions);
        if let Some(LimitsStore { up, gateways, answers, misses }) = &self.gauges.limits_store {
            text.value(&catalog::LIMITS_STORE_UP, &[], up);
            text.value(&catalog::LIMITS_STORE_GATEWAYS, &[], gateways);
            text.lag(&catalog::LIMITS_STORE_SECONDS, answers);
            for (why, count) in misses.iter().filter(|(_, count)| *count > 0) {
                text.value(&catalog::LIMITS_STORE_MISSES, &[("why", why)], count);
            }
        }
        if let Some(kept) = self.gauges.limits_kept {
            limits_kept(text, kept);
        }
    }

    fn upstream(&self, text: &mut Text) {
        let servers: Vec<(&str, Vec<&ServerCells>)> = self.names(|shard| shard.servers.iter().collect());
        let total = |cells: &[&ServerCells], cell: &dyn for<'a> Fn(&'a ServerCells) -> Option<&'a Counter>| -> u64 {
            cells.iter().filter_map(|cells| cell(cells)).map(Counter::read).sum()
        };
        for (server, cells) in &servers {
            for (place, class) in CLASSES.iter().enumerate() {
                let count = total(cells, &|cells| cells.classes.get(place));
                if count > 0 {
                    text.value(&catalog::UPSTREAM_REQUESTS, &[("server", server), ("class", class)], count);
                }
            }
        }
        for (server, cells) in &servers {
            for (place, reason) in Reason::ALL.iter().enumerate() {
                let count = total(cells, &|cells| cells.errors.get(place));
                if count > 0 {
                    text.value(&catalog::UPSTREAM_ERRORS, &[("server", server), ("kind", kind(*reason))], count);
                }
            }
        }
        for (server, cells) in &servers {
            let count = total(cells, &|cells| Some(&cells.retries));
            if count > 0 {
                text.value(&catalog::UPSTREAM_RETRIES, &[("server", server)], count);
            }
        }
        for (server, cells) in &servers {
            let mut sum = Sum::default();
            cells.iter().for_each(|cells| sum.add(&cells.duration));
            text.histogram(&catalog::UPSTREAM_DURATION, &[("server", server)], &REQUEST, &sum);
        }
        for (server, state, count) in &self.gauges.upstream_connections {
            text.value(&catalog::UPSTREAM_CONNECTIONS, &[("server", server), ("state", state)], count);
        }
    }

    fn connections(&self, text: &mut Text) {
        let Gauges { connections, connection_limits, handshakes, .. } = self.gauges;
        let used = || {
            let used = connections.iter().filter(|connections| connections.total > 0);
            used.map(|used| ([("listener", used.listener), ("protocol", used.protocol)], used))
        };
        for (labels, connections) in used() {
            text.value(&catalog::CONNECTIONS, &labels, connections.open);
        }
        for (labels, connections) in used() {
            text.value(&catalog::CONNECTIONS_TOTAL, &labels, connections.total);
        }
        for (limit, count) in connection_limits.iter().filter(|(_, count)| *count > 0) {
            text.value(&catalog::CONNECTION_LIMITS, &[("limit", limit)], count);
        }
        for (result, count) in handshakes.iter().filter(|(_, count)| *count > 0) {
            text.value(&catalog::HANDSHAKES, &[("result", result)], count);
        }
    }

    fn telemetry(&self, text: &mut Text) {
        for (sink, count) in &self.told.dropped {
            text.value(&catalog::DROPPED, &[("sink", sink), ("reason", "full")], count);
        }
        for (sink, ratio) in &self.told.buffers {
            text.value(&catalog::BUFFER, &[("sink", sink)], ratio);
        }
        for (why, count) in self.told.traces.iter().filter(|(_, count)| *count > 0) {
            text.value(&catalog::TRACES, &[("why", why)], count);
        }
        text.value(&catalog::SERIES, &[], self.registry.sets());
        text.value(&catalog::SERIES_OVERFLOW, &[], self.registry.overflow());
        text.value(&catalog::ROUTES_GUESSED, &[], self.told.guessed);
        if let Some(reload) = self.gauges.reload {
            text.value(&catalog::RELOAD, &[], u8::from(reload == Reload::Succeeded));
        }
    }

    fn process(&self, text: &mut Text) {
        let process = Process::now();
        text.value(&catalog::CPU, &[], process.cpu.as_secs_f64());
        for (metric, number) in [
            (&catalog::MEMORY, process.resident_bytes),
            (&catalog::OPEN_FDS, process.open_fds),
            (&catalog::MAX_FDS, process.max_fds),
        ] {
            if let Some(number) = number {
                text.value(metric, &[], number);
            }
        }
        text.value(&catalog::STARTED, &[], self.started.as_secs_f64());
        text.lag(&catalog::LAG, &self.gauges.lag);
        let build = [("version", self.gauges.version), ("revision", self.gauges.revision)];
        text.value(&catalog::BUILD, &build, 1);
        text.value(&catalog::SNAPSHOT, &[("hash", &self.gauges.snapshot)], 1);
    }

    /// Every route's label, with its slot.
    fn routes(&self) -> impl Iterator<Item = (&str, usize)> {
        (0..).map_while(|slot| self.registry.route_label(slot).map(|label| (label, slot)))
    }

    /// Every label set of a route that was used.
    fn series(&self) -> Vec<(Vec<Label<'_>>, SeriesSum)> {
        let mut all = Vec::new();
        for (label, slot) in self.routes() {
            for (place, method) in METHODS.iter().enumerate() {
                let cells: Vec<&MethodCells> =
                    self.shards.iter().filter_map(|shard| by_method(shard, slot, place)).collect();
                for (class_place, class) in CLASSES.iter().enumerate() {
                    // At most 32 places, so the number fits.
                    for plan in (0..PLANS as u8).map(Plan) {
                        let series = cells.iter().filter_map(|cells| find(cells, class_place, plan));
                        let sum = SeriesSum::of(series);
                        if sum.outcomes.iter().all(|count| *count == 0) {
                            continue;
                        }
                        let mut labels = vec![("route", label), ("method", method), ("class", class)];
                        labels.extend(plan.label().map(|plan| ("plan", plan)));
                        all.push((labels, sum));
                    }
                }
            }
        }
        all
    }

    fn total<'a>(&'a self, cell: impl Fn(&'a Shard) -> Option<&'a Counter>) -> u64 {
        self.shards.iter().filter_map(|shard| cell(shard)).map(Counter::read).sum()
    }

    fn sum<'a>(&'a self, cell: impl Fn(&'a Shard) -> Option<&'a Histogram>) -> Sum {
        let mut sum = Sum::default();
        self.shards.iter().filter_map(|shard| cell(shard)).for_each(|histogram| sum.add(histogram));
        sum
    }

    /// Cells of all workers by name, in the order in which names were first seen.
    fn names<'a, T>(&'a self, named: impl Fn(&'a Shard) -> Vec<(&'a str, &'a T)>) -> Vec<(&'a str, Vec<&'a T>)> {
        let mut all: Vec<(&str, Vec<&T>)> = Vec::new();
        for (name, cell) in self.shards.iter().flat_map(|shard| named(shard)) {
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, cells)) => cells.push(cell),
                None => all.push((name, vec![cell])),
            }
        }
        all
    }
}

#[derive(Default)]
struct SeriesSum {
    outcomes: [u64; Outcome::ALL.len()],
    latency: Sum,
}

impl SeriesSum {
    fn of<'a>(series: impl Iterator<Item = &'a Series>) -> Self {
        let mut sum = Self::default();
        for series in series {
            for (sum, outcome) in sum.outcomes.iter_mut().zip(&series.outcomes) {
                *sum += outcome.read();
            }
            sum.latency.add(&series.latency);
        }
        sum
    }
}

fn limits_kept(text: &mut Text, kept: LimitsKept) {
    let LimitsKept { is_up, cells, left_out, rounds, age, took } = kept;
    text.value(&catalog::LIMITS_KEPT_UP, &[], u8::from(is_up));
    text.value(&catalog::LIMITS_KEPT_CELLS, &[], cells);
    text.value(&catalog::LIMITS_KEPT_LEFT_OUT, &[], left_out);
    text.value(&catalog::LIMITS_KEPT_ROUNDS, &[], rounds);
    if let Some(age) = age {
        text.value(&catalog::LIMITS_KEPT_AGE, &[], age.as_secs_f64());
        text.value(&catalog::LIMITS_KEPT_SECONDS, &[], took.as_secs_f64());
    }
}

fn by_method(shard: &Shard, slot: usize, method: usize) -> Option<&MethodCells> {
    shard.routes.find(slot)?.methods.get(method)?.get().map(|cells| &**cells)
}

fn find(cells: &MethodCells, class: usize, plan: Plan) -> Option<&Series> {
    cells.series.get(class)?.get(usize::from(plan.0))?.get().map(|series| &**series)
}

/// `unreachable` for `upstream.unreachable`: the label says what happened, the metric where.
fn kind(reason: Reason) -> &'static str {
    reason.code().rsplit('.').next().unwrap_or(reason.code())
}
