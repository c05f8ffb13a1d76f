//! One limit: what it charges for a request.

use std::sync::Arc;

use palisade_core::charge::{BanRule, Unsettled};
use palisade_core::decision::Facts;
use palisade_core::policy::Settlement;
use palisade_core::{
    Ban, Bar, Bound, Charge, Charges, Identity, Item, KeyHash, Override, Overrides, Quota, Rate, Reason, ResponseView,
    Shown, Spend, Utc, View,
};

use super::count::Count;
use super::hash::{Hash, Seed};
use super::key::{Addressed, Key};
use super::ladder::{Ladder, Rung};
use super::plan::ByPlan;
use super::scope::{Occasion, Scope};
use super::spec::{Spec, TooFast};
use super::subject::{self, Named, SubjectError};
use super::tokens::Tokens;

/// A limit, with what it charges worked out.
pub(super) struct Limit {
    /// Among all limits, as the config has them.
    pub(super) place: u16,
    scope: Scope,
    key: Key,
    /// The first of its items, by which it is told.
    item: u16,
    pub(super) cost: u32,
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
    pub(super) item: u16,
    pub(super) bound: Bound,
}

/// A counter as operators name it.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) text: &'a str,
    /// Of a wider prefix, by its bits.
    pub(super) bits: Option<u8>,
    pub(super) identity: &'a Identity,
    pub(super) overrides: Option<&'a Overrides>,
    pub(super) now: Utc,
    pub(super) seed: &'a Seed,
}

/// What one key holds.
#[derive(Clone, Copy)]
pub(super) struct Own {
    pub(super) rate: Option<Holding>,
    pub(super) quota: Option<Holding>,
    pub(super) slots: Option<Holding>,
    is_overridden: bool,
}

impl Own {
    /// By what the limit is told.
    pub(super) fn first(self) -> Option<Holding> {
        self.rate.or(self.quota).or(self.slots)
    }

    /// The same with what an operator set. A rate in the place of the limit's own is the key's alone, so
    /// that wider prefixes don't count it.
    pub(super) fn with(self, set: Option<&Override>, now: Utc) -> Self {
        match (self.rate, set.and_then(|set| set.rate(now))) {
            (Some(Holding { item, .. }), Some(rate)) => {
                Self { rate: Some(Holding { item, bound: Bound::Rate(rate) }), is_overridden: true, ..self }
            }
            _ => self,
        }
    }
}

/// Tells a limit's counters apart: one hash is made for each key, and each kind of counter has its
/// own mask over it.
mod kind {
    pub(super) const RATE: u128 = 0;
    pub(super) const QUOTA: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;
    pub(super) const SLOTS: u128 = 0xd1b5_4a32_d192_ed03_aef1_7502_108e_f2d9;
    pub(super) const BAN: u128 = 0x8cb9_2ba7_2f3d_8dd7_c2b2_ae3d_27d4_eb4f;
}

/// The most that one request can use: all that there is.
fn most(bound: Bound) -> u32 {
    match bound {
        Bound::Rate(rate) => rate.burst(),
        Bound::Quota(quota) => quota.count(),
        Bound::Slots(_) => 1,
    }
}

