//! How many requests the application gets at once.
//!
//! An application that is given more than it can do doesn't do more, only later. So the number in
//! flight has a limit that follows the latency: while the answers of a cohort take more than twice
//! the smallest latency of the last minute, the limit shrinks in proportion (by half at most);
//! while they don't and the limit is reached, it grows by its square root; at the start it doubles
//! as long as that brings more answers. It stays between a floor and a ceiling. Who doesn't fit waits in a
//! queue as long as the ceiling, for a second at most; beyond that they are turned away at once.
//! What counts as a latency, and which is the smallest, is in `latency`.
//!
//! A limit that has been reached for long keeps a small queue inside the application, and with it
//! the smallest latency would drift upwards. So it is cut to a quarter for one cohort now and then,
//! soon at first, later every twenty seconds, to see the smallest latency again.
//!
//! Everything here is arithmetic on the time it is given. The waiting itself is in
//! [`Admission`](crate::Admission).

mod latency;
mod queue;
#[cfg(test)]
mod tests;

use std::time::Duration;

use palisade_core::Monotonic;

use latency::{Cohort, Reach, Scales, Unit, Usual, Verdict};
pub use queue::DEADLINE;
use queue::{Popped, Queue};

/// The limit at the start, before anything was measured.
const START: u32 = 32;

/// The floor of a process; every worker has its share.
const FLOOR: u32 = 16;

/// How long the limit is reached before it is cut for one cohort: at first, and at most.
const PROBE_MIN: Duration = Duration::from_millis(500);
const PROBE_MAX: Duration = Duration::from_secs(20);

/// How much longer than a cut the time between two of them is: a slow application is not to be
/// measured all the time.
const PROBE_SHARE: u32 = 20;

/// By how much it is cut. By less than 4 it would find what it has made: latency is twice the
/// smallest one at the limit, and half of that at half the limit, whatever the limit is.
const PROBE_CUT: f32 = 4.0;

/// How much more must be answered for the limit to be doubled again.
const WORTH_DOUBLING: f32 = 1.25;

/// How much of the limit is as good as all of it.
const REACHED: f32 = 0.9;

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
    /// Admitted, while their clients are waited for. They take no part in the limit, but all of
    /// them together keep within the ceiling: clients must not gather requests without end.
    aside: u32,
    /// How many were admitted so far.
    admitted: u64,
    queue: Queue<W>,
    scales: Scales,
    usual: Usual,
    cohort: Cohort,
    growth: Growth,
    /// The most in flight since the last verdict.
    peak: u32,
    /// When the limit was last out of reach, or cut.
    at_ease: Monotonic,
    probe_every: Duration,
    phase: Phase,
}

/// Which of the admitted requests one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What becomes of someone who waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is their turn.
    Admit(Ticket),
    /// They waited too long.
    Shed,
}

