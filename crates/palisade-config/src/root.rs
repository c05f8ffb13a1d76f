//! The file as a whole.

use palisade_core::config::{Part, Setting};
use palisade_core::section;
use palisade_policy::catalog::RawPolicies;

use crate::admin::RawAdmin;
use crate::app::raw::RawApp;
use crate::log::RawLog;
use crate::performance::RawPerformance;
use crate::store::RawStore;

section! {
    /// One file configures everything. Only `[app] upstream` has to be written.
    pub struct RawConfig {
        /// The application behind the gateway, and how both are reached.
        app: Setting<RawApp> = {},
        ..policies: Part<RawPolicies>,
        /// Where what has to last is kept, and where counters live that several gateways share.
        store: Setting<RawStore> = {},
        /// What is written about requests.
        log: Setting<RawLog> = {},
        /// What is measured, and how finely.
        performance: Setting<RawPerformance> = {},
        /// The listener for operators.
        admin: Setting<RawAdmin> = {},
    }
}
