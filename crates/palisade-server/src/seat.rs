//! A worker's place in the process: what it is given, and what it makes of it on its own thread.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use palisade_proxy::Ambient;
use palisade_telemetry::{TICK, WorkerTelemetry};
use palisade_tower::clock;
use palisade_tower::guard::Stores;
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval};

use crate::gateway::Gateway;
use crate::gauges::Board;
use crate::live::{Live, Plan};
use crate::memory::Memory;
use crate::status::Status;

/// What a worker is given.
pub(crate) struct Seat {
    pub(crate) index: usize,
    pub(crate) workers: u32,
    pub(crate) plan: Arc<Plan>,
    pub(crate) stores: Arc<Stores>,
    pub(crate) status: Arc<Status>,
    pub(crate) board: Arc<Board>,
    pub(crate) telemetry: WorkerTelemetry,
    pub(crate) memory: Arc<Memory>,
}

/// How often a worker posts its gauges.
const POST: Duration = Duration::from_secs(1);

impl Seat {
    /// Makes the worker's half of the gateway. To be called on its thread, within its runtime.
    pub(crate) fn take(self) -> Gateway {
        let Self { index, workers, plan, stores, status, board, telemetry, memory } = self;
        let entropy = std::cell::RefCell::new(fastrand::Rng::new());
        let ambient = Rc::new(Ambient::new(clock::monotonic, move || entropy.borrow_mut().u64(..)));
        let live = Rc::new(std::cell::RefCell::new(Rc::new(Live::new(plan, workers, &ambient, None))));
        let telemetry = Rc::new(telemetry);
        spawn_local(tell(telemetry.clone()));
        spawn_local(post(index, board, live.clone()));
        Gateway::new(live, stores, status, telemetry, ambient, workers, memory)
    }
}

/// Hands records on, a batch at a time.
async fn tell(telemetry: Rc<WorkerTelemetry>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        telemetry.tick();
    }
}

/// Leaves what is known of the application's servers where scrapes and operators find it.
async fn post(index: usize, board: Arc<Board>, live: Rc<std::cell::RefCell<Rc<Live>>>) {
    let mut ticks = interval(POST);
    loop {
        ticks.tick().await;
        let live = live.borrow().clone();
        let now = clock::monotonic();
        let servers = live.groups().flat_map(|group| group.upstream.gauges(now).collect::<Vec<_>>());
        board.post(index, now, servers.collect());
    }
}
