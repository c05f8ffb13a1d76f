//! The waiting that [`crate::limiter`] decides about.
//!
//! A request asks once, before anybody looks at who sent it. The answer is a [`Permit`] that keeps
//! its place in flight until it is dropped, at once or after some time in the queue; or it is
//! [`Shed`].

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use palisade_core::{Monotonic, RouteId};

use crate::ambient::Ambient;
use crate::limiter::{Arrival, Bounds, DEADLINE, Limiter, Ticket, Turn};

/// The door in front of one application, in one worker.
#[derive(Debug)]
pub struct Admission {
    limiter: RefCell<Limiter<Rc<Waiter>>>,
    ambient: Rc<Ambient>,
}

/// A place in flight, given back when this is dropped.
#[derive(Debug)]
pub struct Permit(Rc<Place>);

/// The place itself, shared with the request's body: while the client is waited for, the
/// application has nothing to do, so the place is somebody else's. Otherwise a few slow uploads
/// would turn everybody away.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Rc<Admission>,
    route: RouteId,
    ticket: Ticket,
    standing: Cell<Standing>,
    told: Cell<Told>,
}

/// Whether the limiter knows the latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    No,
    Yes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Counted,
    /// The client is waited for.
    Aside,
    /// The request is over.
    Over,
}

/// The request was turned away: more are under way than the application answers in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more requests are under way than the application answers in time")]
pub struct Shed;

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests in flight.
    pub in_flight: u32,
    /// Requests in the queue.
    pub waiting: usize,
    /// How many may be in flight.
    pub limit: u32,
}

#[derive(Debug, Default)]
struct Waiter {
    turn: Cell<Option<Turn>>,
    waker: RefCell<Option<Waker>>,
}

impl Admission {
    /// Nothing in flight.
    pub fn new(bounds: Bounds, ambient: Rc<Ambient>) -> Rc<Self> {
        Rc::new(Self { limiter: RefCell::new(Limiter::new(bounds)), ambient })
    }

    /// Asks for a place for a request to `route` that arrived at `now`.
    ///
    /// # Errors
    /// When there is no place, no room to wait, or the wait was too long.
    pub async fn admit(self: &Rc<Self>, route: RouteId, now: Monotonic) -> Result<Permit, Shed> {
        let arrival = self.limiter.borrow_mut().arrive(now);
        match arrival {
            Arrival::Admit(ticket) => Ok(self.permit(route, ticket)),
            Arrival::Shed => Err(Shed),
            Arrival::Wait => self.wait(route, now).await,
        }
    }

    /// How full it is.
    pub fn load(&self) -> Load {
        let limiter = self.limiter.borrow();
        Load { in_flight: limiter.in_flight(), waiting: limiter.waiting(), limit: limiter.limit() }
    }

    async fn wait(self: &Rc<Self>, route: RouteId, now: Monotonic) -> Result<Permit, Shed> {
        let waiter = Rc::new(Waiter::default());
        let (id, evicted) = self.limiter.borrow_mut().wait(Rc::clone(&waiter), now);
        if let Some(evicted) = evicted {
            evicted.take(Turn::Shed);
        }
        let _leave = Leave { admission: self, id, waiter: &waiter };
        let mut deadline = pin!(tokio::time::sleep(DEADLINE));
        let turn = poll_fn(|context| {
            if let Some(turn) = waiter.turn.take() {
                return Poll::Ready(turn);
            }
            waiter.waker.replace(Some(context.waker().clone()));
            deadline.as_mut().poll(context).map(|()| Turn::Shed)
        });
        match turn.await {
            Turn::Admit(ticket) => Ok(self.permit(route, ticket)),
            Turn::Shed => Err(Shed),
        }
    }

    fn permit(self: &Rc<Self>, route: RouteId, ticket: Ticket) -> Permit {
        let (admission, standing, told) = (Rc::clone(self), Cell::new(Standing::Counted), Cell::new(Told::No));
        Permit(Rc::new(Place { admission, route, ticket, standing, told }))
    }

