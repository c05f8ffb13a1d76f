//! What becomes of a limit while the store of its counters can't be asked.

use std::time::Duration;

use super::{Bound, Charge, Quota, Rate};

/// What a limit does while the store of its counters can't be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outage {
    /// Each gateway counts in its own memory, and admits its share.
    #[default]
    Local,
    /// It admits everything.
    Open,
    /// It refuses everything.
    Closed,
}

crate::words! { Outage: "local" = Outage::Local, "open" = Outage::Open, "closed" = Outage::Closed }

impl Outage {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl Charge {
    /// The same charge against one gateway's share, where `gateways` count apart from each other. A
    /// share is one unit at least, and no charge more than the share: else a limit that is smaller
    /// than the number of gateways would refuse everybody.
    #[must_use]
    pub fn shared_by(&self, gateways: u32) -> Self {
        let gateways = gateways.max(1);
        let bound = match self.bound {
            Bound::Rate(rate) => Bound::Rate(rate.shared_by(gateways)),
            Bound::Quota(quota) => Bound::Quota(quota.shared_by(gateways)),
            Bound::Slots(slots) => Bound::Slots(share(slots, gateways)),
        };
        let holds = match bound {
            Bound::Rate(rate) => rate.burst(),
            Bound::Quota(quota) => quota.count(),
            Bound::Slots(slots) => slots,
        };
        Self { bound, amount: self.amount.min(holds), ..*self }
    }
}

impl Rate {
    fn shared_by(self, gateways: u32) -> Self {
        let window = self.window().checked_mul(gateways).unwrap_or(Duration::MAX);
        // Only a share that would take longer than 31 days to refill can't be had: the whole stays.
        Self::new(self.count(), window, share(self.burst(), gateways)).unwrap_or(self)
    }
}

impl Quota {
    fn shared_by(self, gateways: u32) -> Self {
        Self::new(share(self.count(), gateways), self.per()).unwrap_or(self)
    }
}

fn share(units: u32, gateways: u32) -> u32 {
    (units / gateways).max(1)
}
