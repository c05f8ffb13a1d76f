//! How long-lived answers come to an end when the gateway does.
//!
//! An event stream or a WebSocket has no end of its own to wait for. When the gateway drains, each
//! is closed at a moment of its own within ten seconds, so that their clients don't all come back
//! to the next gateway at once.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;

/// The longest that a stream outlives the beginning of the drain.
pub(crate) const SPREAD: Duration = Duration::from_secs(10);

/// Tells a worker's streams that the gateway ends.
#[derive(Debug)]
pub(crate) struct Ending(watch::Sender<bool>);

/// Becomes ready when a stream has to end.
pub(crate) type Ends = Pin<Box<dyn Future<Output = ()>>>;

impl Default for Ending {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Ending {
    /// All streams come to an end, one after the other.
    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }

    /// When a stream ends: never, unless the gateway does. `share` of 2^32 is its place within the
    /// spread.
    pub(crate) fn of(&self, share: u32) -> Ends {
        let mut ending = self.0.subscribe();
        let wait = SPREAD.mul_f64(f64::from(share) / f64::from(u32::MAX));
        Box::pin(async move {
            if ending.wait_for(|ending| *ending).await.is_err() {
                // The worker is gone, and with it this stream.
                return std::future::pending().await;
            }
            tokio::time::sleep(wait).await;
        })
    }
}

/// A body that ends early, and cleanly, when the gateway does.
pub(crate) struct Endable<B> {
    body: B,
    /// Nothing for an answer that ends by itself.
    ends: Option<Ends>,
    ended: bool,
}

impl<B> Endable<B> {
    pub(crate) fn new(body: B, ends: Option<Ends>) -> Self {
        Self { body, ends, ended: false }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Endable<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if polled.is_pending()
            && let Some(ends) = &mut this.ends
            && ends.as_mut().poll(context).is_ready()
        {
            this.ended = true;
            return Poll::Ready(None);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A body that never has anything.
    struct Silent;

    impl Body for Silent {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn streams_end_within_the_spread_and_not_before_the_drain() {
        let ending = Ending::default();
        let mut last = Endable::new(Silent, Some(ending.of(u32::MAX)));
        let before = tokio::time::timeout(Duration::from_secs(3600), poll_fn(|c| Pin::new(&mut last).poll_frame(c)));
        assert!(before.await.is_err(), "without a drain it goes on");
        ending.begin();
        let start = tokio::time::Instant::now();
        let mut first = Endable::new(Silent, Some(ending.of(0)));
        assert!(poll_fn(|c| Pin::new(&mut first).poll_frame(c)).await.is_none());
        assert!(start.elapsed() < Duration::from_millis(10));
        assert!(poll_fn(|c| Pin::new(&mut last).poll_frame(c)).await.is_none());
        assert!(start.elapsed() <= SPREAD + Duration::from_millis(10));
        assert!(last.is_end_stream());
    }
}
