//! All limits of one stage and mode: one step, and the answer to what the store says of it.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use palisade_core::charge::{Fit, Standoff};
use palisade_core::decision::Facts;
use palisade_core::policy::Settlement;
use palisade_core::{
    Bound, Charge, Charges, Decision, Effects, Item, Meter, Mode, Reason, Refusal, ResponseView, Said, Shown, Stage,
    Tally, Target, Verdict, Verdicts, View,
};

use super::ladder::Ladder;
use super::limit::{Items, Limit, Prefix, Subject, base};
use super::scope::Occasion;
use super::subject::{Named, SubjectError};
use crate::inbound::MethodOverride;

/// The limits of one stage and mode.
pub(super) struct Limits {
    pub(super) stage: Stage,
    pub(super) mode: Mode,
    pub(super) limits: Vec<Limit>,
    pub(super) items: Items,
    pub(super) ladder: Ladder,
    pub(super) exempt: Arc<[Target]>,
    pub(super) overrides: MethodOverride,
}

/// Something that refused.
struct Refused<'a> {
    item: &'a Item,
    reason: Reason,
    wait: Duration,
}

impl Limits {
    /// Whether a limit counts prefixes of so many bits beside its keys.
    pub(super) fn has_rung(&self, place: usize, bits: u8) -> bool {
        self.limits.get(place).is_some_and(|limit| limit.rung(bits).is_some())
    }

    /// What a limit charges the counter that a text names, and what a request costs.
    pub(super) fn look(
        &self,
        place: usize,
        subject: &Subject<'_>,
        charges: &mut Charges,
    ) -> Result<(Named, u32), SubjectError> {
        // The roster has it from here.
        let limit = self.limits.get(place).ok_or_else(SubjectError::default)?;
        Ok((limit.look(subject, &self.ladder, charges)?, limit.cost))
    }

    /// What refused, in the order of the config. A ban stands for its limit's own refusals.
    fn refused<'a>(&'a self, charges: &Charges, verdicts: &Verdicts) -> Vec<Refused<'a>> {
        let mut refused = Vec::new();
        let bans = || charges.bans.iter().zip(&verdicts.bans);
        for (place, (charge, verdict)) in charges.list.iter().zip(&verdicts.list).enumerate() {
            let ban = bans().find(|(ban, _)| (usize::from(ban.first)..usize::from(ban.end)).contains(&place));
            match ban {
                Some((ban, Standoff::Begins(wait) | Standoff::Lasts(wait))) => {
                    if let Some((item, _)) = self.items.find(ban.item).filter(|_| usize::from(ban.first) == place) {
                        refused.push(Refused { item, reason: Reason::LimitsBanned, wait: *wait });
                    }
                }
                Some((_, Standoff::Clear)) | None => {
                    if let Some((item, _)) = self.items.find(charge.item).filter(|_| !verdict.fit.admits()) {
                        refused.push(Refused { item, reason: reason(item, verdict.fit), wait: verdict.retry_after });
                    }
                }
            }
        }
        refused
    }
}

impl Meter for Limits {
    fn items(&self) -> &[Arc<Item>] {
        self.items.all()
    }

    fn charges(&self, view: &View<'_>, charges: &mut Charges) {
        let occasion = Occasion::of(view, &self.exempt, self.overrides);
        for limit in &self.limits {
            limit.charge(&occasion, view, &self.ladder, charges);
        }
    }

