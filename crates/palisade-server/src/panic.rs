//! A panic costs one request, never the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future whose panic is an answer.
pub(crate) struct Caught<F>(Pin<Box<F>>);

/// It panicked. What it said is on standard error already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

impl<F: Future> Caught<F> {
    pub(crate) fn new(future: F) -> Self {
        Self(Box::pin(future))
    }
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The future is dropped after a panic; what it shares with others (counters, pools) is
        // changed in single steps.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(Caught::new(async { 1 }).await, Ok(1));
        let panics = Caught::new(async {
            tokio::task::yield_now().await;
            panic!("as asked");
        });
        assert_eq!(panics.await, Err::<(), _>(Panicked));
    }
}
