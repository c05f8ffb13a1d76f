//! Black-box scenarios against the real binary.
//!
//! Nothing here knows how Palisade works inside. A scenario starts the binary with a configuration,
//! speaks to it over sockets (byte by byte where that matters), and looks at what reached the
//! scripted application behind it, at the log lines, the metrics and the exit code.
//!
//! The binary is never built here: `cargo build -p palisade` comes first.

pub mod frames;
pub mod gateway;
pub mod node;
pub mod output;
pub mod peers;
pub mod scrape;
pub mod traffic;
pub mod wire;

pub use frames::Frames;
pub use gateway::{Engine, Gateway, Launch};
pub use scrape::Scrape;
pub use traffic::Traffic;
pub use wire::{Received, Wire};

use std::time::Duration;

/// How long anything may take that has no bound of its own: far more than it needs on a busy
/// machine, far less than a person's patience.
pub const LIMIT: Duration = Duration::from_secs(20);

/// What `work` gives, or a panic that names it after [`LIMIT`].
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}
