//! The gateway as a process: start, serve, end.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use palisade_config::{Inputs, Report, Seed, Snapshot};
use palisade_store::Records;
use palisade_telemetry::{Events, Gauges, Telemetry, TelemetryError};
use palisade_tower::clock;
use palisade_tower::guard::Stores;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::accept::Door;
use crate::admin::{Admin, Ask, Control};
use crate::check::load;
use crate::desk::Desk;
use crate::drain::{self, Ended, Signals};
use crate::gateway::REDIRECT;
use crate::gauges::{Board, gauges};
use crate::health::Conditions;
use crate::keep::{self, Keeper, Opened};
use crate::listen::{ListenError, PUBLIC, Sockets};
use crate::live::{LiveError, Plan};
use crate::reload::{self, Reloader, Workers};
use crate::seat::Seat;
use crate::state::StateError;
use crate::status::Status;
use crate::tick::Tick;
use crate::tls::{self, Change, Tls, TlsError};
use crate::unbound::{Key, Unbound};
use crate::worker::{Listener, Worker, WorkerError};
use crate::{announce, certificates, settings, store};

/// Reads the configuration, at the start and at every reload.
pub type Read = Box<dyn Fn() -> Inputs + Send + Sync>;

/// Why the gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is invalid.
    #[error("the configuration is invalid")]
    Config(Box<Report>),
    /// An address can't be listened on.
    #[error(transparent)]
    Listen(#[from] Unbound),
    /// The application can't be reached as the configuration says.
    #[error(transparent)]
    Application(#[from] LiveError),
    /// The certificates can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Another gateway has the state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Telemetry could not start.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A worker could not start.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The system has no thread or descriptor left.
    #[error("cannot start a runtime")]
    Runtime(#[source] std::io::Error),
}

impl StartError {
    /// What to do about it, if that is known.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Listen(unbound) => unbound.help(),
            Self::Config(_)
            | Self::State(_)
            | Self::Application(_)
            | Self::Tls(_)
            | Self::Telemetry(_)
            | Self::Worker(_)
            | Self::Runtime(_) => None,
        }
    }
}

/// A gateway that serves.
pub struct Process {
    runtime: Runtime,
    shared: Arc<Shared>,
    end: Arc<Notify>,
    public: SocketAddr,
    redirect: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    signals: Signals,
    report: Report,
}

/// What all parts of the process share.
pub(crate) struct Shared {
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) status: Arc<Status>,
    pub(crate) stores: Arc<Stores>,
    pub(crate) door: Arc<Door>,
    pub(crate) board: Arc<Board>,
    pub(crate) workers: Workers,
    pub(crate) reloader: Reloader,
    pub(crate) keeper: Keeper,
}

/// Random bits that last as long as the process, or as what it keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secrets {
    /// For the keys of counters.
    pub(crate) seed: Seed,
    /// For the choice of traces.
    pub(crate) sample: [u8; 16],
}

/// Bytes of the records that policies may look up, in memory.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// Threads for everything slow.
const SLOW_THREADS: usize = 2;

/// How long slow tasks have once every request is over.
const SLOW_END: Duration = Duration::from_millis(200);

