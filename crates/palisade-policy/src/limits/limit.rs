//! One limit: what it charges for a request.

use std::sync::Arc;

use palisade_core::charge::{BanRule, Unsettled};
use palisade_core::decision::Facts;
use palisade_core::policy::Settlement;
use palisade_core::{
    Ban, Bound, Charge, Charges, Item, KeyHash, Quota, Rate, Reason, ResponseView, Shown, Spend, View,
};

use super::count::Count;
use super::hash::{Hash, Seed};
use super::key::{Addressed, Key};
use super::ladder::{Ladder, Rung};
use super::plan::ByPlan;
use super::scope::{Occasion, Scope};
use super::spec::{Spec, TooFast};
use super::tokens::Tokens;

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
    spend: Spend,
    count: Option<Count>,
    tokens: Option<Tokens>,
    ban: Option<(u16, BanRule)>,
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
    pub(super) const BAN: u128 = 0x8cb9_2ba7_2f3d_8dd7_c2b2_ae3d_27d4_eb4f;
}

/// All items of a meter, by their numbers.
#[derive(Default)]
pub(super) struct Items {
    items: Vec<Arc<Item>>,
    owners: Vec<Owner>,
}

/// Whose an item is.
struct Owner {
    /// The limit's place in its meter.
    limit: usize,
    prefix: Prefix,
}

/// What a bound is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// The key itself.
    Own,
    /// A wider prefix of its address.
    Wider,
}

impl Items {
    /// The item with this number.
    pub(super) fn find(&self, item: u16) -> Option<(&Arc<Item>, Prefix)> {
        let owner = self.owners.get(usize::from(item))?;
        self.items.get(usize::from(item)).map(|item| (item, owner.prefix))
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Arc<Item>] {
        &self.items
    }

    /// The place of the limit whose item it is.
    pub(super) fn limit(&self, item: u16) -> Option<usize> {
        self.owners.get(usize::from(item)).map(|owner| owner.limit)
    }

    fn add(&mut self, (limit, spec): (usize, &Spec), suffix: &str, bound: Bound, prefix: Prefix) -> Holding {
        // There are at most 64 limits, and a configuration of a mebibyte holds few plans.
        let item = u16::try_from(self.items.len()).unwrap_or(u16::MAX);
        let name = format!("{}{suffix}", spec.name).into();
        let key = spec.key.to_string().into();
        let shown = match prefix {
            Prefix::Own if spec.tokens.is_some() => Shown::Tokens,
            _ if spec.count.is_some() || spec.key.fields().next().is_some() => Shown::Never,
            Prefix::Own => Shown::Always,
            Prefix::Wider => Shown::Refusing,
        };
        let outage = spec.outage;
        self.items.push(Arc::new(Item {
            limit: spec.name.clone(),
            place: spec.place,
            name,
            stage: spec.stage(),
            key,
            bound,
            shown,
            outage,
        }));
        self.owners.push(Owner { limit, prefix });
        Holding { item, bound }
    }
}

