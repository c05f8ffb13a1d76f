//! How a test tells an upstream to go on, where time would prove nothing.

use std::sync::Arc;

use tokio::sync::watch;

/// A sign that is given once. Who waits for it afterwards goes on at once.
#[derive(Clone, Debug, Default)]
pub struct Cue(Arc<watch::Sender<bool>>);

impl Cue {
    /// One that is not given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives it.
    pub fn give(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn given(&self) {
        // The sender is this.
        let _ = self.0.subscribe().wait_for(|given| *given).await;
    }
}
