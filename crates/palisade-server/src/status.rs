//! What is known about the process at any time, so that nobody who asks ever waits.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use palisade_core::Monotonic;
use palisade_telemetry::metrics::Reload;

use crate::health::{Conditions, Presence};
use crate::tick::Tick;

/// The state of the process.
#[derive(Debug, Default)]
pub(crate) struct Status {
    started: AtomicBool,
    ticks: OnceLock<Vec<Arc<Tick>>>,
    draining: OnceLock<(Monotonic, &'static str)>,
    reload: Mutex<Option<Reload>>,
}

impl Status {
    /// All listeners are bound and the first snapshot is active.
    pub(crate) fn started(&self, ticks: Vec<Arc<Tick>>) {
        // Only the process itself starts, and once.
        let _ = self.ticks.set(ticks);
        self.started.store(true, Ordering::Release);
    }

    /// From now on the process is ending, because of `why`.
    pub(crate) fn draining(&self, now: Monotonic, why: &'static str) {
        let _ = self.draining.set((now, why));
    }

    /// Whether the process is ending.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// How the last reload went.
    pub(crate) fn reloaded(&self, how: Reload) {
        *self.reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
    }

    pub(crate) fn reload(&self) -> Option<Reload> {
        *self.reload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The heartbeats of all runtimes.
    pub(crate) fn ticks(&self) -> &[Arc<Tick>] {
        self.ticks.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// The facts that health is made from. Servers of the application are no condition, and only
    /// operators are told of them.
    pub(crate) fn conditions(&self, now: Monotonic) -> Conditions {
        let started = if self.started.load(Ordering::Acquire) { Presence::Present } else { Presence::Missing };
        Conditions {
            snapshot: started,
            listeners: started,
            draining: self.draining.get().copied(),
            servers_out: Vec::new(),
            oldest_tick: self.ticks().iter().map(|tick| tick.age(now)).max().unwrap_or(Duration::ZERO),
        }
    }
}
