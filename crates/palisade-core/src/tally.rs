//! What limits said about one request: its answer's fields, its record and its metrics are made of
//! it.

use std::sync::Arc;
use std::time::Duration;

use crate::charge::{Bound, Outage};
use crate::{KeyHash, Mode, Stage};

/// One thing that a limit bounds, the same for all requests of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The limit's name in config and labels, `api`.
    pub limit: Box<str>,
    /// Its place in the config, by which clients are told.
    pub place: u16,
    /// What clients are told: the limit's name, perhaps with what is bounded, `api/quota`.
    pub name: Box<str>,
    /// When it is asked.
    pub stage: Stage,
    /// What its counters are kept by, `user + route`.
    pub key: Box<str>,
    /// How much it holds.
    pub bound: Bound,
    /// When clients are told of it.
    pub shown: Shown,
    /// What it does while its store can't be asked.
    pub outage: Outage,
}

/// When clients are told of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// On every answer.
    Always,
    /// When it refuses: else it would show a client what its neighbours do.
    Refusing,
    /// On every answer, in the fields for tokens: the others have no unit for them.
    Tokens,
    /// Never: how often somebody failed is nobody's business.
    Never,
}

/// What one item said about one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// Which item.
    pub item: Arc<Item>,
    /// Whose: the hash over the limit's name and the key.
    pub key: KeyHash,
    /// The mode of the question: in `report` a refusal did not count.
    pub mode: Mode,
    /// What became of its charge.
    pub said: Said,
    /// Units left after the decision.
    pub remaining: u32,
    /// Until one more unit is there.
    pub next_unit: Option<Duration>,
}

/// What became of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was made.
    Admit,
    /// It would have been, but something else refused the request.
    Spare,
    /// It refused the request.
    Refuse,
    /// It refused the request, and with that a ban began.
    Ban,
}

impl Tally {
    /// The outcome's word in records and labels; `None` for what was spared.
    pub fn outcome(&self) -> Option<&'static str> {
        match (self.said, self.mode) {
            (Said::Admit, _) => Some("admitted"),
            (Said::Refuse | Said::Ban, Mode::Report) => Some("would_refuse"),
            (Said::Refuse | Said::Ban, Mode::Enforce | Mode::Off) => Some("refused"),
            (Said::Spare, _) => None,
        }
    }

    /// Whether it refused.
    pub const fn refuses(&self) -> bool {
        matches!(self.said, Said::Refuse | Said::Ban)
    }

    /// Whether less than a fifth is left.
    pub fn is_near(&self) -> bool {
        let most = match self.item.bound {
            Bound::Rate(rate) => rate.burst(),
            Bound::Quota(_) | Bound::Slots(_) => self.item.bound.units(),
        };
        u64::from(self.remaining) * 5 < u64::from(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rate;
    use crate::charge::Outage;

    #[test]
    fn near_is_measured_by_what_a_full_bucket_holds() {
        let rate = Rate::new(600, Duration::from_secs(60), 100).unwrap();
        let item = Item {
            limit: "api".into(),
            place: 0,
            name: "api".into(),
            stage: Stage::Shed,
            key: "ip".into(),
            bound: Bound::Rate(rate),
            shown: Shown::Always,
            outage: Outage::default(),
        };
        let near = |remaining| {
            let (item, mode, said) = (Arc::new(item.clone()), Mode::Enforce, Said::Admit);
            Tally { item, key: KeyHash(1), mode, said, remaining, next_unit: None }.is_near()
        };
        assert_eq!([100, 20, 19, 0].map(near), [false, false, true, true]);
    }
}