impl Process {
    /// Starts everything: when this returns, requests are answered.
    ///
    /// # Errors
    ///
    /// Why the gateway can't run. Nothing is left behind.
    pub fn start(read: Read) -> Result<Self, StartError> {
        let mut random = fastrand::Rng::new();
        let mut secrets = Secrets { seed: Seed(random.u128(..).to_ne_bytes()), sample: random.u128(..).to_ne_bytes() };
        // Which files these are is known once they were read; what they are is marked before that,
        // so that no change between the two is missed.
        let paths: Vec<_> = read().paths().cloned().collect();
        let marks = Mutex::new(reload::look(&paths));
        let inputs = read();
        let (snapshot, report, opened) = configure(&inputs, &mut secrets)?;
        let plan = Arc::new(Plan::new(Arc::new(snapshot), secrets.sample)?);
        let snapshot = plan.snapshot.clone();
        let count = snapshot.app.workers.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        let tls = certificates::tls(&snapshot)?;
        let sockets = Sockets::bind(snapshot.app.listen, count).map_err(no_listener(Key::Public, &snapshot))?;
        let redirect = redirect(&snapshot, count)?;
        let (public, beside) = (sockets.address(), redirect.as_ref().map(Sockets::address));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SLOW_THREADS)
            .thread_name("slow")
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        let signals = {
            let _inside = runtime.enter();
            Signals::listen().map_err(StartError::Runtime)?
        };
        let admin = admin_listener(&runtime, &snapshot)?;
        let telemetry = Arc::new(Telemetry::start(settings::telemetry(&snapshot), settings::labels(&snapshot))?);
        let counters = Arc::new(store::counters(&snapshot));
        let keeper = opened.start(&counters, &telemetry.events());
        let parts = Parts {
            stores: Arc::new(Stores { counters, records: Records::new(RECORD_BYTES_MAX) }),
            door: Arc::new(Door::new(
                settings::limits(&snapshot),
                settings::admission(&snapshot),
                crate::live::engine(&snapshot),
            )),
            telemetry,
            status: Arc::default(),
            board: Arc::default(),
        };
        let workers = parts.workers(&plan, listeners(sockets, redirect, tls.as_ref()))?;
        let slow = Arc::new(Tick::new(clock::monotonic()));
        let ticks = workers.ticks();
        parts.status.started(ticks.into_iter().chain([slow.clone()]).collect());
        let reloader = Reloader {
            read,
            paths,
            marks,
            secrets,
            plan: Mutex::new(plan),
            certificates: tls.map(|tls| tls.certificates().clone()),
            turn: tokio::sync::Mutex::default(),
        };
        let Parts { stores, door, telemetry, status, board } = parts;
        let shared = Arc::new(Shared { telemetry, status, stores, door, board, workers, reloader, keeper });
        let admin_address = admin.as_ref().and_then(|listener| listener.local_addr().ok());
        let end = Arc::default();
        let process = Self { runtime, shared, end, public, redirect: beside, admin: admin_address, signals, report };
        process.spawn_slow(slow, admin);
        Ok(process)
    }

    /// Where clients reach it.
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where plain HTTP is sent to the public address.
    pub fn redirect(&self) -> Option<SocketAddr> {
        self.redirect
    }

    /// Where operators reach it.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// What the configuration's reader had to say beside the snapshot.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.reloader.snapshot()
    }

    /// Runs until a signal asks for the end, and then until everything that was under way is over.
    pub fn run(self) -> Ended {
        let Self { runtime, shared, end, public, redirect, admin, signals, .. } = self;
        let listeners = [(PUBLIC, Some(public)), (REDIRECT, redirect), ("admin", admin)];
        let listeners: Vec<_> = listeners.into_iter().filter_map(|(name, address)| Some((name, address?))).collect();
        let events = shared.telemetry.events();
        announce::started(&events, &listeners);
        // Only now, so that what is said about it comes after the introduction.
        runtime.spawn(announce::look_for_application(shared.reloader.snapshot(), events));
        let ended = runtime.block_on(drain::run(&shared, signals));
        end.notify_waiters();
        // Workers first, so that the records of what they cut are told; then the log.
        shared.workers.stop();
        runtime.shutdown_timeout(SLOW_END);
        shared.keeper.end(ended, &shared.telemetry.events());
        shared.telemetry.shutdown();
        ended
    }

    /// Everything that isn't a request: the admin listener, measuring, watching.
    fn spawn_slow(&self, tick: Arc<Tick>, admin: Option<TcpListener>) {
        let (shared, snapshot) = (self.shared.clone(), self.snapshot());
        let events = shared.telemetry.events();
        self.runtime.spawn(async move { tick.run().await });
        let door = shared.door.clone();
        self.runtime.spawn(async move { door.keep_measured().await });
        self.runtime.spawn(announce::rotation(shared.board.clone(), events.clone()));
        let control = {
            let _inside = self.runtime.enter();
            control(&shared, &events)
        };
        if admin.is_some() || control.is_some() {
            let named = shared.clone();
            let roster = move || named.reloader.snapshot().limits.clone();
            let (counters, telemetry) = (shared.stores.counters.clone(), shared.telemetry.clone());
            let desk = Desk::new(roster, counters, telemetry.clone(), shared.keeper.overrider());
            let operators = Arc::new(Admin::new(snapshot.admin.hosts.clone(), telemetry, desk, ask(&shared)));
            if let Some(listener) = admin {
                let (operators, end) = (operators.clone(), self.end.clone());
                self.runtime.spawn(async move { operators.serve(listener, end.notified()).await });
            }
            if let Some(control) = control {
                let end = self.end.clone();
                self.runtime.spawn(async move { operators.serve(control, end.notified()).await });
            }
        }
        if let Some(certificates) = shared.reloader.certificates.clone() {
            let named = shared.clone();
            let pairs = move || named.reloader.snapshot().app.tls.as_ref().map(certificates::pairs).unwrap_or_default();
            self.runtime.spawn(tls::watch(pairs, certificates, move |change| match change {
                Change::Replaced => events.emit("certificates_replaced", &[]),
                Change::Kept(error) => announce::trouble(&events, "certificates_kept", &error),
            }));
        }
        if let Some(redis) = store::shared(&shared.stores.counters) {
            self.runtime.spawn(redis.clone().keep());
            self.runtime.spawn(store::watch(redis, shared.telemetry.events()));
        }
        self.runtime.spawn(reload::watch(shared));
    }
}

