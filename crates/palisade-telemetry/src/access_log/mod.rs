//! The access log: one JSON line per request.

mod file;
mod line;

pub(crate) use file::Rotated;
pub use file::probe;
pub(crate) use line::{Line, policy, shown};
