//! `[headers]`

use palisade_core::config::Setting;

use crate::inbound::config::RawInbound;

palisade_core::section! {
    /// Headers of answers, and which headers of requests are let in.
    pub struct RawHeaders {
        /// Which headers of requests are let in.
        inbound: Setting<RawInbound> = {},
    }
}