/// Compiles the configuration, and opens what it says is kept. Counters that were kept are known by
/// keys under the seed of then, which takes the place of this process's own.
fn configure(inputs: &Inputs, secrets: &mut Secrets) -> Result<(Snapshot, Report, Opened), StartError> {
    let load = |seed| load(inputs, seed).map_err(|report| StartError::Config(Box::new(report)));
    let (snapshot, report) = load(secrets.seed)?;
    let opened = keep::open(snapshot.state.as_deref(), secrets.seed)?;
    match opened.seed().filter(|seed| *seed != secrets.seed) {
        None => Ok((snapshot, report, opened)),
        Some(seed) => {
            secrets.seed = seed;
            let (snapshot, report) = load(seed)?;
            Ok((snapshot, report, opened))
        }
    }
}

/// What workers are made from, before there are any.
struct Parts {
    telemetry: Arc<Telemetry>,
    status: Arc<Status>,
    stores: Arc<Stores>,
    door: Arc<Door>,
    board: Arc<Board>,
}

impl Parts {
    fn workers(&self, plan: &Arc<Plan>, listeners: Vec<Vec<Listener>>) -> Result<Workers, WorkerError> {
        let count = u32::try_from(listeners.len()).unwrap_or(u32::MAX);
        let start = |(index, listeners)| {
            let seat = Seat {
                index,
                workers: count,
                plan: plan.clone(),
                stores: self.stores.clone(),
                status: self.status.clone(),
                board: self.board.clone(),
                telemetry: self.telemetry.worker(),
                memory: self.door.memory.clone(),
            };
            Worker::start(index, listeners, self.door.clone(), move || seat.take())
        };
        Ok(Workers::new(listeners.into_iter().enumerate().map(start).collect::<Result<_, _>>()?))
    }
}

/// The listeners of each worker.
fn listeners(sockets: Sockets, redirect: Option<Sockets>, tls: Option<&Arc<Tls>>) -> Vec<Vec<Listener>> {
    let public = sockets.into_each().into_iter();
    let mut listeners: Vec<_> =
        public.map(|socket| vec![Listener { name: PUBLIC, socket, tls: tls.cloned() }]).collect();
    let redirects = redirect.map(Sockets::into_each).unwrap_or_default();
    for (worker, socket) in listeners.iter_mut().zip(redirects) {
        worker.push(Listener { name: REDIRECT, socket, tls: None });
    }
    listeners
}

/// What it means for the start that the address of `key` can't be had.
fn no_listener(key: Key, snapshot: &Snapshot) -> impl Fn(ListenError) -> Unbound {
    move |ListenError::Bind { address, source }| Unbound::new(key, snapshot, address, source)
}

fn redirect(snapshot: &Snapshot, count: NonZeroUsize) -> Result<Option<Sockets>, Unbound> {
    let address = snapshot.app.tls.as_ref().and_then(|tls| tls.redirect);
    address.map(|address| Sockets::bind(address, count).map_err(no_listener(Key::Redirect, snapshot))).transpose()
}

fn admin_listener(runtime: &Runtime, snapshot: &Snapshot) -> Result<Option<TcpListener>, Unbound> {
    let Some(address) = snapshot.admin.listen else { return Ok(None) };
    let failed = |source| Unbound::new(Key::Admin, snapshot, address, source);
    let socket = std::net::TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let _inside = runtime.enter();
    TcpListener::from_std(socket).map(Some).map_err(failed)
}

/// The control socket, if there is a state directory. Without it a gateway serves all the same.
fn control(shared: &Shared, events: &Events) -> Option<Control> {
    let path = shared.keeper.control()?;
    Control::listen(path, events.clone()).map_err(|error| announce::trouble(events, "no_control_socket", &error)).ok()
}

/// What the admin listener asks the rest of the process.
fn ask(shared: &Arc<Shared>) -> Ask {
    let (of_conditions, of_gauges, of_reload) = (shared.clone(), shared.clone(), shared.clone());
    Ask {
        conditions: Box::new(move || {
            let Shared { status, board, .. } = &*of_conditions;
            Conditions { servers_out: board.out(), ..status.conditions(clock::monotonic()) }
        }),
        gauges: Box::new(move || {
            let Shared { door, status, stores, board, reloader, keeper, .. } = &*of_gauges;
            let gauges = gauges(door, status, stores, board, format!("{:016x}", reloader.snapshot().hash()).into());
            Gauges { limits_kept: keeper.gauges(), ..gauges }
        }),
        reload: Box::new(move || {
            let shared = of_reload.clone();
            Box::pin(async move { reload::respond(&shared).await })
        }),
    }
}
