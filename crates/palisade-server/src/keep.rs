//! Counters of limits are written to the state directory, every few seconds and at the end.
//!
//! On a thread of its own, because a disk may take its time: no request ever waits for it. Whatever is
//! wrong with the directory or the file, the gateway runs and limits work; then a restart forgets what
//! was counted, and the log, standard error and `palisade_limits_kept_up` say so.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use palisade_config::Seed;
use palisade_core::{KeyHash, Monotonic, Override};
use palisade_store::Counters;
use palisade_store::counters::kept::{Kept, Loaded, Round};
use palisade_store::embedded::EmbeddedError;
use palisade_telemetry::metrics::LimitsKept;
use palisade_telemetry::{Events, Value};
use palisade_tower::clock;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::announce;
use crate::drain::Ended;
use crate::state::{State, StateError};

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(5);

/// How long the last round may take, and how long if somebody asked for an end at once.
const LAST: Duration = Duration::from_secs(5);
const LAST_AT_ONCE: Duration = Duration::from_millis(500);

/// Changes by operators that wait for the disk.
const ORDERS_MAX: usize = 64;

/// The file in the state directory.
const FILE: &str = "counters.db";

/// The control socket in it.
pub const CONTROL: &str = "control.sock";

/// What was found in the state directory, before there is anything to keep.
pub(crate) struct Opened {
    state: Option<State>,
    file: File,
}

enum File {
    /// Nothing is to be kept.
    None,
    Open(Box<Kept>),
    /// It can't be used.
    Lost(KeepError),
}

