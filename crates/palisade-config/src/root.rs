//! The file as a whole.

use palisade_core::config::Setting;
use palisade_core::section;
use palisade_policy::headers::config::RawHeaders;
use palisade_policy::limits::config::RawLimits;

use crate::admin::RawAdmin;
use crate::app::raw::RawApp;
use crate::log::RawLog;
use crate::performance::RawPerformance;

section! {
    /// One file configures everything. Only `[app] upstream` has to be written.
    pub struct RawConfig {
        /// The application behind the gateway, and how both are reached.
        app: Setting<RawApp> = {},
        /// What one client may use. Without the table, `per_ip` runs in report mode; with it,
        /// limits are enforced unless `mode` says otherwise.
        limits: Option<Setting<RawLimits>>,
        /// Header fields of requests and answers.
        headers: Option<Setting<RawHeaders>>,
        /// What is written about requests.
        log: Setting<RawLog> = {},
        /// What is measured, and how finely.
        performance: Setting<RawPerformance> = {},
        /// The listener for operators.
        admin: Setting<RawAdmin> = {},
    }
}
