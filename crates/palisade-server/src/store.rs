//! Where this process keeps its counters, and what operators hear of it.

use std::sync::Arc;
use std::time::Duration;

use palisade_config::{CounterStore, Snapshot};
use palisade_store::Counters;
use palisade_store::counters::memory::Table;
use palisade_store::counters::redis::{Evicts, Health, Redis, State, WAIT_BOUNDS_US};
use palisade_telemetry::metrics::{Lag, LimitsStore};
use palisade_telemetry::{Events, Value};

/// How often the store's health is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The counters of a configuration.
pub(crate) fn counters(snapshot: &Snapshot) -> Counters {
    let table = Table::new(snapshot.table);
    match &snapshot.counters {
        CounterStore::Shared(Some(address)) => {
            Counters::Redis(Arc::new(Redis::new(address.clone(), snapshot.store_deadline, table)))
        }
        // An address that wasn't looked up is for `check`, which counts nothing.
        CounterStore::Memory | CounterStore::Shared(None) => Counters::Memory(table),
    }
}

/// The shared store, if there is one.
pub(crate) fn shared(counters: &Counters) -> Option<Arc<Redis>> {
    match counters {
        Counters::Memory(_) => None,
        Counters::Redis(redis) => Some(redis.clone()),
    }
}

/// What a scrape is told of it.
pub(crate) fn gauges(counters: &Counters) -> Option<LimitsStore> {
    let Health { state, gateways, waits, waited, misses, .. } = shared(counters)?.health();
    Some(LimitsStore {
        up: match state {
            State::Up => 1,
            State::Down => 0,
        },
        gateways: gateways.into(),
        answers: Lag { bounds: WAIT_BOUNDS_US.map(Duration::from_micros).into(), buckets: waits.to_vec(), sum: waited },
        misses: misses.iter().map(|(miss, count)| (miss.name(), *count)).collect(),
    })
}

/// Says when the store goes and comes, and why it went.
pub(crate) async fn watch(redis: Arc<Redis>, events: Events) {
    let (mut known, mut policy) = (None, Evicts::Unknown);
    loop {
        tokio::time::sleep(LOOK).await;
        let Health { state, trouble, evicts, .. } = redis.health();
        if known.replace(state) != Some(state) {
            match state {
                State::Up => events.emit("limits.store_up", &[]),
                State::Down => {
                    let why = trouble.map_or("connection", |miss| miss.name());
                    let text =
                        trouble.map_or_else(|| "there is no connection to it yet".to_owned(), |miss| miss.to_string());
                    events.emit("limits.store_down", &[("why", Value::Text(why))]);
                    eprintln!("palisade: the store of counters can't be asked: {text}");
                }
            }
        }
        if evicts != policy {
            if let Evicts::By(name) = &evicts {
                events.emit("limits.store_evicts", &[("policy", Value::Text(name))]);
                eprintln!(
                    "palisade: the store of counters may forget some: maxmemory-policy is {name}, not noeviction"
                );
            }
            policy = evicts;
        }
    }
}
