//! All limits of one stage and mode: one step, and the answer to what the store says of it.

use std::sync::Arc;
use std::time::Duration;

use palisade_core::charge::Fit;
use palisade_core::{
    Bound, Charges, Decision, Item, Meter, Mode, Reason, Refusal, Said, Shown, Tally, Target, Verdict, Verdicts, View,
};

use super::ladder::Ladder;
use super::limit::{Items, Limit};
use super::scope::Occasion;
use crate::inbound::MethodOverride;

/// The limits of one stage and mode.
pub(super) struct Limits {
    pub(super) limits: Vec<Limit>,
    pub(super) items: Items,
    pub(super) ladder: Ladder,
    pub(super) exempt: Arc<[Target]>,
    pub(super) overrides: MethodOverride,
}

impl Limits {
    /// What each charge came to, with its item.
    fn told<'a>(
        &'a self,
        charges: &'a Charges,
        verdicts: &'a Verdicts,
    ) -> impl Iterator<Item = (&'a Arc<Item>, &'a Verdict)> {
        let pairs = charges.list.iter().zip(&verdicts.list);
        pairs.filter_map(|(charge, verdict)| Some((self.items.0.get(usize::from(charge.item))?, verdict)))
    }
}

impl Meter for Limits {
    fn charges(&self, view: &View<'_>, charges: &mut Charges) {
        let occasion = Occasion::of(view, &self.exempt, self.overrides);
        for limit in &self.limits {
            limit.charge(&occasion, view, &self.ladder, charges);
        }
    }

    fn decide(&self, _view: &View<'_>, charges: &Charges, verdicts: &Verdicts) -> Decision {
        if charges.is_too_much() {
            return Decision::Refuse(Refusal::new(Reason::LimitsUnavailable).retry_after(Duration::from_secs(1)));
        }
        let refused = || self.told(charges, verdicts).filter(|(_, verdict)| verdict.fit != Fit::Fits);
        let Some((first, _)) = refused().next() else { return Decision::allow() };
        let wait = refused().map(|(_, verdict)| verdict.retry_after).max().unwrap_or_default();
        Decision::Refuse(Refusal {
            violated: refused().map(|(item, _)| item.name.clone()).collect(),
            ..Refusal::new(reason(first.bound)).retry_after(wait)
        })
    }

    fn tell(&self, mode: Mode, charges: &Charges, verdicts: &Verdicts, tallies: &mut Vec<Tally>) {
        let admit = verdicts.admit();
        for (item, Verdict { fit, remaining, next_unit, .. }) in self.told(charges, verdicts) {
            let said = match fit {
                Fit::Fits if admit => Said::Admit,
                Fit::Fits => Said::Spare,
                Fit::Spent | Fit::Reserved => Said::Refuse,
            };
            // A wider prefix is nobody's business unless it refuses.
            if item.shown == Shown::Always || said == Said::Refuse {
                let (remaining, next_unit) = (*remaining, *next_unit);
                tallies.push(Tally { item: item.clone(), mode, said, remaining, next_unit });
            }
        }
    }
}

fn reason(bound: Bound) -> Reason {
    match bound {
        Bound::Rate(_) => Reason::LimitsRate,
        Bound::Quota(_) => Reason::LimitsQuota,
        Bound::Slots(_) => Reason::LimitsConcurrent,
    }
}
