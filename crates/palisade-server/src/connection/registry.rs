//! The open connections of one worker, so that all of them can be told to come to an end.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Waker};

/// The connections of one worker.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    draining: Cell<bool>,
    next: Cell<u64>,
    wakers: RefCell<HashMap<u64, Waker>>,
    /// Connections that keep room for another request.
    ready: Cell<usize>,
}

/// One connection's place.
#[derive(Debug)]
pub(crate) struct Place {
    registry: Rc<Registry>,
    id: u64,
}

/// The right to keep room for another request while there is none; given back when dropped.
#[derive(Debug)]
pub(crate) struct Ready<'a>(&'a Registry);

/// What an exchange needs is 7 KB: with room for so many a worker keeps less than 2 MB of it, however
/// many connections have asked something and wait.
const READY_MAX: usize = 256;

impl Registry {
    /// Tells all connections to come to an end: the request under way is the last one.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
        for waker in self.wakers.borrow().values() {
            waker.wake_by_ref();
        }
    }

    /// A place for one more connection, that of the task at hand.
    pub(crate) fn enter(self: &Rc<Self>, context: &Context<'_>) -> Place {
        let id = self.next.get();
        self.next.set(id.wrapping_add(1));
        self.wakers.borrow_mut().insert(id, context.waker().clone());
        Place { registry: Rc::clone(self), id }
    }
}

impl Place {
    /// Whether the connection should come to an end.
    pub(crate) fn is_draining(&self) -> bool {
        self.registry.draining.get()
    }

    /// Keeps room for another request, unless enough connections do.
    pub(crate) fn ready(&self) -> Option<Ready<'_>> {
        let ready = &self.registry.ready;
        (ready.get() < READY_MAX).then(|| {
            ready.set(ready.get() + 1);
            Ready(&self.registry)
        })
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        self.0.ready.set(self.0.ready.get().saturating_sub(1));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.wakers.borrow_mut().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_for_few() {
        let registry = Rc::new(Registry::default());
        let place = registry.enter(&Context::from_waker(Waker::noop()));
        let mut ready: Vec<_> = (0..READY_MAX).map(|_| place.ready().unwrap()).collect();
        assert!(place.ready().is_none());
        ready.pop();
        assert!(place.ready().is_some_and(|_| place.ready().is_none()));
    }
}
