//! The backends as tests use them: memory, and real servers.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use palisade_core::charge::{Outage, TableSize};
use palisade_core::store::RedisAddress;
use palisade_core::tally::Shown;
use palisade_core::{Bound, Charge, Charges, Item, Now, Stage, Verdicts};
use palisade_testkit::redis::{Program, Server};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::Counters;
use crate::counters::memory::Table;
use crate::counters::redis::{Redis, State};
use crate::counters::{Ask, Patience, Taken, Ticket};

/// The value of a future that doesn't wait.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("memory never waits"),
    }
}

/// Waits for a condition.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// One server of each program, and what talks to them.
pub(crate) struct Servers {
    servers: Vec<Server>,
    runtime: Arc<Runtime>,
}

/// One backend.
pub(crate) struct Backend {
    counters: Arc<Counters>,
    items: [Arc<Item>; 1],
    runtime: Arc<Runtime>,
    keeper: Option<JoinHandle<()>>,
}

impl Servers {
    pub(crate) fn start() -> Self {
        Self { servers: Program::ALL.map(Program::start).into(), runtime: runtime() }
    }

    /// Every backend, empty, by the time of the requests.
    pub(crate) fn backends(&self) -> Vec<Backend> {
        let memory = Backend::new(Counters::Memory(Table::new(TableSize::MIN)), self.runtime.clone(), None);
        let shared = self.servers.iter().map(|server| {
            assert_eq!(server.command("FLUSHALL"), "+OK");
            let address = RedisAddress::parse(&server.url()).unwrap();
            // Nothing here is about being late.
            let redis = Redis::by_requests(address, Duration::from_secs(20), Table::new(TableSize::MIN));
            let (redis, keeper) = keep(redis, &self.runtime);
            until("connected", || redis.health().state == State::Up);
            Backend::new(Counters::Redis(redis), self.runtime.clone(), Some(keeper))
        });
        std::iter::once(memory).chain(shared).collect()
    }
}

pub(crate) fn runtime() -> Arc<Runtime> {
    Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
}

pub(crate) fn keep(redis: Redis, runtime: &Runtime) -> (Arc<Redis>, JoinHandle<()>) {
    let redis = Arc::new(redis);
    let keeper = runtime.spawn(redis.clone().keep());
    (redis, keeper)
}

pub(crate) fn item(limit: &str, outage: Outage) -> Arc<Item> {
    let (limit, name, key) = (limit.into(), limit.into(), "ip".into());
    Arc::new(Item {
        limit,
        place: 0,
        name,
        stage: Stage::Shed,
        key,
        bound: Bound::Slots(1),
        shown: Shown::Always,
        outage,
    })
}

impl Backend {
    fn new(counters: Counters, runtime: Arc<Runtime>, keeper: Option<JoinHandle<()>>) -> Self {
        Self { counters: Arc::new(counters), items: [item("limit", Outage::Closed)], runtime, keeper }
    }

    pub(crate) fn take(&self, charges: &Charges, now: Now) -> (Verdicts, Ticket) {
        let mut verdicts = Verdicts::default();
        let ask = Ask { charges, items: &self.items, patience: Patience::default(), now };
        match self.counters.take(&ask, &mut verdicts) {
            Taken::Told(receipt) => (verdicts, receipt.ticket),
            Taken::Waits(waiting) => {
                let told = self.runtime.block_on(waiting);
                assert_eq!(told.charges.list, charges.list);
                (told.verdicts, told.receipt.ticket)
            }
        }
    }

    pub(crate) fn settle(&self, charge: &Charge, ticket: Ticket, used: u32, now: Now) {
        self.counters.settle(charge, self.items.first(), ticket, used, now);
    }

    pub(crate) fn reset(&self, charges: &Charges, now: Now) {
        let ask = Ask { charges, items: &self.items, patience: Patience::default(), now };
        self.runtime.block_on(self.counters.reset(&ask)).unwrap();
    }

    pub(crate) fn inspect(&self, charges: &Charges, now: Now) -> (Verdicts, Vec<u32>) {
        let ask = Ask { charges, items: &self.items, patience: Patience::default(), now };
        let inspected = self.runtime.block_on(self.counters.inspect(&ask)).unwrap();
        (inspected.verdicts, inspected.pending)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}