impl Limit {
    /// `place` is its own in its meter.
    pub(super) fn new(
        (place, spec): (usize, Spec),
        ladder: &Ladder,
        seed: &Seed,
        items: &mut Items,
    ) -> Result<Self, TooFast> {
        let named = |rung: Rung| format!("{}/{}", spec.name, rung.bits);
        if let Some(fast) = spec.too_fast(ladder) {
            return Err(fast);
        }
        let wider = || ladder.wider().filter(|_| spec.key.may_be_addressed());
        let rungs = wider().map(|rung| (rung, Hash::new(seed, &named(rung)))).collect();
        let mut holdings = |rate: Rate| {
            let own = items.add((place, &spec), "", Bound::Rate(rate), Prefix::Own);
            let wider = wider().filter_map(|rung| {
                let bound = Bound::Rate(rate.times(rung.factor)?);
                Some(items.add((place, &spec), &format!("/{}", rung.bits), bound, Prefix::Wider))
            });
            std::iter::once(own).chain(wider.collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let rate = spec.rate.clone().map(|rate| rate.map(&mut holdings));
        let mut holding = |quota: Quota| items.add((place, &spec), "/quota", Bound::Quota(quota), Prefix::Own);
        let quota = spec.quota.clone().map(|quota| quota.map(&mut holding));
        let mut holding = |slots: u32| items.add((place, &spec), "/concurrent", Bound::Slots(slots), Prefix::Own);
        let slots = spec.concurrent.clone().map(|slots| slots.map(&mut holding));
        let hash = Hash::new(seed, &spec.name);
        let life = u64::try_from(spec.hold.as_nanos()).unwrap_or(u64::MAX);
        let spend = match (&spec.count, spec.tokens) {
            (_, Some(_)) => Spend::Reserve { life, unsettled: Unsettled::Release },
            (Some(_), None) => Spend::Reserve { life, unsettled: Unsettled::Spend },
            (None, None) => Spend::Now,
        };
        // A ban is told as its limit is, and bounds nothing itself.
        let ban = spec.ban.clone().map(|rule| (items.add((place, &spec), "", Bound::Slots(0), Prefix::Own).item, rule));
        let Spec { scope, key, cost, count, tokens, .. } = spec;
        Ok(Self { scope, key, cost, hash, rungs, rate, quota, slots, spend, count, tokens, ban })
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
        let (key, addressed) = self.key.of(self.hash.clone(), ladder.own(view.client), view);
        // What is the key's own comes first and together: its refusals lead to the key's ban.
        let first = charges.list.len();
        let holdings = rate.map(Vec::as_slice);
        if let Some([own, ..]) = holdings {
            self.push(*own, key.of_kind(kind::RATE), view, charges);
        }
        if let Some(quota) = quota {
            self.push(*quota, key.of_kind(kind::QUOTA), view, charges);
        }
        if let Some(Holding { item, bound }) = slots {
            // A request takes one slot, whatever it costs otherwise.
            let key = key.of_kind(kind::SLOTS);
            charges.push(Charge { item: *item, key, bound: *bound, amount: 1, spend: Spend::Now });
        }
        if let Some((item, rule)) = &self.ban {
            let place = |at: usize| u8::try_from(at).unwrap_or(u8::MAX);
            let (first, end) = (place(first), place(charges.list.len()));
            let key = key.of_kind(kind::BAN);
            charges.ban(Ban { item: *item, key, first, end, rule: rule.clone() });
        }
        if let (Some([_, wider @ ..]), Addressed::Yes) = (holdings, addressed) {
            for (holding, (rung, hash)) in wider.iter().zip(&self.rungs) {
                if let Some(prefix) = rung.of(view.client) {
                    self.push(*holding, self.key.of(hash.clone(), prefix, view).0, view, charges);
                }
            }
        }
    }

    /// What was used of a charge that was reserved.
    pub(super) fn settle(&self, charge: &Charge, response: &ResponseView<'_>, reason: Option<Reason>) -> Settlement {
        match (&self.count, charge.bound) {
            (Some(count), Bound::Rate(_) | Bound::Quota(_)) => count.settle(charge.amount, response, reason),
            (_, Bound::Slots(_)) | (None, Bound::Rate(_) | Bound::Quota(_)) => Settlement::Later,
        }
    }

    /// The same, by what was seen of the answer.
    pub(super) fn conclude(&self, charge: &Charge, facts: &Facts) -> Option<u32> {
        match charge.bound {
            Bound::Rate(_) | Bound::Quota(_) => self.tokens.and_then(|_| Tokens::used(facts)),
            Bound::Slots(_) => None,
        }
    }

    /// Units of a request. What it may use at most is all that there is.
    fn amount(&self, bound: Bound, view: &View<'_>) -> u32 {
        let most = match bound {
            Bound::Rate(rate) => rate.burst(),
            Bound::Quota(quota) => quota.count(),
            Bound::Slots(_) => 1,
        };
        self.tokens.map_or(self.cost, |tokens| tokens.estimate(view).min(most))
    }

    fn push(&self, holding: Holding, key: KeyHash, view: &View<'_>, charges: &mut Charges) {
        let Holding { item, bound } = holding;
        let amount = self.amount(bound, view);
        charges.push(Charge { item, key, bound, amount, spend: self.spend });
    }
}
