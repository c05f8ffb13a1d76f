//! A panic costs one request, never the process.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// It panicked. What it said is on standard error already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs a future whose panic is an answer. It is lent: such a future is large, and to take it would
/// be to copy it.
pub(crate) async fn caught<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, Panicked> {
    poll_fn(|context| {
        // The future is dropped after a panic; what it shares with others (counters, pools) is
        // changed in single steps.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(caught(pin!(async { 1 })).await, Ok(1));
        let panics = pin!(async {
            tokio::task::yield_now().await;
            panic!("as asked");
        });
        assert_eq!(caught(panics).await, Err::<(), _>(Panicked));
    }
}