    /// Calls those whose turn has come.
    fn settle(&self) {
        if self.limiter.borrow().is_idle() {
            return;
        }
        let now = self.ambient.now();
        loop {
            let next = self.limiter.borrow_mut().next(now);
            let Some((waiter, turn)) = next else { return };
            waiter.take(turn);
        }
    }
}

impl Permit {
    /// Tells the limiter how long the application took to begin its answer. Not to be told: time
    /// that the client took to send its body.
    pub fn answered(&self, latency: Duration, now: Monotonic) {
        let Place { admission, route, ticket, told, .. } = &*self.0;
        told.set(Told::Yes);
        admission.limiter.borrow_mut().answered(route.0, *ticket, latency, now);
    }

    pub(crate) fn place(&self) -> &Rc<Place> {
        &self.0
    }
}

impl Place {
    /// The client is waited for.
    pub(crate) fn step_aside(&self) {
        if self.standing.get() == Standing::Counted {
            self.standing.set(Standing::Aside);
            self.admission.limiter.borrow_mut().step_aside();
            self.admission.settle();
        }
    }

    /// The client has gone on. It was let in once and isn't asked to wait again.
    pub(crate) fn step_back(&self) {
        if self.standing.get() == Standing::Aside {
            self.standing.set(Standing::Counted);
            self.admission.limiter.borrow_mut().step_back();
        }
    }

    fn leave(&self) {
        match self.standing.replace(Standing::Over) {
            Standing::Counted => self.admission.limiter.borrow_mut().finish(),
            Standing::Aside => self.admission.limiter.borrow_mut().finish_aside(),
            Standing::Over => return,
        }
        self.admission.settle();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let place = &self.0;
        if place.told.get() == Told::No {
            place.admission.limiter.borrow_mut().unanswered(place.ticket);
        }
        place.leave();
    }
}

