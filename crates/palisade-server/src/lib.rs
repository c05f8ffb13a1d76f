//! Assembly: listeners, TLS, snapshot, reload, drain.

pub mod accept;
pub mod admin;
pub mod admission;
pub mod connection;
pub mod counters;
pub mod descriptors;
pub mod health;
pub mod limits;
pub mod listen;
pub mod memory;
pub mod redirect;
pub mod swap;
pub mod tick;
pub mod tls;
pub mod worker;
