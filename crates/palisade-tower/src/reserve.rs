//! What a request has reserved, until it is known what it used.
//!
//! Reservations ride with the request and then with its answer's body. Each is settled exactly once:
//! from the answer's head, or when the body ends, or when all of it is dropped because the client
//! left or handling panicked. Nothing waits for that.

use std::sync::Arc;

use palisade_core::charge::Unsettled;
use palisade_core::decision::Facts;
use palisade_core::policy::Settlement;
use palisade_core::{Bound, Charge, Charges, Meter, Now, Reason, ResponseView, Spend};
use palisade_store::Counters;
use palisade_store::counters::Ticket;

use crate::clock;

/// The reservations of one request. Dropping them settles them.
#[derive(Default)]
pub struct Reservations(Vec<Reserved>);

struct Reserved {
    charge: Charge,
    ticket: Ticket,
    meter: Arc<dyn Meter>,
    counters: Arc<Counters>,
}

impl Reservations {
    /// Keeps what was reserved of a step that was made.
    pub(crate) fn keep(&mut self, charges: &Charges, meter: &Arc<dyn Meter>, counters: &Arc<Counters>, ticket: Ticket) {
        for charge in charges.list.iter().filter(|charge| charge.is_reserved()) {
            let (meter, counters) = (meter.clone(), counters.clone());
            self.0.push(Reserved { charge: *charge, ticket, meter, counters });
        }
    }

    /// Settles what the answer's head decides. `reason` is why the application did not make it.
    pub(crate) fn answered(&mut self, response: &ResponseView<'_>, reason: Option<Reason>) {
        if self.0.is_empty() {
            return;
        }
        let now = clock::now();
        self.0.retain(|reserved| match reserved.meter.settle(&reserved.charge, response, reason) {
            Settlement::Later => true,
            Settlement::Spend(units) => {
                reserved.settle(units, now);
                false
            }
        });
    }

    /// Settles what is known when the answer is over.
    pub(crate) fn conclude(&mut self, facts: &Facts) {
        let now = clock::now();
        self.0.retain(|reserved| match reserved.meter.conclude(&reserved.charge, facts) {
            None => true,
            Some(units) => {
                reserved.settle(units, now);
                false
            }
        });
    }
}

impl Reserved {
    fn settle(&self, units: u32, now: Now) {
        let item = self.meter.items().get(usize::from(self.charge.item));
        self.counters.settle(&self.charge, item, self.ticket, units, now);
    }
}

impl Drop for Reservations {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let now = clock::now();
        for reserved in &self.0 {
            let units = match (reserved.charge.bound, reserved.charge.spend) {
                (Bound::Rate(_) | Bound::Quota(_), Spend::Reserve { unsettled: Unsettled::Spend, .. }) => {
                    reserved.charge.amount
                }
                (Bound::Slots(_), _) | (_, Spend::Now | Spend::Reserve { unsettled: Unsettled::Release, .. }) => 0,
            };
            reserved.settle(units, now);
        }
    }
}

impl std::fmt::Debug for Reservations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|reserved| &reserved.charge)).finish()
    }
}
