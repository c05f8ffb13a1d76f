//! Sinks of records: metrics, access log, kept traces.
//!
//! Two halves. *Counted*: every record adds to its worker's own counters when it closes, exactly
//! and under any load ([`metrics`]). *Told*: details go through one bounded queue to one thread,
//! and from there to the access log and the traces; when a queue or buffer is full, details are
//! dropped and the drop is counted. Nothing here ever delays a request.

pub mod access_log;
mod bus;
pub mod event;
mod guess;
mod json;
pub mod limits;
mod lines;
pub mod metrics;
mod proxies;
pub mod settings;
mod telemetry;
mod timestamp;
pub mod traces;
mod worker;

#[cfg(test)]
mod testing;

pub use event::{Events, Value};
pub use metrics::{Format, Gauges};
pub use settings::Settings;
pub use telemetry::{Telemetry, TelemetryError};
pub use worker::{TICK, WorkerTelemetry};
