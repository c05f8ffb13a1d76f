//! Idle connections of one server.
//!
//! Last in, first out: the one used last is the one least likely to have been closed, and those
//! that a quieter hour doesn't need grow old at the other end and are dropped there.

use std::collections::VecDeque;
use std::time::Duration;

use palisade_core::Monotonic;

/// Idle connections kept of one server in one worker.
const IDLE_MAX: usize = 256;

/// How long a connection is kept without use.
const EXPIRY: Duration = Duration::from_secs(60);

/// A bounded stack with an end that ages.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    idle: VecDeque<Idle<T>>,
}

#[derive(Debug)]
struct Idle<T> {
    item: T,
    since: Monotonic,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { idle: VecDeque::new() }
    }
}

impl<T> Pool<T> {
    /// Keeps `item`; if there are too many, the oldest goes.
    pub(crate) fn put(&mut self, item: T, now: Monotonic) {
        if self.idle.len() >= IDLE_MAX {
            self.idle.pop_front();
        }
        self.idle.push_back(Idle { item, since: now });
    }

    /// The one put last that is `usable`; those that aren't are dropped on the way.
    pub(crate) fn take(&mut self, usable: impl Fn(&mut T) -> bool) -> Option<T> {
        while let Some(mut idle) = self.idle.pop_back() {
            if usable(&mut idle.item) {
                return Some(idle.item);
            }
        }
        None
    }

    /// Drops what is too old and what isn't to be kept.
    pub(crate) fn sweep(&mut self, now: Monotonic, keep: impl Fn(&mut T) -> bool) {
        self.idle.retain_mut(|idle| now.since(idle.since) < EXPIRY && keep(&mut idle.item));
    }

    pub(crate) fn len(&self) -> usize {
        self.idle.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn last_in_first_out() {
        let mut pool = Pool::default();
        (1..=4).for_each(|number| pool.put(number, at(0)));
        assert_eq!(pool.take(|number| *number != 4), Some(3));
        assert_eq!(pool.take(|_| true), Some(2));
        assert_eq!(pool.take(|_| false), None);
        assert_eq!(pool.len(), 0);
    }

    #[test]
    fn a_full_pool_drops_the_oldest() {
        let mut pool = Pool::default();
        (0..=IDLE_MAX).for_each(|number| pool.put(number, at(0)));
        assert_eq!(pool.len(), IDLE_MAX);
        pool.sweep(at(0), |number| *number < 2);
        assert_eq!(pool.take(|_| true), Some(1));
        assert_eq!(pool.take(|_| true), None);
    }

    #[test]
    fn what_is_unused_for_a_minute_goes() {
        let mut pool = Pool::default();
        pool.put("old", at(0));
        pool.put("new", at(1));
        pool.sweep(at(60), |_| true);
        assert_eq!((pool.len(), pool.take(|_| true)), (1, Some("new")));
    }
}
