//! How many requests the application gets at once.
//!
//! An application that is given more than it can do doesn't do more, only later. So the number in
//! flight has a limit that follows the latency: while the answers of a window take more than twice
//! the smallest latency of the last minute, the limit shrinks in proportion (by half at most);
//! while they don't and the limit is reached, it grows by its square root, or doubles until it
//! shrank for the first time. It stays between a floor and a ceiling. Who doesn't fit waits in a
//! queue as long as the ceiling, for a second at most; beyond that they are turned away at once.
//!
//! A limit that has been reached for long keeps a small queue inside the application, and with it
//! the smallest latency would drift upwards. So after twenty seconds without an answer near the
//! smallest latency the limit is halved for one window, to see it again.
//!
//! Everything here is arithmetic on the time it is given. The waiting itself is in
//! [`crate::admission`].

mod latency;
mod queue;
#[cfg(test)]
mod tests;

use std::time::Duration;

use palisade_core::Monotonic;

use latency::{Baselines, Window};
use queue::Queue;
pub use queue::{DEADLINE, Turn};

/// The limit at the start, before anything was measured.
const START: u32 = 64;

/// The floor of a process; every worker has its share.
const FLOOR: u32 = 16;

/// How long the limit may be reached without an answer near the smallest latency.
const PROBE_EVERY: Duration = Duration::from_secs(20);

/// Near the smallest latency, measured as [`Baselines::compare`] does: 0.5 is the smallest.
const NEAR: f32 = 0.6;

/// Between which numbers the limit moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    floor: u32,
    ceiling: u32,
}

/// The state machine. `W` is whatever stands for someone who waits.
#[derive(Debug)]
pub struct Limiter<W> {
    bounds: Bounds,
    limit: f32,
    in_flight: u32,
    queue: Queue<W>,
    baselines: Baselines,
    window: Window,
    growth: Growth,
    /// The most in flight since the last window's end.
    peak: u32,
    /// Requests admitted before this instant say nothing about the current limit.
    changed: Monotonic,
    /// When an answer was last near the smallest latency, or the limit not reached.
    at_ease: Monotonic,
    phase: Phase,
}

/// What to do with a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is in flight from now on; [`Limiter::finish`] ends that.
    Admit,
    /// It may [`Limiter::wait`].
    Wait,
    /// There is no room to wait.
    Shed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    Doubling,
    Adding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Steady,
    Probing,
}

impl Bounds {
    /// One worker's share of `max_in_flight` for each server; at least one request in flight.
    pub fn share(max_in_flight: u32, servers: u32, workers: u32) -> Self {
        let workers = workers.max(1);
        let ceiling = max_in_flight.saturating_mul(servers).div_ceil(workers).max(1);
        Self { floor: FLOOR.div_ceil(workers).min(ceiling), ceiling }
    }
}

impl<W> Limiter<W> {
    /// Nothing in flight, nothing known.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            limit: START.clamp(bounds.floor, bounds.ceiling) as f32,
            in_flight: 0,
            queue: Queue::default(),
            baselines: Baselines::default(),
            window: Window::default(),
            growth: Growth::Doubling,
            peak: 0,
            changed: Monotonic::default(),
            at_ease: Monotonic::default(),
            phase: Phase::Steady,
        }
    }

    /// A request arrives.
    pub fn arrive(&mut self, now: Monotonic) -> Arrival {
        if self.in_flight < self.limit() && self.queue.len() == 0 {
            self.admit(now);
            return Arrival::Admit;
        }
        // In a standing queue the newest has the best chance, so room is made for it.
        if self.queue.len() < self.room() || self.queue.stands(now) { Arrival::Wait } else { Arrival::Shed }
    }

    /// It waits, under an id for [`Self::leave`]. Whoever has waited longest makes room if there
    /// is none, and is given back.
    pub fn wait(&mut self, waiter: W, now: Monotonic) -> (u64, Option<W>) {
        let evicted = if self.queue.len() < self.room() { None } else { self.queue.evict() };
        (self.queue.push(waiter, now), evicted)
    }

    /// Someone doesn't wait any longer.
    pub fn leave(&mut self, id: u64) {
        self.queue.leave(id);
    }

    /// Whose turn it is, if any; to be asked until there is none, after everything that could
    /// have made room. Who is admitted is in flight.
    pub fn next(&mut self, now: Monotonic) -> Option<(W, Turn)> {
        if self.in_flight >= self.limit() {
            return None;
        }
        let (waiter, turn) = self.queue.pop(now)?;
        if turn == Turn::Admit {
            self.admit(now);
        }
        Some((waiter, turn))
    }

    /// A request is in flight again that was admitted before and had stepped aside.
    pub fn rejoin(&mut self) {
        self.in_flight += 1;
    }

    /// A request is in flight no longer.
    pub fn finish(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A request of `class` that was admitted at `admitted` was answered after `latency`.
    pub fn answered(&mut self, class: u16, admitted: Monotonic, latency: Duration, now: Monotonic) {
        let slowness = self.baselines.compare(class, latency, now);
        if slowness <= NEAR || self.peak < self.limit() {
            self.at_ease = now;
        }
        if admitted >= self.changed
            && let Some(verdict) = self.window.add(slowness, now)
        {
            self.adapt(verdict, now);
        }
    }

    /// How many may be in flight.
    pub fn limit(&self) -> u32 {
        let limit = match self.phase {
            Phase::Steady => self.limit,
            Phase::Probing => self.limit / 2.0,
        };
        (limit as u32).clamp(self.bounds.floor, self.bounds.ceiling)
    }

    /// How many are in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether nobody waits, so that [`Self::next`] need not be asked.
    pub fn is_idle(&self) -> bool {
        self.queue.len() == 0
    }

    fn admit(&mut self, now: Monotonic) {
        self.in_flight += 1;
        self.peak = self.peak.max(self.in_flight);
        if self.in_flight == 1 {
            self.at_ease = now;
        }
    }

    /// The queue is as long as the ceiling, not as the limit: a burst that comes before the limit
    /// has grown is to be answered, and who waits in vain costs nothing but memory.
    fn room(&self) -> usize {
        self.bounds.ceiling as usize
    }

    fn adapt(&mut self, slowness: f32, now: Monotonic) {
        let peak = self.peak as f32;
        let former = self.limit;
        if self.phase == Phase::Probing {
            self.phase = Phase::Steady;
            self.at_ease = now;
        } else if slowness > 1.0 && peak >= self.limit / 2.0 {
            self.limit *= slowness.recip().max(0.5);
            self.growth = Growth::Adding;
        } else if slowness <= 1.0 && peak >= self.limit * 0.9 {
            self.limit += match self.growth {
                Growth::Doubling => self.limit,
                Growth::Adding => self.limit.sqrt(),
            };
        }
        self.limit = self.limit.clamp(self.bounds.floor as f32, self.bounds.ceiling as f32);
        if self.phase == Phase::Steady && now.since(self.at_ease) >= PROBE_EVERY {
            self.phase = Phase::Probing;
            self.changed = now;
        } else if self.limit < former {
            self.changed = now;
        }
        self.window.clear();
        self.peak = self.in_flight;
    }
}