/// Why nothing is kept.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("a restart will forget the counters of limits")]
    State(#[from] StateError),
    #[error("a restart will forget the counters of limits")]
    File(#[from] EmbeddedError),
    #[error("a restart will forget the counters of limits: there is no thread to write them")]
    Thread(#[source] std::io::Error),
}

/// Keeps counters as long as the process lives.
pub(crate) struct Keeper {
    told: Option<Arc<Told>>,
    thread: Option<Thread>,
    /// Its lock is ours until the end.
    state: Option<State>,
}

struct Thread {
    orders: SyncSender<Order>,
    ended: Mutex<Receiver<()>>,
}

/// What the thread is told.
enum Order {
    /// To keep what is set for a key, or nothing for it any more, and to say when that is on the disk.
    Override(Box<(KeyHash, Option<Override>)>, oneshot::Sender<Result<(), EmbeddedError>>),
    /// To end.
    End,
}

/// Keeps what operators set. One that was made of nothing keeps nothing, and nobody expects it to.
#[derive(Clone, Default)]
pub(crate) struct Overrider(Option<SyncSender<Order>>);

/// Why a restart will forget what was set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Forgotten {
    #[error(transparent)]
    File(#[from] EmbeddedError),
    #[error("the disk takes too long")]
    Late,
    #[error("the state directory can't be used")]
    Lost,
}

/// How it goes, for the scrape.
#[derive(Debug, Default)]
struct Told(Mutex<Figures>);

#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    is_up: bool,
    cells: u64,
    left_out: u64,
    rounds: u64,
    last: Option<Monotonic>,
    took: Duration,
}

/// What the thread works with.
struct Work {
    kept: Box<Kept>,
    counters: Arc<Counters>,
    told: Arc<Told>,
    events: Events,
    /// Whether something that operators set could not be written.
    owes: bool,
}

/// Opens the state directory and the file of counters in it.
///
/// # Errors
///
/// Another gateway runs on it: two would each forget what the other counts.
pub(crate) fn open(directory: Option<&Path>, seed: Seed) -> Result<Opened, StateError> {
    let Some(directory) = directory else { return Ok(Opened { state: None, file: File::None }) };
    let state = match State::open(directory) {
        Ok(state) => state,
        Err(error @ StateError::Held { .. }) => return Err(error),
        Err(error @ StateError::Unusable { .. }) => {
            return Ok(Opened { state: None, file: File::Lost(error.into()) });
        }
    };
    let file = match Kept::open(&state.file(FILE), seed.0, clock::now()) {
        Ok(kept) => File::Open(Box::new(kept)),
        Err(error) => File::Lost(error.into()),
    };
    Ok(Opened { state: Some(state), file })
}

impl Opened {
    /// What the kept counters' keys were hashed with, if there are any.
    pub(crate) fn seed(&self) -> Option<Seed> {
        match &self.file {
            File::Open(kept) => Some(Seed(kept.seed())),
            File::None | File::Lost(_) => None,
        }
    }

    /// Puts back what was kept, and keeps what is counted from now on. To be called before the first
    /// request.
    pub(crate) fn start(self, counters: &Arc<Counters>, events: &Events) -> Keeper {
        let Self { state, file } = self;
        let kept = match file {
            // What is counted elsewhere lasts there.
            _ if matches!(**counters, Counters::Redis(_)) => return Keeper { told: None, thread: None, state },
            File::None => return Keeper { told: None, thread: None, state },
            File::Open(kept) => restore(kept, counters, events),
            File::Lost(error) => Err(error),
        };
        let told = Arc::new(Told::default());
        let work =
            |kept| Work { kept, counters: counters.clone(), told: told.clone(), events: events.clone(), owes: false };
        let thread = match kept.and_then(|kept| work(kept).spawn()) {
            Ok(thread) => Some(thread),
            Err(error) => {
                announce::trouble(events, "limits_not_kept", &error);
                None
            }
        };
        Keeper { told: Some(told), thread, state }
    }
}

fn restore(kept: Box<Kept>, counters: &Counters, events: &Events) -> Result<Box<Kept>, KeepError> {
    let Loaded { cells, standings } = kept.load(counters.table(), clock::now())?;
    if cells > 0 || standings > 0 {
        let fields = [("counters", Value::Number(cells)), ("bans", Value::Number(standings))];
        events.emit("limits_restored", &fields);
    }
    Ok(kept)
}

impl Keeper {
    /// How it goes; `None` if nothing is to be kept.
    pub(crate) fn gauges(&self) -> Option<LimitsKept> {
        let figures = *self.told.as_ref()?.lock();
        Some(LimitsKept {
            is_up: figures.is_up,
            cells: figures.cells,
            left_out: figures.left_out,
            rounds: figures.rounds,
            age: figures.last.map(|last| clock::monotonic().since(last)),
            took: figures.took,
        })
    }

    /// Where the control socket belongs, if there is a place for it.
    pub(crate) fn control(&self) -> Option<PathBuf> {
        self.state.as_ref().map(|state| state.file(CONTROL))
    }

    /// Keeps what operators set.
    pub(crate) fn overrider(&self) -> Overrider {
        match (&self.told, &self.thread) {
            (None, _) => Overrider::default(),
            (Some(_), Some(thread)) => Overrider(Some(thread.orders.clone())),
            // There should be one, so that nobody listens is to be said.
            (Some(_), None) => Overrider(Some(sync_channel(1).0)),
        }
    }

    /// The last round. Every request is over.
    pub(crate) fn end(&self, ended: Ended, events: &Events) {
        let Some(thread) = &self.thread else { return };
        let limit = match ended {
            Ended::Complete | Ended::Cut => LAST,
            Ended::Interrupted => LAST_AT_ONCE,
        };
        // Whoever has ended already has nothing to be told.
        let _ = thread.orders.try_send(Order::End);
        let waited = thread.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(limit);
        if waited == Err(RecvTimeoutError::Timeout) {
            events.emit("limits_not_kept", &[("error", Value::Text("the disk took too long for the last round"))]);
        }
    }
}

impl Overrider {
    /// Keeps what is set for a key.
    pub(crate) async fn keep(&self, key: KeyHash, set: Option<Override>) -> Result<(), Forgotten> {
        let Some(orders) = &self.0 else { return Ok(()) };
        let (done, kept) = oneshot::channel();
        orders.try_send(Order::Override(Box::new((key, set)), done)).map_err(|error| match error {
            TrySendError::Full(_) => Forgotten::Late,
            TrySendError::Disconnected(_) => Forgotten::Lost,
        })?;
        match timeout(LAST, kept).await {
            Ok(Ok(kept)) => kept.map_err(Forgotten::from),
            Ok(Err(_)) => Err(Forgotten::Lost),
            Err(_) => Err(Forgotten::Late),
        }
    }
}

impl Work {
    fn spawn(mut self) -> Result<Thread, KeepError> {
        let (orders, asked) = sync_channel(ORDERS_MAX);
        let (tell, ended) = channel();
        let told = self.told.clone();
        let rounds = move || {
            self.rounds(&asked);
            let late = Instant::now() + LAST;
            // As many as it takes: nothing changes any more.
            while self.round() > 0 && Instant::now() < late {}
            // The file is closed, and its journal in it, before anybody is told.
            drop(self);
            let _ = tell.send(());
        };
        std::thread::Builder::new().name("keep".to_owned()).spawn(rounds).map_err(KeepError::Thread)?;
        told.lock().is_up = true;
        Ok(Thread { orders, ended: Mutex::new(ended) })
    }

    /// Until the end is asked for, or nobody is left to ask.
    fn rounds(&mut self, asked: &Receiver<Order>) {
        let mut due = Instant::now() + EVERY;
        loop {
            match asked.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Order::Override(change, done)) => {
                    let (key, set) = *change;
                    // Whoever asked may have lost patience.
                    let kept = self.kept.keep_override(key, set.as_ref(), clock::now().utc);
                    self.owes |= kept.is_err();
                    let _ = done.send(kept);
                }
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    self.round();
                    due = Instant::now() + EVERY;
                }
            }
        }
    }

    /// Gives how many counters wait for the next one.
    fn round(&mut self) -> u64 {
        let now = clock::now();
        let done = self.kept.round(self.counters.table(), now);
        if self.owes && done.is_ok() {
            self.owes = self.kept.keep_overrides(&self.counters.table().overrides().all()).is_err();
        }
        let before = self.told.note(&done, now.monotonic);
        let left_out = done.as_ref().map_or(0, |round| round.left_out);
        match done {
            Ok(_) if !before.is_up => self.events.emit("limits_kept_again", &[]),
            // Said once, not with every round.
            Err(error) if before.is_up => announce::trouble(&self.events, "limits_not_kept", &KeepError::from(error)),
            Ok(_) | Err(_) => {}
        }
        left_out
    }
}

impl Told {
    /// Notes a round. Gives how it went before.
    fn note(&self, done: &Result<Round, EmbeddedError>, began: Monotonic) -> Figures {
        let mut figures = self.lock();
        let before = *figures;
        figures.is_up = done.is_ok();
        if let Ok(Round { left_out, cells, .. }) = done {
            let now = clock::monotonic();
            figures.cells = *cells;
            figures.left_out += left_out;
            figures.rounds += 1;
            figures.last = Some(now);
            figures.took = now.since(began);
        }
        before
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
