//! Telemetry as a whole: its threads, what they share, and their end.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use palisade_core::{Kind, Monotonic};
use thiserror::Error;

use crate::access_log::{Line, Rotated};
use crate::bus::{Queue, is_notable};
use crate::event::Events;
use crate::guess::Shapes;
use crate::limits::{LimitUse, Uses};
use crate::lines::{Lines, Stream, Target, Writer};
use crate::metrics::registry::Registry;
use crate::metrics::shard::Shard;
use crate::metrics::{Format, Gauges, Sources, Told as ToldNumbers};
use crate::proxies::Judge;
use crate::settings::{Access, LogFile, Only, Settings, Told};
use crate::traces::Traces;
use crate::worker::WorkerTelemetry;

/// How long a reader of the log may hold up the end of the process.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why telemetry could not start, or could not take over new settings.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The access log's file can't be opened.
    #[error("opening the access log {path}")]
    AccessLog {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Stdout can't be written to.
    #[error("taking stdout for the log")]
    Stdout(#[source] io::Error),
    /// A thread can't be started.
    #[error("starting the thread {name}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// Telemetry of the process.
#[derive(Debug)]
pub struct Telemetry {
    shared: Arc<Shared>,
    collector: Mutex<Option<JoinHandle<()>>>,
    stdout: Writer,
    file: Mutex<Option<(LogFile, Writer)>>,
    shards: Mutex<Vec<Arc<Shard>>>,
    started: Duration,
}

/// What workers, the collecting thread and scrapes share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) queue: Queue,
    pub(crate) shapes: Shapes,
    traces: Traces,
    uses: Mutex<Uses>,
    /// In nanoseconds; the largest value means that nothing is slow.
    slow_ns: AtomicU64,
    /// Held while a batch is told, so that a file is closed only after its last line.
    telling: Mutex<Telling>,
    /// Lines that sinks dropped which are gone by now.
    dropped_before: AtomicU64,
}

/// Where records go, as the collecting thread sees it.
#[derive(Debug)]
struct Telling {
    settings: Told,
    lines: Option<Arc<Lines>>,
}

impl Telemetry {
    /// Starts the threads. `routes` are the labels of the first snapshot.
    pub fn start<'a>(settings: Settings, routes: impl IntoIterator<Item = &'a str>) -> Result<Self, TelemetryError> {
        // A descriptor of our own: std's stdout buffers lines and shares a lock.
        let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(TelemetryError::Stdout)?;
        Self::start_on(Stream(std::fs::File::from(stdout)), settings, routes)
    }

    pub(crate) fn start_on<'a>(
        stdout: impl Target,
        settings: Settings,
        routes: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, TelemetryError> {
        let Settings { told, queue_bytes, max_series } = settings;
        let stdout = writer("log", stdout)?;
        let file = open(&told.access)?;
        let registry = Registry::new(max_series);
        registry.configure(routes);
        let shared = Arc::new(Shared {
            registry,
            queue: Queue::new(queue_bytes),
            shapes: Shapes::new(told.guess),
            traces: Traces::default(),
            uses: Mutex::default(),
            slow_ns: AtomicU64::new(slow_ns(told.slow)),
            telling: Mutex::new(Telling { lines: lines(&told.access, &stdout, file.as_ref()), settings: told }),
            dropped_before: AtomicU64::new(0),
        });
        let (collecting, events) = (shared.clone(), Events::new(stdout.lines().clone()));
        let collector = std::thread::Builder::new()
            .name("telemetry".into())
            .spawn(move || collecting.collect(&events))
            .map_err(|source| TelemetryError::Thread { name: "telemetry", source })?;
        Ok(Self {
            shared,
            collector: Mutex::new(Some(collector)),
            stdout,
            file: Mutex::new(file),
            shards: Mutex::default(),
            started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        })
    }

    /// The end for one more worker. Counts of a worker that is gone stay.
    pub fn worker(&self) -> WorkerTelemetry {
        let shard = Arc::new(Shard::new());
        lock(&self.shards).push(shard.clone());
        WorkerTelemetry::new(self.shared.clone(), shard)
    }

    /// Takes over the settings and routes of a new snapshot. On an error all stays as it was.
    pub fn reload<'a>(&self, told: Told, routes: impl IntoIterator<Item = &'a str>) -> Result<(), TelemetryError> {
        let mut file = lock(&self.file);
        let kept = match (&told.access, &*file) {
            (Access::File(wanted), Some((open, _))) => wanted == open,
            (Access::File(_), None) | (Access::Stdout | Access::Off, Some(_)) => false,
            (Access::Stdout | Access::Off, None) => true,
        };
        let replaced = if kept { None } else { std::mem::replace(&mut *file, open(&told.access)?) };
        self.shared.registry.configure(routes);
        self.shared.shapes.set(told.guess);
        self.shared.slow_ns.store(slow_ns(told.slow), Ordering::Relaxed);
        let lines = lines(&told.access, &self.stdout, file.as_ref());
        *lock(&self.shared.telling) = Telling { settings: told, lines };
        drop(file);
        if let Some((_, writer)) = replaced {
            self.shared.dropped_before.fetch_add(writer.lines().dropped(), Ordering::Relaxed);
            writer.close(PATIENCE);
        }
        Ok(())
    }

    /// Where lines about the gateway itself go.
    pub fn events(&self) -> Events {
        Events::new(self.stdout.lines().clone())
    }

    /// The kept traces.
    pub fn traces(&self) -> &Traces {
        &self.shared.traces
    }

    /// How a limit was used of late.
    pub fn limit_use(&self, limit: &str, now: Monotonic) -> LimitUse {
        lock(&self.shared.uses).of(limit, now)
    }

    /// Requests under way, over all kinds and workers.
    pub fn in_flight(&self) -> u64 {
        let shards = lock(&self.shards).clone();
        let cells = |of: fn(&Shard) -> &[crate::metrics::cell::Counter; Kind::ALL.len()]| -> u64 {
            shards.iter().flat_map(|shard| of(shard)).map(|cell| cell.read()).sum()
        };
        let closed = cells(|shard| &shard.closed);
        cells(|shard| &shard.opened).saturating_sub(closed)
    }

    /// The scrape. Locks no worker.
    pub fn render_metrics(&self, gauges: &Gauges, format: Format) -> String {
        let shards = lock(&self.shards).clone();
        let file = lock(&self.file);
        let file_lines = file.as_ref().map(|(_, writer)| writer.lines());
        let log_dropped = self.stdout.lines().dropped()
            + file_lines.map_or(0, |lines| lines.dropped())
            + self.shared.dropped_before.load(Ordering::Relaxed);
        let log_ratio = file_lines.map_or(0.0, |lines| lines.ratio()).max(self.stdout.lines().ratio());
        drop(file);
        let told = ToldNumbers {
            dropped: vec![("queue", self.shared.queue.dropped()), ("log", log_dropped)],
            buffers: vec![("queue", self.shared.queue.ratio()), ("log", log_ratio)],
            traces: self.shared.traces.kept().to_vec(),
            guessed: self.shared.shapes.admitted(),
        };
        let registry = &self.shared.registry;
        Sources { shards: &shards, registry, gauges, told, started: self.started }.render(format)
    }

    /// Tells everything that workers handed over, writes it, and ends the threads. Workers' ends
    /// are dropped before; what comes later is counted and no more.
    pub fn shutdown(&self) {
        self.shared.queue.close();
        if let Some(collector) = lock(&self.collector).take() {
            // A panic in it has been printed already.
            let _ = collector.join();
        }
        if let Some((_, writer)) = lock(&self.file).take() {
            writer.close(PATIENCE);
        }
        self.stdout.close(PATIENCE);
    }
}

