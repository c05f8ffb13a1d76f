//! Address prefixes, each wider one with a larger bucket.

use std::net::IpAddr;

use palisade_core::{ClientIp, KeyHash, Rate};

use super::key::Keys;

/// The IPv6 prefixes, in bits, and how many times the limit's own rate each has. Providers give a
/// home a /64 or a /56, a company a /48.
const PREFIXES: [(u8, u32); RUNGS] = [(64, 1), (56, 4), (48, 16)];
const RUNGS: usize = 3;

/// The buckets of one limit.
pub(super) struct Ladder([Rung; RUNGS]);

/// The buckets of one prefix length.
pub(super) struct Rung {
    /// The limit's name; above the first rung with the prefix length, `per_ip/56`.
    pub(super) name: Box<str>,
    pub(super) rate: Rate,
    keys: Keys,
    bits: u8,
}

impl Ladder {
    pub(super) fn new(limit: &str, rate: Rate, seed: &[u8; 16]) -> Option<Self> {
        let rung = |(bits, factor): (u8, u32)| {
            let name = if factor == 1 { limit.to_owned() } else { format!("{limit}/{bits}") };
            let (rate, keys) = (rate.times(factor)?, Keys::new(seed, &name));
            Some(Rung { name: name.into(), rate, keys, bits })
        };
        let [first, second, third] = PREFIXES.map(rung);
        Some(Self([first?, second?, third?]))
    }

    pub(super) fn rungs(&self) -> &[Rung; RUNGS] {
        &self.0
    }

    /// Rate and key of every bucket that `client` spends from, in the order of the rungs. An IPv4
    /// address has the first alone.
    pub(super) fn keys(&self, client: ClientIp) -> impl Iterator<Item = (Rate, KeyHash)> {
        let rungs = if client.is_v6() { RUNGS } else { 1 };
        self.0.iter().take(rungs).map(move |rung| {
            let key = match client.prefix(32, rung.bits).addr() {
                IpAddr::V4(address) => rung.keys.of("ip", &address.octets()),
                IpAddr::V6(network) => rung.keys.of("ip", &network.octets()),
            };
            (rung.rate, key)
        })
    }
}
