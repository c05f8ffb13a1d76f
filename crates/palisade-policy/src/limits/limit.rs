//! One limit: what it charges for a request.

use std::sync::Arc;

use palisade_core::{Bound, Charge, Charges, Item, KeyHash, Quota, Rate, Shown, Spend, View};

use super::hash::Hash;
use super::key::{Addressed, Key};
use super::ladder::{Ladder, Rung};
use super::plan::ByPlan;
use super::scope::{Occasion, Scope};
use super::spec::{Spec, TooFast};

/// A limit, with what it charges worked out.
pub(super) struct Limit {
    scope: Scope,
    key: Key,
    cost: u32,
    hash: Hash,
    rungs: Vec<(Rung, Hash)>,
    rate: Option<ByPlan<Vec<Holding>>>,
    quota: Option<ByPlan<Holding>>,
    slots: Option<ByPlan<Holding>>,
}

/// A bound with the number of its item.
#[derive(Clone, Copy)]
pub(super) struct Holding {
    item: u16,
    bound: Bound,
}

/// Tells a limit's counters apart: one hash is made for each key, and each kind of counter has its
/// own mask over it.
mod kind {
    pub(super) const RATE: u128 = 0;
    pub(super) const QUOTA: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;
    pub(super) const SLOTS: u128 = 0xd1b5_4a32_d192_ed03_aef1_7502_108e_f2d9;
}

/// All items of a meter, by their numbers.
#[derive(Default)]
pub(super) struct Items(pub(super) Vec<Arc<Item>>);

impl Items {
    fn add(&mut self, spec: &Spec, suffix: &str, bound: Bound, shown: Shown) -> Holding {
        // There are at most 64 limits, and a configuration of a mebibyte holds few plans.
        let item = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        let name = format!("{}{suffix}", spec.name).into();
        let key = spec.key.to_string().into();
        self.0.push(Arc::new(Item { limit: spec.name.clone(), name, stage: spec.stage(), key, bound, shown }));
        Holding { item, bound }
    }
}

impl Limit {
    pub(super) fn new(spec: Spec, ladder: &Ladder, seed: &[u8; 16], items: &mut Items) -> Result<Self, TooFast> {
        let named = |rung: Rung| format!("{}/{}", spec.name, rung.bits);
        let rungs = ladder.wider().map(|rung| (rung, Hash::new(seed, &named(rung)))).collect();
        let fast = spec.rate.iter().flat_map(ByPlan::values).find(|rate| !ladder.holds(**rate));
        if let Some(rate) = fast {
            return Err(TooFast { limit: spec.name, rate: *rate, factor: ladder.widest() });
        }
        let mut holdings = |rate: Rate| {
            let own = items.add(&spec, "", Bound::Rate(rate), Shown::Always);
            let wider = ladder.wider().filter_map(|rung| {
                let bound = Bound::Rate(rate.times(rung.factor)?);
                Some(items.add(&spec, &format!("/{}", rung.bits), bound, Shown::Refusing))
            });
            std::iter::once(own).chain(wider.collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let rate = spec.rate.clone().map(|rate| rate.map(&mut holdings));
        let mut holding = |quota: Quota| items.add(&spec, "/quota", Bound::Quota(quota), Shown::Always);
        let quota = spec.quota.clone().map(|quota| quota.map(&mut holding));
        let mut holding = |slots: u32| items.add(&spec, "/concurrent", Bound::Slots(slots), Shown::Always);
        let slots = spec.concurrent.clone().map(|slots| slots.map(&mut holding));
        let hash = Hash::new(seed, &spec.name);
        let Spec { scope, key, cost, .. } = spec;
        Ok(Self { scope, key, cost, hash, rungs, rate, quota, slots })
    }

    /// Adds what the limit charges for a request, if it is on it.
    pub(super) fn charge(&self, occasion: &Occasion<'_>, view: &View<'_>, ladder: &Ladder, charges: &mut Charges) {
        if !self.scope.covers(occasion) {
            return;
        }
        let rate = self.rate.as_ref().and_then(|rate| rate.of(view.identity));
        let quota = self.quota.as_ref().and_then(|quota| quota.of(view.identity));
        let slots = self.slots.as_ref().and_then(|slots| slots.of(view.identity));
        if rate.is_none() && quota.is_none() && slots.is_none() {
            return;
        }
        let (key, addressed) = self.key.of(self.hash, ladder.own(view.client), view);
        if let Some([own, wider @ ..]) = rate.map(Vec::as_slice) {
            self.push(*own, key.of_kind(kind::RATE), charges);
            if addressed == Addressed::Yes {
                for (holding, (rung, hash)) in wider.iter().zip(&self.rungs) {
                    if let Some(prefix) = rung.of(view.client) {
                        self.push(*holding, self.key.of(*hash, prefix, view).0, charges);
                    }
                }
            }
        }
        if let Some(quota) = quota {
            self.push(*quota, key.of_kind(kind::QUOTA), charges);
        }
        if let Some(Holding { item, bound }) = slots {
            // A request takes one slot, whatever it costs otherwise.
            let key = key.of_kind(kind::SLOTS);
            charges.push(Charge { item: *item, key, bound: *bound, amount: 1, spend: Spend::Now });
        }
    }

    fn push(&self, holding: Holding, key: KeyHash, charges: &mut Charges) {
        let Holding { item, bound } = holding;
        charges.push(Charge { item, key, bound, amount: self.cost, spend: Spend::Now });
    }
}