impl Shared {
    /// From which latency on a request is slow.
    pub(crate) fn slow(&self) -> Option<Duration> {
        let nanos = self.slow_ns.load(Ordering::Relaxed);
        (nanos != u64::MAX).then(|| Duration::from_nanos(nanos))
    }

    /// The collecting thread: renders each record and hands it on. It never waits for a sink.
    fn collect(&self, events: &Events) {
        let (mut line, mut judge) = (Line::default(), Judge::default());
        let mut out = Vec::new();
        while let Some(mut batch) = self.queue.pop() {
            let telling = lock(&self.telling);
            if let Some(lines) = &telling.lines {
                out.clear();
                for record in batch.iter().filter(|record| telling.settings.holds(record)) {
                    line.render(&mut out, record, telling.settings.address);
                }
                if !out.is_empty() {
                    lines.add(&out);
                }
            }
            let address = telling.settings.address;
            drop(telling);
            {
                let mut uses = lock(&self.uses);
                batch.iter().for_each(|record| uses.see(record));
            }
            for finding in batch.iter().flat_map(|record| judge.see(record)) {
                finding.tell(events, address);
            }
            // Most batches have none, and to take records out is to move them.
            if batch.iter().any(|record| record.traced) {
                batch.drain(..).filter(|record| record.traced).for_each(|record| self.traces.keep(record));
            }
            self.queue.recycle(batch);
        }
    }
}

impl Told {
    /// Whether the access log holds a record.
    fn holds(&self, record: &palisade_core::Record) -> bool {
        record.kind != Kind::Health && (self.only == Only::All || is_notable(record, self.slow))
    }
}

fn open(access: &Access) -> Result<Option<(LogFile, Writer)>, TelemetryError> {
    let Access::File(settings) = access else { return Ok(None) };
    let file = Rotated::open(settings.clone())
        .map_err(|source| TelemetryError::AccessLog { path: settings.path.clone(), source })?;
    Ok(Some((settings.clone(), writer("access-log", file)?)))
}

fn writer(name: &'static str, target: impl Target) -> Result<Writer, TelemetryError> {
    Writer::start(name, target).map_err(|source| TelemetryError::Thread { name, source })
}

fn lines(access: &Access, stdout: &Writer, file: Option<&(LogFile, Writer)>) -> Option<Arc<Lines>> {
    match access {
        Access::Stdout => Some(stdout.lines().clone()),
        Access::Off => None,
        Access::File(_) => file.map(|(_, writer)| writer.lines().clone()),
    }
}

fn slow_ns(slow: Option<Duration>) -> u64 {
    slow.map_or(u64::MAX, |slow| u64::try_from(slow.as_nanos()).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is replaced whole; a panic elsewhere leaves it as it was.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
