//! One step, decided: all of its charges are made, or none.
//!
//! A backend loads the state of each counter, asks here, and keeps what comes back. It never
//! computes anything itself.

use std::time::Duration;

use super::ban::Standing;
use super::cell::Cell;
use super::pending::{Lapsed, Pending};
use super::rate::{Ask, Reserves};
use super::{Bound, Charge, Charges, Fit, HELD_WAIT, Spend, Standoff, Verdict, Verdicts};
use crate::{Monotonic, Now};

/// What is kept of one counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What was spent.
    pub cell: Cell,
    /// What is reserved.
    pub pending: Pending,
}

/// What a backend has to keep after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All states.
    Made,
    /// Nothing but the standings: what is refused spends nothing, except toward a ban.
    Refused,
}

/// Decides one step. There is one state for each charge and one standing for each ban, in their
/// order; of counters that are charged twice the first state counts.
pub fn step(
    charges: &Charges,
    states: &mut [State],
    standings: &mut [Standing],
    now: Now,
    verdicts: &mut Verdicts,
) -> Step {
    let monotonic = now.monotonic.as_nanos();
    verdicts.clear();
    verdicts.bans.extend(standings.iter().map(|standing| standing.ask(monotonic)));
    for (place, charge) in charges.list.iter().enumerate() {
        let Some(state) = states.get_mut(charges.first_of(place)) else { continue };
        charge.lapse(state, now);
        let verdict = charge.decide(state, charge.amount, now);
        if verdict.fit == Fit::Fits {
            charge.make(state, now);
        }
        verdicts.list.push(verdict);
    }
    if verdicts.admit() {
        return Step::Made;
    }
    strike(charges, standings, verdicts, monotonic);
    Step::Refused
}

impl Charges {
    /// What a step would be told, each charge for itself and uncharged. Brings the states to now.
    pub fn look(&self, states: &mut [State], standings: &[Standing], now: Now, verdicts: &mut Verdicts) {
        verdicts.clear();
        verdicts.bans.extend(standings.iter().map(|standing| standing.ask(now.monotonic.as_nanos())));
        for (charge, state) in self.list.iter().zip(states) {
            charge.lapse(state, now);
            let asked = charge.decide(state, charge.amount, now);
            let uncharged = charge.decide(state, 0, now);
            verdicts.list.push(if asked.fit == Fit::Fits { uncharged } else { asked });
        }
    }

    /// Tells what would fit as it stays: uncharged. For the verdicts of a step that was refused;
    /// `states` are those before it.
    pub fn tell_uncharged(&self, states: &mut [State], now: Now, verdicts: &mut Verdicts) {
        for (place, charge) in self.list.iter().enumerate() {
            let (Some(state), Some(verdict)) = (states.get_mut(self.first_of(place)), verdicts.list.get_mut(place))
            else {
                continue;
            };
            if verdict.fit == Fit::Fits {
                charge.lapse(state, now);
                *verdict = charge.decide(state, 0, now);
            }
        }
    }
}

/// Counts what was refused toward the bans of those that refused it. Reservations may be released,
/// so that waiting for them is nobody's fault.
fn strike(charges: &Charges, standings: &mut [Standing], verdicts: &mut Verdicts, now: u64) {
    for ((ban, standing), standoff) in charges.bans.iter().zip(standings).zip(&mut verdicts.bans) {
        let own = verdicts.list.get(usize::from(ban.first)..usize::from(ban.end)).unwrap_or_default();
        if *standoff == Standoff::Clear && own.iter().any(|verdict| verdict.fit == Fit::Spent) {
            *standoff = standing.strike(&ban.rule, now);
        }
    }
}

/// Settles a charge that was reserved at `taken`: `used` units are spent, whatever was reserved.
pub fn settle(charge: &Charge, state: &mut State, taken: Monotonic, used: u32, now: Now) {
    if charge.life().is_none() {
        return;
    }
    charge.lapse(state, now);
    let found = state.pending.remove(charge.amount, taken.as_nanos());
    // What has lapsed is spent already.
    let spent = used.saturating_sub(charge.amount - found);
    charge.spend(state, spent, now.monotonic.as_nanos(), now);
}

impl Charge {
    /// What has to be kept of a counter even if the step is refused: a bucket that owes more than it may,
    /// because its rate was another one, is cut to that once. Else it would stay as full as can be for as
    /// long as the old debt takes to melt.
    pub fn cut(&self, state: State, now: Now) -> Option<State> {
        let Bound::Rate(rate) = self.bound else { return None };
        let melt_off = rate.cut(state.cell.melt_off(), now.monotonic.as_nanos(), self.reserves())?;
        Some(State { cell: Cell::bucket(melt_off), ..state })
    }

    /// How long it may be reserved; `None` if it is not.
    fn life(&self) -> Option<u64> {
        match (self.bound, self.spend) {
            // A slot is free when its request is over, however long that takes.
            (Bound::Slots(_), _) => Some(u64::MAX),
            (Bound::Rate(_) | Bound::Quota(_), Spend::Reserve { life, .. }) => Some(life),
            (Bound::Rate(_) | Bound::Quota(_), Spend::Now) => None,
        }
    }

    fn reserves(&self) -> Reserves {
        if self.life().is_some() { Reserves::Yes } else { Reserves::No }
    }

    /// Spends the reservations whose life is over.
    fn lapse(&self, state: &mut State, now: Now) {
        let Some(life) = self.life() else { return };
        for Lapsed { units, at } in state.pending.advance(now.monotonic.as_nanos(), life) {
            if units > 0 {
                self.spend(state, units, at, now);
            }
        }
    }

    /// What a charge of `amount` comes to.
    fn decide(&self, state: &mut State, amount: u32, now: Now) -> Verdict {
        let pending = state.pending.units();
        match self.bound {
            Bound::Rate(rate) => {
                let ask = Ask { amount, pending, reserves: self.reserves() };
                let (verdict, melt_off) = rate.decide(state.cell.melt_off(), now.monotonic.as_nanos(), ask);
                state.cell = Cell::bucket(melt_off);
                verdict
            }
            Bound::Quota(quota) => quota.decide(state.cell, now.utc, amount, pending),
            Bound::Slots(max) => {
                let taken = u64::from(pending) + u64::from(amount);
                let fits = taken <= u64::from(max);
                let left = max.saturating_sub(if fits { pending.saturating_add(amount) } else { pending });
                let (fit, retry_after) = if fits { (Fit::Fits, Duration::ZERO) } else { (Fit::Spent, HELD_WAIT) };
                Verdict { fit, remaining: left, next_unit: None, retry_after }
            }
        }
    }

    /// Makes the charge, which fits.
    fn make(&self, state: &mut State, now: Now) {
        match self.life() {
            Some(_) => state.pending.add(self.amount),
            None => self.spend(state, self.amount, now.monotonic.as_nanos(), now),
        }
    }

    /// Spends `units` at an instant of the monotonic clock.
    fn spend(&self, state: &mut State, units: u32, at: u64, now: Now) {
        if units == 0 {
            return;
        }
        match self.bound {
            Bound::Rate(rate) => {
                state.cell = Cell::bucket(rate.spend(state.cell.melt_off(), at, units, self.reserves()));
            }
            Bound::Quota(quota) => state.cell = quota.spend(state.cell, now.utc, units),
            Bound::Slots(_) => {}
        }
    }
}