/// What to do with a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is in flight from now on; [`Limiter::finish`] ends that.
    Admit(Ticket),
    /// It may [`Limiter::wait`].
    Wait,
    /// There is no room to wait.
    Shed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Growth {
    /// With what was answered in a second before the last time.
    Doubling(f32),
    Adding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Steady,
    /// Since when.
    Probing(Monotonic),
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
            aside: 0,
            admitted: 0,
            queue: Queue::default(),
            scales: Scales::default(),
            usual: Usual::default(),
            cohort: Cohort::default(),
            growth: Growth::Doubling(0.0),
            peak: 0,
            at_ease: Monotonic::default(),
            probe_every: PROBE_MIN,
            phase: Phase::Steady,
        }
    }

    /// A request arrives.
    pub fn arrive(&mut self, now: Monotonic) -> Arrival {
        if !self.is_full() && self.queue.len() == 0 {
            return Arrival::Admit(self.admit(now));
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
        if self.is_full() {
            return None;
        }
        Some(match self.queue.pop(now)? {
            Popped::Late(waiter) => (waiter, Turn::Shed),
            Popped::Next(waiter) => (waiter, Turn::Admit(self.admit(now))),
        })
    }

    /// The client of a request in flight is waited for.
    pub fn step_aside(&mut self) {
        self.finish();
        self.aside += 1;
    }

    /// The client of a request that had stepped aside has gone on.
    pub fn step_back(&mut self) {
        self.aside = self.aside.saturating_sub(1);
        self.in_flight += 1;
    }

    /// A request that had stepped aside is over.
    pub fn finish_aside(&mut self) {
        self.aside = self.aside.saturating_sub(1);
    }

    /// A request is in flight no longer.
    pub fn finish(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A request will never be [`Self::answered`].
    pub fn unanswered(&mut self, ticket: Ticket) {
        self.cohort.lose(ticket);
    }

    /// A request of `class` was answered after `latency`.
    pub fn answered(&mut self, class: u16, ticket: Ticket, latency: Duration, now: Monotonic) {
        let reach = if self.peak as f32 >= self.limit * REACHED { Reach::Reached } else { Reach::Far };
        let sample = self.scales.measure(class, latency, reach, now);
        if reach == Reach::Far {
            self.at_ease = now;
        }
        if sample.unit == Unit::Shrunk {
            self.usual.restate();
        }
        if let Some(verdict) = self.cohort.answer(ticket, sample.value, now) {
            self.adapt(verdict, now);
        }
    }

    /// How many may be in flight.
    pub fn limit(&self) -> u32 {
        let limit = match self.phase {
            Phase::Steady => self.limit,
            // Below the floor, too: what the floor does to the application is not the smallest.
            Phase::Probing(_) => (self.limit / PROBE_CUT).max(1.0),
        };
        limit as u32
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

    fn is_full(&self) -> bool {
        self.in_flight >= self.limit() || self.in_flight.saturating_add(self.aside) >= self.bounds.ceiling
    }

    fn admit(&mut self, now: Monotonic) -> Ticket {
        let ticket = Ticket(self.admitted);
        self.admitted += 1;
        self.in_flight += 1;
        self.peak = self.peak.max(self.in_flight);
        self.cohort.admit(ticket, now);
        if self.in_flight == 1 {
            self.at_ease = now;
        }
        ticket
    }

    /// The queue is as long as the ceiling, not as the limit: a burst that comes before the limit
    /// has grown is to be answered, and who waits in vain costs nothing but memory.
    fn room(&self) -> usize {
        self.bounds.ceiling as usize
    }

    fn adapt(&mut self, verdict: Verdict, now: Monotonic) {
        match self.phase {
            Phase::Probing(since) => {
                self.usual.note_probe(verdict.half, now);
                self.phase = Phase::Steady;
                self.at_ease = now;
                self.probe_every = self.probe_every.max(now.since(since) * PROBE_SHARE);
            }
            Phase::Steady => {
                self.usual.note(verdict.half, now);
                self.move_limit(verdict);
                if now.since(self.at_ease) >= self.probe_every {
                    self.phase = Phase::Probing(now);
                    self.probe_every = (self.probe_every * 2).min(PROBE_MAX);
                }
            }
        }
        self.peak = self.in_flight;
    }

    fn move_limit(&mut self, verdict: Verdict) {
        let slowness = verdict.quarter / (2.0 * self.usual.smallest());
        let peak = self.peak as f32;
        if slowness > 1.0 && peak >= self.limit / 2.0 {
            self.limit *= slowness.recip().max(0.5);
            self.growth = Growth::Adding;
        } else if slowness <= 1.0 && peak >= self.limit * REACHED {
            match self.growth {
                Growth::Adding => self.limit += self.limit.sqrt(),
                Growth::Doubling(before) if verdict.rate >= before * WORTH_DOUBLING => {
                    self.limit *= 2.0;
                    self.growth = Growth::Doubling(verdict.rate);
                }
                Growth::Doubling(_) => {
                    self.limit /= 2.0;
                    self.growth = Growth::Adding;
                }
            }
        }
        self.limit = self.limit.clamp(self.bounds.floor as f32, self.bounds.ceiling as f32);
    }
}
