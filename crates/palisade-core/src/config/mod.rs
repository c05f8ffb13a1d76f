//! Configuration as data: the decode vocabulary, without any file format.
//!
//! A file becomes a tree of values that know their place ([`Node`]). [`Decode`] turns a node into a
//! typed value and reports every problem on the way, never only the first. A table is declared
//! once, with [`section!`](crate::section!): the struct, its defaults, the unknown keys, the JSON
//! Schema and the reference page all follow from that block.
//!
//! ```
//! use palisade_core::Rate;
//! use palisade_core::config::{Named, Name, OrOff, Period, Setting, Whole};
//!
//! palisade_core::section! {
//!     /// What one client may use.
//!     pub struct RawLimits {
//!         /// Requests per address. The default lets a page load all of its parts.
//!         per_ip: Setting<OrOff<Rate>> = "300/m",
//!         /// IPv6 clients are told apart by this many bits.
//!         ipv6_prefix: Setting<Whole<32, 128>> = 64,
//!         /// How long a store may take. Between one millisecond and one second.
//!         store_deadline: Option<Setting<Period<1, 1_000>>>,
//!         ..limits: Named<Name, RawLimit>,
//!     }
//! }
//!
//! palisade_core::section! {
//!     /// One named limit.
//!     pub struct RawLimit {
//!         /// How many requests, and how fast more become possible.
//!         rate: Setting<Rate>,
//!     }
//! }
//! # use palisade_core::config::{Decode, Node, Place, Problems, Table, Value};
//! let mut problems = Problems::default();
//! let empty = Node::unplaced(Value::Table(Table::default()));
//! let raw = RawLimits::decode(&empty, &Place::top().child("limits", None), &mut problems);
//! // An option that nobody reads does not compile: no `..` in the pattern.
//! let Some(RawLimits { per_ip, ipv6_prefix, store_deadline, limits }) = raw else { panic!("defaults decode") };
//! assert!(problems.is_empty());
//! assert!(matches!(per_ip.value, OrOff::On(rate) if rate.count() == 300));
//! assert_eq!(ipv6_prefix.value.get(), 64);
//! assert!(store_deadline.is_none() && limits.is_empty());
//! ```
//!
//! The text formats themselves (TOML) and reading files are in `palisade-config`.

mod code;
mod decode;
mod files;
mod named;
mod place;
mod problem;
mod secret;
mod section;
mod shape;
mod suggest;
mod tree;
mod values;

pub use code::{Code, Severity};
pub use decode::{Decode, Fault, Field, OneOrMany, OrFalse, OrOff, Setting, Text, TextOr};
pub use files::{File, Files, Position};
pub use named::{Map, Name, Named};
pub use place::{Place, join, typed};
pub use problem::{PROBLEMS_MAX, Problem, Problems, Spot};
pub use secret::{Secret, SecretRef};
pub use section::{Further, Part, decode_table, refuse_unknown};
pub use shape::{KeyShape, Presence, SectionShape, Shape};
pub use suggest::{nearest, unknown_key};
pub use tree::{Entry, FileId, Node, Span, Table, Value};
pub use values::{PORTS, Period, Share, Size, Whole, has_impossible_port};

#[cfg(test)]
mod tests;