impl Waiter {
    fn take(&self, turn: Turn) {
        self.turn.set(Some(turn));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Leaves the queue however the wait ends; a place that was given and not taken is given on.
struct Leave<'a> {
    admission: &'a Admission,
    id: u64,
    waiter: &'a Waiter,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.admission.limiter.borrow_mut().leave(self.id);
        if let Some(Turn::Admit(ticket)) = self.waiter.turn.take() {
            let mut limiter = self.admission.limiter.borrow_mut();
            limiter.unanswered(ticket);
            limiter.finish();
            drop(limiter);
            self.admission.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use tokio::time::Instant;

    use super::*;

    /// A door for two at once, with a clock that follows the runtime's.
    fn door() -> (Rc<Admission>, impl Fn() -> Monotonic) {
        door_of(2)
    }

    fn door_of(ceiling: u32) -> (Rc<Admission>, impl Fn() -> Monotonic) {
        let start = Instant::now();
        let now = move || Monotonic::from_nanos(u64::try_from(start.elapsed().as_nanos()).unwrap());
        (Admission::new(Bounds::share(ceiling, 1, 1), Rc::new(Ambient::new(now, || 0))), now)
    }

    const ROUTE: RouteId = RouteId(0);

    #[tokio::test(start_paused = true)]
    async fn a_dropped_permit_calls_the_next() {
        let (door, now) = door();
        let first = door.admit(ROUTE, now()).await.unwrap();
        let _second = door.admit(ROUTE, now()).await.unwrap();
        let mut third = pin!(door.admit(ROUTE, now()));
        assert!(third.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(door.load(), Load { in_flight: 2, waiting: 1, limit: 2 });
        drop(first);
        third.await.unwrap();
        assert_eq!(door.load(), Load { in_flight: 1, waiting: 0, limit: 2 });
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_its_client_takes_no_place() {
        let (door, now) = door_of(64);
        let limit = door.load().limit;
        let mut held = Vec::new();
        for _ in 0..limit {
            held.push(door.admit(ROUTE, now()).await.unwrap());
        }
        held[0].place().step_aside();
        let last = door.admit(ROUTE, now()).await.unwrap();
        held[0].place().step_back();
        held[0].place().step_back();
        assert_eq!(door.load().in_flight, limit + 1, "it was let in already");
        let place = Rc::clone(held[0].place());
        drop((held, last));
        place.step_back();
        place.step_aside();
        assert_eq!(door.load().in_flight, 0, "what is over stays so");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_for_their_clients_keep_within_the_ceiling() {
        let (door, now) = door_of(64);
        let mut held = Vec::new();
        for _ in 0..64 {
            let permit = door.admit(ROUTE, now()).await.unwrap();
            permit.place().step_aside();
            held.push(permit);
        }
        assert_eq!(door.load().in_flight, 0);
        assert_eq!(door.admit(ROUTE, now()).await.unwrap_err(), Shed, "after a second in the queue");
        held.pop();
        assert!(door.admit(ROUTE, now()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_second_they_are_turned_away() {
        let (door, now) = door();
        let _held = (door.admit(ROUTE, now()).await.unwrap(), door.admit(ROUTE, now()).await.unwrap());
        let before = Instant::now();
        assert_eq!(door.admit(ROUTE, now()).await.unwrap_err(), Shed);
        assert_eq!(before.elapsed().as_millis(), 1000);
        assert_eq!(door.load().waiting, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_turns_away_at_once() {
        let (door, now) = door();
        let _held = (door.admit(ROUTE, now()).await.unwrap(), door.admit(ROUTE, now()).await.unwrap());
        let mut waiting = [Box::pin(door.admit(ROUTE, now())), Box::pin(door.admit(ROUTE, now()))];
        for wait in &mut waiting {
            assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let before = Instant::now();
        assert_eq!(door.admit(ROUTE, now()).await.unwrap_err(), Shed);
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_makes_room_is_told_at_once() {
        let (door, now) = door();
        let _held = (door.admit(ROUTE, now()).await.unwrap(), door.admit(ROUTE, now()).await.unwrap());
        let before = Instant::now();
        let mut oldest = Box::pin(door.admit(ROUTE, now()));
        let mut second = Box::pin(door.admit(ROUTE, now()));
        for wait in [&mut oldest, &mut second] {
            assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        // The queue has stood for long enough: the newest takes the oldest's place.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let mut newest = Box::pin(door.admit(ROUTE, now()));
        assert!(newest.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(oldest.await.unwrap_err(), Shed);
        assert_eq!(before.elapsed().as_millis(), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_gives_the_place_on() {
        let (door, now) = door();
        let first = door.admit(ROUTE, now()).await.unwrap();
        let _second = door.admit(ROUTE, now()).await.unwrap();
        let mut third = Box::pin(door.admit(ROUTE, now()));
        let mut fourth = Box::pin(door.admit(ROUTE, now()));
        for wait in [&mut third, &mut fourth] {
            assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        // The third is called, and leaves before it hears of it.
        drop(first);
        drop(third);
        let _fourth = fourth.await.unwrap();
        assert_eq!(door.load(), Load { in_flight: 2, waiting: 0, limit: 2 });
    }

    #[tokio::test(start_paused = true)]
    async fn those_without_a_latency_hold_no_verdict_up() {
        let start = Instant::now();
        let now = move || Monotonic::from_nanos(u64::try_from(start.elapsed().as_nanos()).unwrap());
        let door = Admission::new(Bounds::share(1024, 1, 1), Rc::new(Ambient::new(now, || 0)));
        let mut permits = Vec::new();
        for _ in 0..32 {
            permits.push(door.admit(ROUTE, now()).await.unwrap());
        }
        assert_eq!(door.load(), Load { in_flight: 32, waiting: 0, limit: 32 });
        tokio::time::sleep(Duration::from_millis(100)).await;
        // The last one completes the cohort; most of the others leave it.
        permits.truncate(31);
        permits.push(door.admit(ROUTE, now()).await.unwrap());
        let answered = permits.split_off(22);
        drop(permits);
        for permit in answered {
            permit.answered(Duration::from_millis(50), now());
        }
        assert_eq!(door.load().limit, 64);
    }
}
