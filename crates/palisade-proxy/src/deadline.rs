//! Deadlines of requests, cheaply.
//!
//! A timer of the runtime costs more than everything else a pooled request does in this crate, and
//! nearly none of them ever fires. So all requests of a worker share one: it ticks ten times a
//! second while there is a request under way, and wakes those whose time is up. To set a deadline
//! is to write a number. In return a deadline may fire up to two ticks late, never early.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use palisade_core::Monotonic;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

const TICK_MILLIS: u64 = 100;

/// Ticks without any request before the timer rests.
const REST_AFTER: u32 = 50;

/// The deadlines of one worker's requests.
#[derive(Debug)]
pub(crate) struct Deadlines {
    start: Instant,
    /// Whole ticks since the start, as of the timer's last tick.
    tick: Cell<u64>,
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
    resting: Cell<bool>,
    wanted: Notify,
}

#[derive(Debug)]
struct Slot {
    due: u64,
    waker: Option<Waker>,
}

/// One request's deadline. It never passes until it is set.
#[derive(Debug)]
pub(crate) struct Deadline {
    deadlines: Rc<Deadlines>,
    place: usize,
}

impl Deadlines {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            start: Instant::now(),
            tick: Cell::new(0),
            slots: RefCell::default(),
            free: RefCell::default(),
            resting: Cell::new(true),
            wanted: Notify::new(),
        })
    }

    /// The time as of the last tick, for what need not be exact.
    pub(crate) fn coarse(&self) -> Monotonic {
        Monotonic::default().plus(Duration::from_millis(TICK_MILLIS.saturating_mul(self.tick.get())))
    }

    /// Makes [`Self::coarse`] right again after a rest.
    pub(crate) fn catch_up(&self) {
        self.tick.set(millis(self.start.elapsed()) / TICK_MILLIS);
    }

    /// A deadline that is not set.
    pub(crate) fn deadline(self: &Rc<Self>) -> Deadline {
        if self.resting.replace(false) {
            self.catch_up();
            self.wanted.notify_one();
        }
        let mut slots = self.slots.borrow_mut();
        let place = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(Slot { due: u64::MAX, waker: None });
            slots.len() - 1
        });
        Deadline { deadlines: Rc::clone(self), place }
    }

    /// Ticks until nobody has the deadlines any more.
    pub(crate) async fn run(deadlines: Weak<Self>) {
        let mut idle_ticks = 0;
        loop {
            let Some(this) = deadlines.upgrade() else { return };
            if this.resting.get() {
                this.wanted.notified().await;
                idle_ticks = 0;
            }
            let next = this.start + Duration::from_millis(TICK_MILLIS * (this.tick.get() + 1));
            drop(this);
            sleep_until(next).await;
            let Some(this) = deadlines.upgrade() else { return };
            this.catch_up();
            this.wake_due();
            idle_ticks = if this.is_unused() { idle_ticks + 1 } else { 0 };
            this.resting.set(idle_ticks > REST_AFTER);
        }
    }

    fn wake_due(&self) {
        let tick = self.tick.get();
        for slot in self.slots.borrow_mut().iter_mut().filter(|slot| slot.due <= tick) {
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }

    fn is_unused(&self) -> bool {
        self.free.borrow().len() == self.slots.borrow().len()
    }
}

impl Deadline {
    /// It passes `after` from now, or up to two ticks later.
    pub(crate) fn set(&self, after: Duration) {
        // One more, since the last tick may be nearly one tick ago.
        let ticks = millis(after).div_ceil(TICK_MILLIS).saturating_add(1);
        let due = self.deadlines.tick.get().saturating_add(ticks);
        if let Some(slot) = self.deadlines.slots.borrow_mut().get_mut(self.place) {
            slot.due = due;
        }
    }

    /// Whether it has passed; if not, the task is woken when it does.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut slots = self.deadlines.slots.borrow_mut();
        let Some(slot) = slots.get_mut(self.place) else { return Poll::Pending };
        if slot.due <= self.deadlines.tick.get() {
            return Poll::Ready(());
        }
        match &mut slot.waker {
            Some(waker) => waker.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(slot) = self.deadlines.slots.borrow_mut().get_mut(self.place) {
            *slot = Slot { due: u64::MAX, waker: None };
        }
        self.deadlines.free.borrow_mut().push(self.place);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    async fn run<F: Future<Output = ()>>(test: impl FnOnce(Rc<Deadlines>) -> F) {
        let deadlines = Deadlines::new();
        let whole = async {
            let timer = spawn_local(Deadlines::run(Rc::downgrade(&deadlines)));
            test(Rc::clone(&deadlines)).await;
            timer.abort();
        };
        LocalSet::new().run_until(whole).await;
    }

    async fn passed(deadline: &Deadline) -> u128 {
        let start = Instant::now();
        poll_fn(|context| deadline.poll(context)).await;
        start.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn never_early_and_two_ticks_late_at_most() {
        run(async |deadlines| {
            let deadline = deadlines.deadline();
            for (millis, pause) in [(1, 0), (100, 33), (250, 77), (60_000, 99), (100, 12_345)] {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                deadline.set(Duration::from_millis(millis));
                let after = passed(&deadline).await;
                let millis = u128::from(millis);
                assert!(after >= millis && after <= millis + 200, "{millis}: {after}");
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_rests_without_requests_and_wakes_up_again() {
        run(async |deadlines| {
            drop(deadlines.deadline());
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert!(deadlines.resting.get());
            let deadline = deadlines.deadline();
            deadline.set(Duration::from_millis(300));
            let after = passed(&deadline).await;
            assert!((300..=500).contains(&after), "{after}");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_not_set_never_passes() {
        run(async |deadlines| {
            let first = deadlines.deadline();
            first.set(Duration::from_millis(1));
            drop(first);
            // The place is used again, its time is not.
            let second = deadlines.deadline();
            let limit = tokio::time::timeout(Duration::from_secs(3600), passed(&second)).await;
            assert!(limit.is_err());
        })
        .await;
    }
}
