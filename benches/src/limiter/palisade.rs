//! Palisade's counters in memory, with keys made as its limits make them.

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use palisade_core::charge::TableSize;
use palisade_core::{Bound, Charge, Charges, KeyHash, Monotonic, Now, Rate, Spend, Utc, Verdicts};
use palisade_store::counters::memory::{Fill, Table};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::{Limiter, PER_MINUTE};

/// Three limits over one table.
pub struct Palisade {
    table: Table,
    now_ns: AtomicU64,
    limits: [SipHasher13; 3],
    bound: Bound,
}

impl Palisade {
    /// With a table of so many bytes. `None` if no table can have that size.
    pub fn new(table_bytes: u64) -> Option<Self> {
        let rate = Rate::new(PER_MINUTE, Duration::from_secs(60), PER_MINUTE)?;
        let limit = |name: &str| {
            let mut hasher = SipHasher13::new_with_key(&[7; 16]);
            hasher.write_u64(name.len() as u64);
            hasher.write(name.as_bytes());
            hasher
        };
        Some(Self {
            table: Table::new(TableSize::new(table_bytes)?),
            now_ns: AtomicU64::new(1),
            limits: ["one", "two", "three"].map(limit),
            bound: Bound::Rate(rate),
        })
    }

    /// How full the table is.
    pub fn fill(&self) -> Fill {
        self.table.fill()
    }

    fn charge(&self, limit: &SipHasher13, address: IpAddr) -> Charge {
        let mut hasher = *limit;
        hasher.write_u64(2);
        hasher.write(b"ip");
        match address {
            IpAddr::V4(address) => {
                hasher.write_u64(4);
                hasher.write(&address.octets());
            }
            IpAddr::V6(address) => {
                hasher.write_u64(16);
                hasher.write(&address.octets());
            }
        }
        let key = KeyHash(hasher.finish128().as_u128());
        Charge { item: 0, key, bound: self.bound, amount: 1, spend: Spend::Now }
    }

    fn take(&self, address: IpAddr, limits: &[SipHasher13]) -> bool {
        let now_ns = self.now_ns.load(Ordering::Relaxed);
        let now = Now { monotonic: Monotonic::from_nanos(now_ns), utc: Utc::from_nanos(now_ns) };
        let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
        for limit in limits {
            charges.push(self.charge(limit, address));
        }
        self.table.take(&charges, now, &mut verdicts);
        verdicts.admit()
    }
}

impl Limiter for Palisade {
    fn set_now(&self, now_ns: u64) {
        self.now_ns.store(now_ns.max(1), Ordering::Relaxed);
    }

    fn one(&self, address: IpAddr) -> bool {
        let [first, ..] = &self.limits;
        self.take(address, std::slice::from_ref(first))
    }

    fn three(&self, address: IpAddr) -> bool {
        self.take(address, &self.limits)
    }
}
