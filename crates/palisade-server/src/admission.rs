//! How many connections there may be: in all, and of one address.
//!
//! One more is accepted and closed at once, so that it doesn't wait in the kernel's queue in front
//! of others. Addresses of trusted proxies are not counted on their own: behind them are many
//! clients. The table has an entry only for addresses with an open connection, so the limit in all
//! bounds it too.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use palisade_core::ClientIp;

use crate::counters::ConnectionLimit;
use crate::swap::Swap;

/// The open connections of all workers.
#[derive(Debug)]
pub struct Admission {
    rule: Swap<AdmissionRule>,
    open: AtomicUsize,
    stripes: [Mutex<HashMap<ClientIp, u32>>; STRIPES],
    hasher: RandomState,
}

/// What is admitted.
pub struct AdmissionRule {
    /// Connections in all.
    pub connections_max: usize,
    /// Connections of one address.
    pub per_address_max: u32,
    /// Whether an address is a trusted proxy's, of which there may be any number.
    pub trusts: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// The right to have one connection open, given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    admission: Arc<Admission>,
    counted: Option<ClientIp>,
}

/// Accepting is far rarer than handling requests; a few stripes keep workers apart.
const STRIPES: usize = 16;

impl Admission {
    /// With no connection open.
    pub fn new(rule: AdmissionRule) -> Self {
        Self {
            rule: Swap::new(rule),
            open: AtomicUsize::new(0),
            stripes: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// Replaces the rule. Connections that are open stay.
    pub fn set(&self, rule: AdmissionRule) {
        self.rule.store(rule);
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Asks for one more connection from `address`.
    ///
    /// # Errors
    ///
    /// The limit that doesn't allow it.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Slot, ConnectionLimit> {
        let rule = self.rule.load();
        if self.open.fetch_add(1, Ordering::Relaxed) >= rule.connections_max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(ConnectionLimit::Connections);
        }
        // From here on the slot gives back what was counted, also on an early return.
        let mut slot = Slot { admission: Arc::clone(self), counted: None };
        if (rule.trusts)(address) {
            return Ok(slot);
        }
        let key = ClientIp::from(address).prefix(32, 64);
        {
            let mut stripe = self.stripe(key);
            let count = stripe.entry(key).or_insert(0);
            if *count >= rule.per_address_max {
                if *count == 0 {
                    stripe.remove(&key);
                }
                return Err(ConnectionLimit::PerAddress);
            }
            *count += 1;
        }
        slot.counted = Some(key);
        Ok(slot)
    }

    #[expect(clippy::indexing_slicing, reason = "the index is a remainder of the length")]
    fn stripe(&self, key: ClientIp) -> MutexGuard<'_, HashMap<ClientIp, u32>> {
        let place = self.hasher.hash_one(key) as usize % STRIPES;
        self.stripes[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(key) = self.counted {
            let mut stripe = self.admission.stripe(key);
            match stripe.get_mut(&key) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => {
                    stripe.remove(&key);
                }
            }
        }
    }
}

impl fmt::Debug for AdmissionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionRule")
            .field("connections_max", &self.connections_max)
            .field("per_address_max", &self.per_address_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections_max: usize, per_address_max: u32) -> Arc<Admission> {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let trusts = Box::new(move |address| address == proxy);
        Arc::new(Admission::new(AdmissionRule { connections_max, per_address_max, trusts }))
    }

    fn check(admission: &Arc<Admission>, address: &str) -> Result<Slot, &'static str> {
        admission.admit(address.parse().unwrap()).map_err(ConnectionLimit::name)
    }

    fn entries(admission: &Admission) -> usize {
        admission.stripes.iter().map(|stripe| stripe.lock().unwrap().len()).sum()
    }

    #[test]
    fn one_more_than_all_is_refused_until_one_closes() {
        let admission = admission(2, 10);
        let first = check(&admission, "192.0.2.1").unwrap();
        let _second = check(&admission, "192.0.2.2").unwrap();
        assert_eq!(check(&admission, "192.0.2.3").unwrap_err(), "connections");
        drop(first);
        assert!(check(&admission, "192.0.2.3").is_ok());
        assert_eq!(admission.open(), 1);
    }

    #[test]
    fn an_address_is_one_client_in_all_of_its_forms() {
        for (first, second, refused) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("10.0.0.1", "10.0.0.1", false),
        ] {
            let admission = admission(10, 1);
            let _open = check(&admission, first).unwrap();
            assert_eq!(check(&admission, second).is_err(), refused, "{first} {second}");
        }
    }

    #[test]
    fn the_table_holds_only_addresses_with_connections() {
        let admission = admission(10, 2);
        let open = [check(&admission, "192.0.2.1").unwrap(), check(&admission, "192.0.2.1").unwrap()];
        assert!(check(&admission, "192.0.2.1").is_err());
        assert_eq!((entries(&admission), admission.open()), (1, 2));
        drop(open);
        assert_eq!((entries(&admission), admission.open()), (0, 0));
    }

    #[test]
    fn a_limit_of_zero_leaves_nothing_behind() {
        let admission = admission(10, 0);
        assert!(check(&admission, "192.0.2.1").is_err());
        assert_eq!((entries(&admission), admission.open()), (0, 0));
    }
}
