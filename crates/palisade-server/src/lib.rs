//! Assembly: listeners, TLS, snapshot, reload, drain.
//!
//! [`Process`] is the gateway as a whole. Its workers answer requests, each on a thread of its own;
//! everything slow runs beside them. Nothing here decides about a request: the order of the
//! questions is the guard's, the way to the application the proxy's.

pub mod announce;
mod certificates;
mod check;
mod drain;
mod ending;
mod gateway;
mod gauges;
mod keep;
mod live;
mod looks;
mod panic;
mod process;
pub mod protection;
mod reload;
mod rotation;
mod seat;
mod settings;
mod state;
mod status;
mod store;
mod told;
mod unbound;

pub mod accept;
pub mod admin;
pub mod admission;
pub mod connection;
pub mod counters;
pub mod descriptors;
mod desk;
pub mod health;
pub mod limits;
pub mod listen;
pub mod memory;
pub mod onward;
pub mod redirect;
pub mod refuse;
pub mod swap;
pub mod tick;
pub mod tls;
pub mod worker;

pub use check::{check, load};
pub use drain::Ended;
pub use keep::CONTROL;
pub use process::{Process, Read, StartError};
pub use state::StateError;
pub use unbound::Unbound;
