//! What a step comes to while the store can't be asked: each limit does what it was told for that.
//!
//! What `local` limits admit here is not told to the store afterwards, so an outage admits at most
//! one more burst for each key, and one request for each gateway.

use std::sync::Arc;

use palisade_core::charge::Outage;
use palisade_core::{Bound, Charge, Charges, Item, KeyHash, Now, Spend, Verdict, Verdicts};

use crate::counters::memory::Table;

/// Decides a step in the table of this gateway.
pub(super) fn decide(
    table: &Table,
    charges: &Charges,
    items: &[Arc<Item>],
    gateways: u32,
    now: Now,
    verdicts: &mut Verdicts,
) {
    let outage = |item: u16| items.get(usize::from(item)).map_or(Outage::Local, |item| item.outage);
    let mut step = Charges::default();
    for charge in &charges.list {
        step.push(match outage(charge.item) {
            Outage::Local => charge.shared_by(gateways),
            Outage::Open | Outage::Closed => nothing(charge),
        });
    }
    let asked = charges.bans.iter().filter(|ban| outage(ban.item) == Outage::Local);
    asked.for_each(|ban| step.ban(ban.clone()));
    if charges.list.iter().any(|charge| outage(charge.item) == Outage::Closed) {
        // It is refused whatever the others say, so that nothing is charged.
        table.inspect(&step, now, verdicts);
    } else {
        table.take(&step, now, verdicts);
    }
    for (charge, verdict) in charges.list.iter().zip(&mut verdicts.list) {
        match outage(charge.item) {
            Outage::Local => {}
            away @ (Outage::Open | Outage::Closed) => *verdict = Verdict::unknown(away),
        }
    }
    spread(charges, outage, verdicts);
}

/// A charge that fits and leaves nothing behind, in the place of one that isn't counted here.
fn nothing(charge: &Charge) -> Charge {
    Charge { key: KeyHash(!charge.key.0), bound: Bound::Slots(u32::MAX), amount: 0, spend: Spend::Now, ..*charge }
}

/// Puts verdicts on bans back into their places: bans that were not asked are clear.
fn spread(charges: &Charges, outage: impl Fn(u16) -> Outage, verdicts: &mut Verdicts) {
    let mut told = std::mem::take(&mut verdicts.bans).into_iter();
    verdicts.bans = charges
        .bans
        .iter()
        .map(|ban| match outage(ban.item) {
            Outage::Local => told.next(),
            Outage::Open | Outage::Closed => None,
        })
        .map(|standoff| standoff.unwrap_or(palisade_core::charge::Standoff::Clear))
        .collect();
}
