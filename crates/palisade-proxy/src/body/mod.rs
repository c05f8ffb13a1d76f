//! Bodies on their way to the application and back, chunk by chunk.

mod request;
mod response;

pub(crate) use request::{Outgoing, Progress};
pub use request::{RequestBody, Streamable};
pub use response::ResponseBody;
pub(crate) use response::Source;
