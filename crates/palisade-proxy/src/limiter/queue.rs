//! Those who wait for their turn.
//!
//! First come, first served, as long as the queue empties now and then. A queue that has stood
//! for 100 ms only makes everyone late; from then on the newest goes first, so that some are
//! served in time rather than all too late.

use std::collections::VecDeque;
use std::time::Duration;

use palisade_core::Monotonic;

/// How long a queue may stand before the newest goes first.
const STANDING: Duration = Duration::from_millis(100);

/// How long anyone waits.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// A queue of waiters, each with an id that grows.
#[derive(Debug)]
pub(super) struct Queue<W> {
    waiting: VecDeque<Waiting<W>>,
    next_id: u64,
    stands_since: Option<Monotonic>,
}

#[derive(Debug)]
struct Waiting<W> {
    id: u64,
    since: Monotonic,
    waiter: W,
}

/// Who left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Popped<W> {
    /// It is their turn.
    Next(W),
    /// They waited too long.
    Late(W),
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), next_id: 0, stands_since: None }
    }
}

impl<W> Queue<W> {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the queue has stood for so long that the newest goes first.
    pub(super) fn stands(&self, now: Monotonic) -> bool {
        self.stands_since.is_some_and(|since| now.since(since) >= STANDING)
    }

    pub(super) fn push(&mut self, waiter: W, now: Monotonic) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.stands_since.get_or_insert(now);
        self.waiting.push_back(Waiting { id, since: now, waiter });
        id
    }

    /// The next one, or one whose time is up.
    pub(super) fn pop(&mut self, now: Monotonic) -> Option<Popped<W>> {
        let late = self.waiting.front().is_some_and(|oldest| now.since(oldest.since) >= DEADLINE);
        let next = if late || !self.stands(now) { self.waiting.pop_front() } else { self.waiting.pop_back() };
        self.settle();
        next.map(|waiting| if late { Popped::Late(waiting.waiter) } else { Popped::Next(waiting.waiter) })
    }

    /// The one who has waited longest.
    pub(super) fn evict(&mut self) -> Option<W> {
        let oldest = self.waiting.pop_front();
        self.settle();
        oldest.map(|waiting| waiting.waiter)
    }

    /// Someone doesn't wait any longer. Nothing, if their turn has come in the meantime.
    pub(super) fn leave(&mut self, id: u64) {
        if let Ok(place) = self.waiting.binary_search_by_key(&id, |waiting| waiting.id) {
            self.waiting.remove(place);
            self.settle();
        }
    }

    fn settle(&mut self) {
        if self.waiting.is_empty() {
            self.stands_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_nanos(millis * 1_000_000)
    }

    fn queue(since: &[u64]) -> Queue<u64> {
        let mut queue = Queue::default();
        for millis in since {
            queue.push(*millis, at(*millis));
        }
        queue
    }

    #[test]
    fn oldest_first_until_it_stands() {
        let mut waiting = queue(&[0, 10, 20]);
        assert_eq!(waiting.pop(at(99)), Some(Popped::Next(0)));
        assert_eq!(waiting.pop(at(100)), Some(Popped::Next(20)));
        assert_eq!(waiting.pop(at(100)), Some(Popped::Next(10)));
        assert_eq!(waiting.pop(at(100)), None);
        // Empty once, it stands no longer.
        waiting.push(5, at(101));
        waiting.push(6, at(101));
        assert_eq!(waiting.pop(at(150)), Some(Popped::Next(5)));
    }

    #[test]
    fn nobody_waits_longer_than_a_second() {
        let mut waiting = queue(&[0, 500]);
        assert_eq!(waiting.pop(at(1000)), Some(Popped::Late(0)));
        assert_eq!(waiting.pop(at(1000)), Some(Popped::Next(500)));
    }

    #[test]
    fn who_leaves_is_gone() {
        let mut waiting = queue(&[0, 1, 2]);
        waiting.leave(1);
        waiting.leave(1);
        waiting.leave(7);
        assert_eq!(waiting.len(), 2);
        assert_eq!(waiting.evict(), Some(0));
        assert_eq!(waiting.evict(), Some(2));
        assert_eq!(waiting.evict(), None);
    }
}
