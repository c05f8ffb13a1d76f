//! Limiters that are measured beside each other: Palisade's counters, and `governor`.
//!
//! Both are asked about client addresses and are told the time, as a gateway that has read the clock
//! for other reasons would do it; `governor` by a clock that only has to be looked at.

pub mod governor;
pub mod palisade;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Something that counts requests of addresses.
pub trait Limiter: Sync {
    /// From now on it is this late, in nanoseconds.
    fn set_now(&self, now_ns: u64);

    /// Whether a request of this address is admitted by one limit.
    fn one(&self, address: IpAddr) -> bool;

    /// The same with three limits, which are charged together or not at all.
    fn three(&self, address: IpAddr) -> bool;
}

/// What every address may do: 300 requests a minute, as the gateway's own default has it.
pub const PER_MINUTE: u32 = 300;

/// The address with this number. Neighbours in number are none in the address space.
pub fn v4(number: u32) -> IpAddr {
    Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1)).into()
}

/// The same in another /64 for each number.
pub fn v6(number: u32) -> IpAddr {
    Ipv6Addr::from((0x2001_0db8_u128 << 96) | (u128::from(number.wrapping_mul(0x9e37_79b1)) << 64) | 1).into()
}
