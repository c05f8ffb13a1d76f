//! Address prefixes, each wider one with a larger bucket.

use std::cmp::Reverse;
use std::net::IpAddr;

use palisade_core::{ClientIp, Rate};

/// By how many bits clients are told apart, and how many times a limit's own rate wider prefixes
/// have. Providers give a home a /64 or a /56, a company a /48.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// Of IPv4, above the whole address: bits and factor.
    v4: Vec<(u8, u32)>,
    /// Of IPv6, the first with factor 1.
    v6: Vec<(u8, u32)>,
}

/// One step of a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    pub(super) family: Family,
    pub(super) bits: u8,
    pub(super) factor: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

const V4_BITS: u8 = 32;

impl Default for Ladder {
    fn default() -> Self {
        Self { v4: vec![(V4_BITS, 1)], v6: vec![(64, 1), (56, 4), (48, 16)] }
    }
}

impl Ladder {
    /// `v6_bits` tell IPv6 clients apart; the ladders are wider prefixes in bits, each with its
    /// factor.
    pub fn new(v6_bits: u8, v6: &[(u8, u32)], v4: &[(u8, u32)]) -> Self {
        let with = |first: u8, wider: &[(u8, u32)]| {
            let mut rungs = vec![(first, 1)];
            rungs.extend(wider);
            rungs.sort_by_key(|(bits, _)| Reverse(*bits));
            rungs
        };
        Self { v4: with(V4_BITS, v4), v6: with(v6_bits, v6) }
    }

    /// All rungs but the first ones, which are the limit itself.
    pub(super) fn wider(&self) -> impl Iterator<Item = Rung> {
        let of = |family, rungs: &[(u8, u32)]| -> Vec<Rung> {
            rungs.iter().skip(1).map(|&(bits, factor)| Rung { family, bits, factor }).collect()
        };
        of(Family::V4, &self.v4).into_iter().chain(of(Family::V6, &self.v6))
    }

    /// The address by which clients are told apart.
    pub(super) fn own(&self, client: ClientIp) -> ClientIp {
        let v6_bits = self.v6.first().map_or(128, |(bits, _)| *bits);
        client.prefix(V4_BITS, v6_bits)
    }

    /// How many bits of an address tell its client apart.
    pub(super) fn bits(&self, client: ClientIp) -> u8 {
        match client.addr() {
            IpAddr::V4(_) => V4_BITS,
            IpAddr::V6(_) => self.v6.first().map_or(128, |(bits, _)| *bits),
        }
    }

    /// Whether every rung can be counted at this rate.
    pub fn holds(&self, rate: Rate) -> bool {
        self.wider().all(|rung| rate.times(rung.factor).is_some())
    }

    /// The largest factor.
    pub fn widest(&self) -> u32 {
        self.wider().map(|rung| rung.factor).max().unwrap_or(1)
    }
}

impl Rung {
    /// The prefix of an address, if the rung is of its family.
    pub(super) fn of(self, client: ClientIp) -> Option<ClientIp> {
        let family = match client.addr() {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        (family == self.family).then(|| client.prefix(self.bits, self.bits))
    }
}
