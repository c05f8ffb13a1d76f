//! The edge, the guard, the renderer and the observed body: Palisade as a library.
//!
//! The gateway is a shell around this crate, and [`PalisadeLayer`] is another one, for services
//! written in Rust: the same policies, the same decisions, the same refusals.

mod builder;
mod layer;

pub mod answer;
pub mod asked;
pub mod body;
pub mod clock;
pub mod edge;
pub mod guard;
pub mod held;
pub mod observe;
pub mod render;
pub mod reserve;
pub mod transit;

pub use builder::{BuildError, Builder, Palisade};
pub use edge::Peer;
pub use layer::{Guarded, GuardedAnswer, GuardedBody, Hand, PalisadeLayer};
