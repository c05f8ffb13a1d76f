//! The proxy against applications that follow a script.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

mod failures;
mod forwarding;
mod http2;
mod retries;
mod streams;
mod websockets;
mod worker;