/// The hash over the limit's name and the key, of one that stands for a kind of counter.
pub(super) fn base(charge: &Charge) -> KeyHash {
    charge.key.of_kind(match charge.bound {
        Bound::Rate(_) => kind::RATE,
        Bound::Quota(_) => kind::QUOTA,
        Bound::Slots(_) => kind::SLOTS,
    })
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
        let item = u16::try_from(items.all().len()).unwrap_or(u16::MAX);
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
        let Spec { place, scope, key, cost, count, tokens, .. } = spec;
        Ok(Self { place, scope, key, item, cost, hash, rungs, rate, quota, slots, spend, count, tokens, ban })
    }

    /// Adds what the limit charges for a request, if it is on it.
    pub(super) fn charge(&self, occasion: &Occasion<'_>, view: &View<'_>, ladder: &Ladder, charges: &mut Charges) {
        if !self.scope.covers(occasion) {
            return;
        }
        let own = self.own(view.identity);
        if own.first().is_none() && view.overrides.is_none() {
            return;
        }
        let (key, addressed) = self.key.of(self.hash.clone(), ladder.own(view.client), view);
        let set = view.overrides.and_then(|overrides| overrides.find(key));
        if let Some(overrides) = view.overrides {
            let wider = self
                .rungs
                .iter()
                .filter(|_| addressed == Addressed::Yes)
                .filter_map(|(rung, hash)| Some(self.key.of(hash.clone(), rung.of(view.client)?, view).0));
            let ban = |key| Some(Bar { item: self.item, key, left: overrides.find(key)?.ban(view.now.utc)? });
            let bans = std::iter::once(key).chain(wider).filter_map(ban);
            if let Some(bar) = bans.max_by_key(|bar| bar.left) {
                charges.bar(bar);
                return;
            }
        }
        let own = own.with(set, view.now.utc);
        self.charge_own(own, key, |bound| self.amount(bound, view), charges);
        if own.is_overridden || addressed == Addressed::No {
            return;
        }
        let wider = self.rate.as_ref().and_then(|rate| rate.of(view.identity)).map_or(&[][..], Vec::as_slice);
        for (holding, (rung, hash)) in wider.iter().skip(1).zip(&self.rungs) {
            if let Some(prefix) = rung.of(view.client) {
                let key = self.key.of(hash.clone(), prefix, view).0;
                self.push(*holding, key, self.amount(holding.bound, view), charges);
            }
        }
    }

    /// What the limit charges one key, and nobody wider.
    fn charge_own(&self, own: Own, key: KeyHash, amount: impl Fn(Bound) -> u32, charges: &mut Charges) {
        // It comes first and together: its refusals lead to the key's ban.
        let first = charges.list.len();
        if let Some(rate) = own.rate {
            self.push(rate, key.of_kind(kind::RATE), amount(rate.bound), charges);
        }
        if let Some(quota) = own.quota {
            self.push(quota, key.of_kind(kind::QUOTA), amount(quota.bound), charges);
        }
        if let Some(Holding { item, bound }) = own.slots {
            // A request takes one slot, whatever it costs otherwise.
            let key = key.of_kind(kind::SLOTS);
            charges.push(Charge { item, key, bound, amount: 1, spend: Spend::Now });
        }
        if let Some((item, rule)) = &self.ban {
            let place = |at: usize| u8::try_from(at).unwrap_or(u8::MAX);
            let (first, end) = (place(first), place(charges.list.len()));
            let key = key.of_kind(kind::BAN);
            charges.ban(Ban { item: *item, key, first, end, rule: rule.clone() });
        }
    }

    /// The rung of a limit that counts prefixes of so many bits.
    pub(super) fn rung(&self, bits: u8) -> Option<usize> {
        let rate = self.rate.as_ref()?;
        let is_counted = rate.values().any(|holdings| holdings.len() > 1);
        self.rungs.iter().position(|(rung, _)| rung.bits == bits).filter(|_| is_counted)
    }

    /// What the limit charges the counter that a text names.
    pub(super) fn look(
        &self,
        subject: &Subject<'_>,
        ladder: &Ladder,
        charges: &mut Charges,
    ) -> Result<Named, SubjectError> {
        let Subject { text, bits, identity, overrides, now, seed } = *subject;
        let cost = |bound: Bound| self.tokens.map_or(self.cost, Tokens::usual).min(most(bound));
        let wider = bits.and_then(|bits| self.rung(bits));
        if let Some((place, (rung, hash))) = wider.and_then(|place| Some((place, self.rungs.get(place)?))) {
            let named =
                subject::read(&self.key, hash.clone(), text, seed, |client| Some((rung.of(client)?, rung.bits)))?;
            let holdings = self.rate.as_ref().and_then(|rate| rate.of(identity));
            if let Some(holding) = holdings.and_then(|holdings| holdings.get(place + 1)) {
                self.push(*holding, named.hash, cost(holding.bound), charges);
            }
            return Ok(named);
        }
        let named = subject::read(&self.key, self.hash.clone(), text, seed, |client| {
            Some((ladder.own(client), ladder.bits(client)))
        })?;
        let set = overrides.and_then(|overrides| overrides.find(named.hash));
        self.charge_own(self.own(identity).with(set, now), named.hash, cost, charges);
        Ok(named)
    }

    fn own(&self, identity: &Identity) -> Own {
        let rate = self.rate.as_ref().and_then(|rate| rate.of(identity));
        Own {
            rate: rate.and_then(|rate| rate.first()).copied(),
            quota: self.quota.as_ref().and_then(|quota| quota.of(identity)).copied(),
            slots: self.slots.as_ref().and_then(|slots| slots.of(identity)).copied(),
            is_overridden: false,
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
        self.tokens.map_or(self.cost, |tokens| tokens.estimate(view)).min(most(bound))
    }

    fn push(&self, holding: Holding, key: KeyHash, amount: u32, charges: &mut Charges) {
        let Holding { item, bound } = holding;
        charges.push(Charge { item, key, bound, amount, spend: self.spend });
    }
}
