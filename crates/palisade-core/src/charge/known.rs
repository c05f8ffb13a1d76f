//! What a verdict tells of its counter, for who asked somewhere else and wants to remember it.

use super::{Bound, Cell, Charge, Verdict};
use crate::Now;

impl Charge {
    /// The counter as a verdict left it, reservations included; `None` for slots, of which no cell is
    /// kept.
    pub fn known(&self, verdict: &Verdict, now: Now) -> Option<Cell> {
        let next = verdict.next_unit.map(|next| u64::try_from(next.as_nanos()).unwrap_or(u64::MAX));
        match self.bound {
            Bound::Rate(rate) => {
                // A bucket that is not full has debt for all units that are missing, less what has
                // refilled of the next one.
                let missing = u64::from(rate.burst()).saturating_sub(u64::from(verdict.remaining) + 1);
                let debt = next.map_or(0, |next| missing.saturating_mul(rate.unit_ns()).saturating_add(next));
                Some(Cell::bucket(now.monotonic.as_nanos().saturating_add(debt)))
            }
            Bound::Quota(quota) => {
                let end_ns = now.utc.as_nanos().saturating_add(next?);
                // Clocks differ by less than the half minute that is rounded here.
                let end_min = (end_ns + super::cell::MINUTE_NS / 2) / super::cell::MINUTE_NS;
                Some(Cell::window(quota.per(), end_min, quota.count().saturating_sub(verdict.remaining)))
            }
            Bound::Slots(_) => None,
        }
    }
}
