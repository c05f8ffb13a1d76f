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
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until};

const TICK_MILLIS: u64 = 100;

/// Ticks without any request before the timer rests.
const REST_AFTER: u32 = 50;

/// The deadlines of one worker's requests.
#[derive(Debug)]
pub struct Deadlines {
    start: Instant,
    /// Whole ticks since the start, as of the timer's last tick.
    tick: Cell<u64>,
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
    resting: Cell<bool>,
    /// Wakes the timer up: for the first request after a rest, and when it is no longer needed.
    wanted: Rc<Notify>,
}

#[derive(Debug)]
struct Slot {
    due: u64,
    waker: Option<Waker>,
}

/// One request's deadline. It never passes until it is set.
#[derive(Debug)]
pub struct Deadline {
    deadlines: Rc<Deadlines>,
    place: usize,
}

impl Deadlines {
    /// Starts the timer, as a local task that ends when the deadlines are dropped.
    pub fn start() -> Rc<Self> {
        let this = Rc::new(Self {
            start: Instant::now(),
            tick: Cell::new(0),
            slots: RefCell::default(),
            free: RefCell::default(),
            resting: Cell::new(true),
            wanted: Rc::default(),
        });
        spawn_local(run(Rc::downgrade(&this), Rc::clone(&this.wanted)));
        this
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
    pub fn deadline(self: &Rc<Self>) -> Deadline {
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

/// Ticks until nobody has the deadlines any more.
async fn run(deadlines: Weak<Deadlines>, wanted: Rc<Notify>) {
    let mut idle_ticks = 0;
    loop {
        let Some(this) = deadlines.upgrade() else { return };
        if this.resting.get() {
            // Not to keep what the others have dropped.
            drop(this);
            wanted.notified().await;
            idle_ticks = 0;
            continue;
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

impl Drop for Deadlines {
    fn drop(&mut self) {
        self.wanted.notify_one();
    }
}

impl Deadline {
    /// It passes `after` from now, or up to two ticks later.
    pub fn set(&self, after: Duration) {
        // One more, since the last tick may be nearly one tick ago.
        let ticks = millis(after).div_ceil(TICK_MILLIS).saturating_add(1);
        let due = self.deadlines.tick.get().saturating_add(ticks);
        if let Some(slot) = self.deadlines.slots.borrow_mut().get_mut(self.place) {
            slot.due = due;
        }
    }

    /// Whether it has passed; if not, the task is woken when it does.
    pub fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut slots = self.deadlines.slots.borrow_mut();
        let Some(slot) = slots.get_mut(self.place) else { return Poll::Pending };
        if slot.due <= self.deadlines.tick.get() {
            return Poll::Ready(());
        }
        if slot.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            return Poll::Pending;
        }
        let former = slot.waker.replace(context.waker().clone());
        // Whatever hangs on a waker is dropped with it, and may hold a deadline.
        drop(slots);
        drop(former);
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut slots = self.deadlines.slots.borrow_mut();
        let former = slots.get_mut(self.place).and_then(|slot| {
            slot.due = u64::MAX;
            slot.waker.take()
        });
        drop(slots);
        drop(former);
        self.deadlines.free.borrow_mut().push(self.place);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::LocalSet;

    use super::*;

    async fn run<F: Future<Output = ()>>(test: impl FnOnce(Rc<Deadlines>) -> F) {
        LocalSet::new().run_until(async { test(Deadlines::start()).await }).await;
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
    async fn the_timer_ends_with_the_deadlines() {
        for pause in [0, 1, 60] {
            let tasks = LocalSet::new();
            let used = async {
                let deadlines = Deadlines::start();
                let deadline = deadlines.deadline();
                tokio::time::sleep(Duration::from_secs(pause)).await;
                drop(deadline);
                tokio::time::sleep(Duration::from_secs(pause)).await;
            };
            tasks.run_until(used).await;
            // Ends when all its tasks have.
            tokio::time::timeout(Duration::from_secs(1), tasks).await.unwrap();
        }
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
