//! The end of a gateway: nothing that is under way is lost.
//!
//! The first signal turns readiness off while connections are still accepted, so that whoever
//! sends traffic here can look elsewhere first. Then accepting ends, connections close with the
//! answer they are at, and streams are closed one after the other. A second signal ends at once.

use std::time::Duration;

use palisade_tower::clock;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout_at};

use crate::announce;
use crate::counters::Engine;
use crate::process::Shared;
use crate::reload;
use crate::worker::Command;

/// How a gateway ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was answered.
    Complete,
    /// Something was cut when the time was up.
    Cut,
    /// A second signal ended it at once.
    Interrupted,
}

/// How often it is looked whether connections are still open.
const LOOK: Duration = Duration::from_millis(10);

/// The signals that a gateway listens for. They are listened for before anybody is told that it
/// has started, so that none can end it by surprise.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// To be called in a runtime.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// A signal that asks for the end.
    async fn end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Waits for signals: reloads on SIGHUP, and ends on SIGTERM and SIGINT.
pub(crate) async fn run(shared: &Shared, mut signals: Signals) -> Ended {
    let why = loop {
        tokio::select! {
            why = async { tokio::select! {
                _ = signals.terminate.recv() => "SIGTERM",
                _ = signals.interrupt.recv() => "SIGINT",
            } } => break why,
            _ = signals.hang_up.recv() => {
                // What went wrong is told by the reload itself.
                let _ = reload::reload(shared).await;
            }
        }
    };
    tokio::select! {
        ended = drain(shared, why) => ended,
        _ = signals.end() => Ended::Interrupted,
    }
}

async fn drain(shared: &Shared, why: &'static str) -> Ended {
    shared.status.draining(clock::monotonic(), why);
    shared.telemetry.events().emit("draining", &[("why", palisade_telemetry::Value::Text(why))]);
    let app = &shared.reloader.snapshot().app;
    announce::draining(app.drain_delay, app.drain);
    sleep(app.drain_delay).await;
    shared.workers.tell(|| Command::Drain).await;
    shared.workers.tell(|| Command::Tell(Box::new(|gateway| gateway.end_streams()))).await;
    let idle = async {
        while is_busy(shared) {
            sleep(LOOK).await;
        }
    };
    match timeout_at(Instant::now() + app.drain, idle).await {
        Ok(()) => Ended::Complete,
        Err(_) => Ended::Cut,
    }
}

/// Whether any connection is open, or any tunnel carries bytes.
fn is_busy(shared: &Shared) -> bool {
    let open: u64 = Engine::ALL.iter().map(|engine| shared.door.counters.open(*engine)).sum();
    open > 0 || shared.telemetry.in_flight() > 0
}
