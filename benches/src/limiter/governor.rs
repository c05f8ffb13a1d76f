//! `governor`: the rate limiter that Rust services use most, keyed, in its concurrent map.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::{Limiter, PER_MINUTE};

type Keyed = RateLimiter<IpAddr, DashMapStateStore<IpAddr>, FakeRelativeClock, NoOpMiddleware<governor::nanos::Nanos>>;

/// The same rate for three limits, each in a map of its own.
pub struct Governor {
    clock: FakeRelativeClock,
    now_ns: Mutex<u64>,
    limits: [Keyed; 3],
}

impl Governor {
    /// Without a key.
    pub fn new() -> Self {
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_minute(NonZeroU32::new(PER_MINUTE).unwrap_or(NonZeroU32::MIN));
        let limit = || RateLimiter::new(quota, DashMapStateStore::default(), clock.clone());
        Self { limits: [limit(), limit(), limit()], now_ns: Mutex::new(0), clock }
    }

    /// How many keys it keeps.
    pub fn keys(&self) -> usize {
        self.limits.iter().map(RateLimiter::len).sum()
    }
}

impl Default for Governor {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter for Governor {
    fn set_now(&self, now_ns: u64) {
        if let Ok(mut before) = self.now_ns.lock() {
            self.clock.advance(Duration::from_nanos(now_ns.saturating_sub(*before)));
            *before = now_ns;
        }
    }

    fn one(&self, address: IpAddr) -> bool {
        let [first, ..] = &self.limits;
        first.check_key(&address).is_ok()
    }

    /// It knows no step over several limits: what the first two have charged stays charged.
    fn three(&self, address: IpAddr) -> bool {
        self.limits.iter().all(|limit| limit.check_key(&address).is_ok())
    }
}
