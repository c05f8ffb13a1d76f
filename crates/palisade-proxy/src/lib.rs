//! Upstream: how a request reaches the application, and the answer comes back.
//!
//! Each worker has its own connections, counts and budgets: everything here lives on one thread,
//! in `Rc` and `Cell`, without a lock. What can be decided without waiting is decided by pure
//! modules that are given the time and random bits: [`hop`], [`balance`], [`health`], [`retry`],
//! [`limiter`]. Around them is a thin shell that waits: [`Admission`] at the door, and
//! [`Upstream::send`] for the way itself.
//!
//! HTTP/1.1 is spoken by our own engine, or by hyper; HTTP/2 by hyper. What hyper doesn't show can't
//! be judged where it speaks: a bare LF in an answer's head, equal doubled lengths, blanks and
//! extensions behind a chunk's size, and interim answers, which it drops without passing 103 on;
//! instead of counting those, their bytes are bounded.

pub mod address;
mod admission;
mod ambient;
mod attempt;
pub mod balance;
mod body;
mod connect;
mod deadline;
mod error;
mod head;
pub mod health;
pub mod hop;
mod http1;
mod http2;
mod lease;
pub mod limiter;
mod pool;
mod resolve;
pub mod retry;
mod send;
mod server;
mod settings;
mod trailers;
mod tunnel;
mod upstream;
mod websocket;
mod wire;

pub use address::{Address, AddressError};
pub use admission::{Admission, Load, Permit, Shed};
pub use ambient::Ambient;
pub use body::{RequestBody, ResponseBody, Streamable};
pub use deadline::{Deadline, Deadlines};
pub use error::{BodyError, ConnectError, Failure, SetupError};
pub use head::AnswerHead;
pub use send::{Answer, Ask, Hints, Outbound, Received, Sent, Sentry, Trace};
pub use server::Gauges;
pub use settings::{Engine, HostHeader, Protocol, Settings, Timeouts};
pub use tunnel::{Carried, Tunnel, TunnelEnd};
pub use upstream::Upstream;