    fn decide(&self, _view: &View<'_>, charges: &Charges, verdicts: &Verdicts) -> Decision {
        if let Some(bar) = charges.bar {
            let violated = self.items.find(bar.item).map(|(item, _)| item.limit.clone()).into_iter().collect();
            let refusal = Refusal::new(Reason::LimitsBanned).retry_after(bar.left);
            return Decision::Refuse(Refusal { violated, ..refusal });
        }
        if charges.is_too_much() {
            return Decision::Refuse(Refusal::new(Reason::LimitsUnavailable).retry_after(Duration::from_secs(1)));
        }
        if verdicts.admit() {
            let is_budget =
                |charge: &Charge| self.items.find(charge.item).is_some_and(|(item, _)| item.shown == Shown::Tokens);
            if !charges.list.iter().any(is_budget) {
                return Decision::allow();
            }
            // What is compressed tells no usage.
            let mut effects = Effects::none();
            effects.request.set(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            return Decision::Allow(effects);
        }
        let refused = self.refused(charges, verdicts);
        // Something did refuse.
        let reason = refused.first().map_or(Reason::LimitsRate, |first| first.reason);
        let wait = refused.iter().map(|refused| refused.wait).max().unwrap_or_default();
        Decision::Refuse(Refusal {
            violated: refused.iter().map(|refused| refused.item.name.clone()).collect(),
            ..Refusal::new(reason).retry_after(wait)
        })
    }

    fn tell(&self, mode: Mode, charges: &Charges, verdicts: &Verdicts, tallies: &mut Vec<Tally>) {
        if let Some(bar) = charges.bar {
            let item = self.items.find(bar.item).map(|(item, _)| item.clone());
            let said = Said::Refuse;
            let told = |item| Tally { item, key: bar.key, mode, said, remaining: 0, next_unit: Some(bar.left) };
            tallies.extend(item.map(told));
        }
        let admit = verdicts.admit();
        for (place, (charge, verdict)) in charges.list.iter().zip(&verdicts.list).enumerate() {
            let Some((item, prefix)) = self.items.find(charge.item) else { continue };
            // Nobody knows how it stands, so there is nothing to tell.
            if verdict.fit == Fit::Waived {
                continue;
            }
            let standoff = charges.bans.iter().zip(&verdicts.bans).find(|(ban, _)| usize::from(ban.first) == place);
            let said = match (verdict.fit, standoff.map(|(_, standoff)| standoff)) {
                (_, Some(Standoff::Begins(_))) => Said::Ban,
                (_, Some(Standoff::Lasts(_))) | (Fit::Spent | Fit::Reserved | Fit::Unavailable, _) => Said::Refuse,
                (Fit::Fits | Fit::Waived, _) if admit => Said::Admit,
                (Fit::Fits | Fit::Waived, _) => Said::Spare,
            };
            // A wider prefix is nobody's business unless it refuses.
            if prefix == Prefix::Own || said == Said::Refuse {
                let Verdict { remaining, next_unit, .. } = *verdict;
                let item = if item.bound == charge.bound {
                    item.clone()
                } else {
                    // An operator set another rate.
                    Arc::new(Item { bound: charge.bound, ..Item::clone(item) })
                };
                tallies.push(Tally { item, key: base(charge), mode, said, remaining, next_unit });
            }
        }
    }

    fn settle(&self, charge: &Charge, response: &ResponseView<'_>, reason: Option<Reason>) -> Settlement {
        let limit = self.items.limit(charge.item).and_then(|limit| self.limits.get(limit));
        limit.map_or(Settlement::Later, |limit| limit.settle(charge, response, reason))
    }

    fn conclude(&self, charge: &Charge, facts: &Facts) -> Option<u32> {
        let limit = self.items.limit(charge.item).and_then(|limit| self.limits.get(limit));
        limit.and_then(|limit| limit.conclude(charge, facts))
    }
}

fn reason(item: &Item, fit: Fit) -> Reason {
    match item.bound {
        _ if fit == Fit::Unavailable => Reason::LimitsUnavailable,
        Bound::Rate(_) | Bound::Quota(_) if item.shown == Shown::Tokens => Reason::LimitsTokens,
        Bound::Rate(_) => Reason::LimitsRate,
        Bound::Quota(_) => Reason::LimitsQuota,
        Bound::Slots(_) => Reason::LimitsConcurrent,
    }
}
