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
}

/// One connection's place.
#[derive(Debug)]
pub(crate) struct Place {
    registry: Rc<Registry>,
    id: u64,
}

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
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.wakers.borrow_mut().remove(&self.id);
    }
}
