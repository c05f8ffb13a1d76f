//! What a connection waits for, and how long.
//!
//! A connection has one deadline of the worker's, which is cheap to move and a little late. While
//! it waits for a request, that is all. Within an exchange the client may be waited for in both
//! directions, each with a pace of its own; the deadline is then a reminder to look at them.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use palisade_core::Reason;
use palisade_proxy::{Deadline, Deadlines};
use tokio::time::Instant;

use super::conn::Over;
use crate::connection::Close;
use crate::connection::pace::Pace;
use crate::counters::ConnectionLimit;
use crate::limits::{Limits, PaceRule};

/// The times of one connection.
#[derive(Debug)]
pub(super) struct Times {
    deadline: Deadline,
    phase: Phase,
    rule: PaceRule,
    idle: Duration,
    body: Pace,
    answer: Pace,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first byte of all.
    Fresh,
    /// The rest of a head.
    Head,
    /// Another request, with buffers at hand.
    Ready,
    /// Another request, since it didn't come at once.
    Idle,
    /// Whatever an exchange needs.
    Exchange,
}

/// What is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// The connection.
    Connection(Over),
    /// The request's body; the service may still answer.
    Body,
    /// Nothing but the buffers, which are no longer needed.
    Buffers,
}

/// How long a connection keeps its buffers for another request.
const READY: Duration = Duration::from_secs(1);

/// Nothing is waited for; whoever waits moves the deadline.
const NEVER: Duration = Duration::MAX;

impl Times {
    /// Of a connection that was just accepted.
    pub(super) fn new(limits: &Limits, deadlines: &Rc<Deadlines>) -> Self {
        let deadline = deadlines.deadline();
        deadline.set(limits.first_byte);
        let rule = limits.pace;
        Self { deadline, phase: Phase::Fresh, rule, idle: limits.idle, body: Pace::new(rule), answer: Pace::new(rule) }
    }

    /// A head has begun and isn't complete.
    pub(super) fn head(&mut self, limits: &Limits) {
        if self.phase != Phase::Head {
            self.phase = Phase::Head;
            self.deadline.set(limits.head);
        }
    }

    /// A request begins.
    pub(super) fn exchange(&mut self) {
        self.phase = Phase::Exchange;
        self.body = Pace::new(self.rule);
        self.answer = Pace::new(self.rule);
        self.deadline.set(NEVER);
    }

    /// Nothing is under way.
    pub(super) fn idle(&mut self) {
        self.phase = Phase::Ready;
        self.deadline.set(READY.min(self.idle));
    }

    /// The client is waited for to send.
    pub(super) fn wait_body(&mut self) {
        if !self.body.is_waiting() {
            let now = Instant::now();
            self.body.wait(now);
            self.remind(now);
        }
    }

    /// The client is waited for to take.
    pub(super) fn wait_answer(&mut self) {
        if !self.answer.is_waiting() {
            let now = Instant::now();
            self.answer.wait(now);
            self.remind(now);
        }
    }

    /// Nobody waits for the body any more.
    pub(super) fn end_body(&mut self) {
        self.body.moved(0, Instant::now());
    }

    /// Bytes of the body came.
    pub(super) fn came(&mut self, bytes: usize) {
        moved(&mut self.body, bytes);
    }

    /// Bytes of the answer were taken.
    pub(super) fn taken(&mut self, bytes: usize) {
        moved(&mut self.answer, bytes);
    }

    /// Pending, unless a time is over.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<Late> {
        while self.deadline.poll(context).is_ready() {
            let late = match self.phase {
                Phase::Ready if self.idle > READY => {
                    self.phase = Phase::Idle;
                    self.deadline.set(self.idle.saturating_sub(READY));
                    return Poll::Ready(Late::Buffers);
                }
                Phase::Fresh => Over::Limit(ConnectionLimit::FirstByte, Close::Now),
                Phase::Head => Over::Refuse(Reason::HttpTimeout, Some(ConnectionLimit::HeadTime)),
                Phase::Ready | Phase::Idle => Over::Limit(ConnectionLimit::Idle, Close::Now),
                Phase::Exchange => {
                    let now = Instant::now();
                    if self.answer.deadline().is_some_and(|at| now >= at) {
                        Over::Limit(ConnectionLimit::SlowReader, Close::Reset)
                    } else if self.body.deadline().is_some_and(|at| now >= at) {
                        return Poll::Ready(Late::Body);
                    } else {
                        self.remind(now);
                        continue;
                    }
                }
            };
            return Poll::Ready(Late::Connection(late));
        }
        Poll::Pending
    }

    /// Moves the deadline to the first pace that would be used up.
    fn remind(&self, now: Instant) {
        let next = [self.body.deadline(), self.answer.deadline()].into_iter().flatten().min();
        self.deadline.set(next.map_or(NEVER, |at| at.saturating_duration_since(now)));
    }
}

fn moved(pace: &mut Pace, bytes: usize) {
    if pace.is_waiting() { pace.moved(bytes, Instant::now()) } else { pace.gain(bytes) }
}
