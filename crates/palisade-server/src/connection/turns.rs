//! When a connection that many streams share is written to: once they all had their turn.
//!
//! One look at the sockets makes many streams of a connection ready, and each that answers wakes the
//! connection. Polled at once, it would write each answer alone, and a system call with its way
//! through the kernel costs more than all else that an answer needs. So a connection waits until the
//! tasks that are ready have run, and then writes all of it at once. What this adds is one look at
//! the sockets that doesn't wait.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The connections of one worker that wait for the end of a turn.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    waiting: RefCell<Vec<(Rc<Cell<Turn>>, Waker)>>,
    /// Of the task that ends turns.
    ender: RefCell<Option<Waker>>,
}

/// One connection's place.
#[derive(Debug)]
pub(crate) struct Place {
    turns: Rc<Turns>,
    turn: Rc<Cell<Turn>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    NotAsked,
    Waiting,
    Over,
}

impl Turns {
    /// Begins to end turns, in a local task of the worker.
    pub(crate) fn start() -> Rc<Self> {
        let turns = Rc::new(Self::default());
        let this = Rc::downgrade(&turns);
        tokio::task::spawn_local(poll_fn(move |context| {
            let Some(turns) = this.upgrade() else { return Poll::Ready(()) };
            let keep = turns.ender.borrow().as_ref().is_some_and(|ender| ender.will_wake(context.waker()));
            if !keep {
                *turns.ender.borrow_mut() = Some(context.waker().clone());
            }
            for (turn, waker) in turns.waiting.borrow_mut().drain(..) {
                turn.set(Turn::Over);
                waker.wake();
            }
            Poll::Pending
        }));
        turns
    }

    /// A place for one connection.
    pub(crate) fn enter(self: &Rc<Self>) -> Place {
        Place { turns: Rc::clone(self), turn: Rc::default() }
    }
}

impl Place {
    /// Ready once the tasks that are ready now have run; asked again after that, it waits again.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.turn.get() {
            Turn::Over => {
                self.turn.set(Turn::NotAsked);
                return Poll::Ready(());
            }
            // Whoever woke the connection meanwhile is served with it.
            Turn::Waiting => return Poll::Pending,
            Turn::NotAsked => {}
        }
        let ender = self.turns.ender.borrow();
        let Some(ender) = &*ender else { return Poll::Ready(()) };
        self.turn.set(Turn::Waiting);
        let mut waiting = self.turns.waiting.borrow_mut();
        waiting.push((Rc::clone(&self.turn), context.waker().clone()));
        if waiting.len() == 1 {
            // The runtime wakes who yields after everybody who is ready. Asked once, that is settled.
            let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(ender));
        }
        Poll::Pending
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        if let Some(ender) = self.ender.take() {
            ender.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    #[tokio::test]
    async fn a_turn_ends_after_everybody_who_is_ready() {
        let told = Rc::new(RefCell::new(Vec::new()));
        let test = async {
            let turns = Turns::start();
            tokio::task::yield_now().await;
            let place = turns.enter();
            let order = Rc::clone(&told);
            let connection = spawn_local(async move {
                for round in 0..2 {
                    order.borrow_mut().push(format!("asked {round}"));
                    poll_fn(|context| place.poll(context)).await;
                    order.borrow_mut().push(format!("over {round}"));
                }
            });
            for stream in ["a", "b", "c"] {
                let order = Rc::clone(&told);
                spawn_local(async move { order.borrow_mut().push(stream.to_owned()) });
            }
            connection.await.unwrap();
        };
        LocalSet::new().run_until(test).await;
        assert_eq!(*told.borrow(), ["asked 0", "a", "b", "c", "over 0", "asked 1", "over 1"]);
    }
}
