//! From the text of a configuration to what the gateway runs on.
//!
//! [`Inputs`] are files and single values over them; [`load`] makes a [`Snapshot`] of them, or a
//! [`Report`] with every problem at once, each with its place and a suggestion. The same
//! declarations give the JSON Schema ([`schema()`]), the reference page ([`reference()`]) and the text
//! of a single key ([`key_doc()`]).
//!
//! A configuration goes through four steps, each of which knows nothing of the others: text to a
//! located tree (`parse`), several trees to one (`merge`), a tree to `Raw…` structs that mirror the
//! file (`palisade_core::section!`), and those to types that can't be wrong (`compile`, beside each
//! `Raw…`). Policies have the last two steps in their own folders.
//!
//! No runtime, no sockets. Files are read in [`Inputs`] and for secrets and certificates, nowhere
//! else.

mod admin;
mod app;
mod diff;
mod document;
mod guess;
mod inputs;
mod load;
mod log;
mod merge;
mod parse;
mod performance;
mod reference;
mod report;
mod root;
mod routes;
mod schema;
mod secrets;
mod snapshot;
mod store;

#[cfg(test)]
mod tests;

pub use admin::Admin;
pub use app::{
    App, CertificateFiles, Engine, Forwarding, ForwardingTable, HostHeader, PublicUrl, ServedHosts, Server,
    ServerAddress, ServerGroup, Tls, UpstreamProtocol, WebScheme,
};
pub use diff::{Change, diff, restart_keys};
pub use document::Effective;
pub use guess::{nearest_key, similar_key};
pub use inputs::{Environment, Inputs, Secrets, locate};
pub use load::{Seed, examine, load};
pub use log::Log;
pub use performance::{AcceptTrace, Performance};
pub use reference::{KeyDoc, key_doc, reference};
pub use report::{Color, Format, Report};
pub use schema::schema;
pub use snapshot::{EdgeSettings, Snapshot};
pub use store::CounterStore;
