//! What several policies need of the configuration.

use std::sync::Arc;

use palisade_core::config::{Files, Place, Setting};

use crate::demo::Demo;
use crate::host::Authority;
use crate::limits::Seed;

/// The part of the configuration that belongs to no single policy, and the entropy of this start.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The texts that places point into.
    pub files: &'a Files,
    /// The authority of `[app] public_url`, if it is set.
    pub public: Option<Setting<Authority>>,
    /// `[app] hosts`
    pub hosts: Vec<Setting<Authority>>,
    /// Whether the process is a demo.
    pub demo: Demo,
    /// What keys of counters are hashed with: random bits, drawn once for a state directory, unless other gateways
    /// have to find the same counters.
    pub seed: Seed,
}

impl Context<'_> {
    /// How `explain` names a place: `palisade.toml:12`, or `default`.
    pub fn describe(&self, place: &Place) -> Arc<str> {
        self.files.describe(place)
    }
}
