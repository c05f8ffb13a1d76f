//! Addresses in one form.
//!
//! `::ffff:1.2.3.4`, `::ffff:102:304` and `1.2.3.4` are one client, whichever socket it came
//! through: an address is unwrapped when it becomes a [`ClientIp`], and only then masked or
//! compared. Nothing here resolves names or reads headers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use thiserror::Error;

/// A client's address: IPv4, or IPv6 that is not an IPv4 address in disguise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientIp(IpAddr);

/// A CIDR network. `0.0.0.0/0` holds no IPv6 address and `::/0` no IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    base: ClientIp,
    bits: u8,
}

/// Networks, such as those of trusted proxies. Few: looked through one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// The part before the slash is not an address.
    #[error("`{0}` is not an IPv4 or IPv6 address")]
    Address(Box<str>),
    /// The part after the slash is not a number of bits that the address has.
    #[error("`/{bits}` is not a prefix length; {family} has 0 to {max}")]
    Bits {
        /// What was written after the slash.
        bits: Box<str>,
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The longest prefix of that family.
        max: u8,
    },
    /// The address has bits set that the prefix does not cover, so either of them is a slip.
    #[error("`{written}` has host bits set; the network is `{network}`")]
    HostBits {
        /// What was written.
        written: Box<str>,
        /// The network that holds it.
        network: Network,
    },
}

impl ClientIp {
    /// No address, for connections whose other end is unknown.
    pub const UNSPECIFIED: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// The address.
    pub const fn addr(self) -> IpAddr {
        self.0
    }

    /// Whether it is an IPv6 address.
    pub const fn is_v6(self) -> bool {
        self.0.is_ipv6()
    }

    /// The first `v4_bits` of an IPv4 address or `v6_bits` of an IPv6 address, all others zero.
    pub fn prefix(self, v4_bits: u8, v6_bits: u8) -> Self {
        match self.0 {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(v4_bits.into())).unwrap_or(0);
                Self(Ipv4Addr::from_bits(address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(v6_bits.into())).unwrap_or(0);
                Self(Ipv6Addr::from_bits(address.to_bits() & mask).into())
            }
        }
    }
}

impl From<IpAddr> for ClientIp {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or one address.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a sentence for the config's author.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = IpAddr::from_str(address).map_err(|_| NetworkError::Address(address.into()))?;
        let (family, max) = if address.is_ipv4() { ("IPv4", 32) } else { ("IPv6", 128) };
        let bits =
            match bits {
                None => max,
                Some(bits) => prefix_length(bits)
                    .filter(|&length| length <= max)
                    .ok_or_else(|| NetworkError::Bits { bits: bits.into(), family, max })?,
            };
        // A network inside ::ffff:0:0/96 is one of IPv4, since that is what its members become.
        let mapped = |network: Ipv6Addr| network.to_ipv4_mapped().filter(|_| bits >= 96);
        let (base, bits) = match address {
            IpAddr::V6(network) => match mapped(network) {
                Some(unwrapped) => (ClientIp(unwrapped.into()), bits - 96),
                None => (ClientIp(address), bits),
            },
            IpAddr::V4(_) => (ClientIp(address), bits),
        };
        let network = Self { base: base.prefix(bits, bits), bits };
        if network.base != base {
            return Err(NetworkError::HostBits { written: text.into(), network });
        }
        Ok(network)
    }

    /// Whether `client` belongs to it.
    pub fn contains(self, client: ClientIp) -> bool {
        client.prefix(self.bits, self.bits) == self.base
    }

    /// Whether it holds every address of its family.
    pub const fn is_everything(self) -> bool {
        self.bits == 0
    }
}

/// One to three digits, no sign, no leading zero.
fn prefix_length(bits: &str) -> Option<u8> {
    let plain = bits.bytes().all(|byte| byte.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
    bits.parse().ok().filter(|_| plain)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Networks {
    /// No network.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Whether one of them holds `client`.
    pub fn contains(&self, client: ClientIp) -> bool {
        self.0.iter().any(|network| network.contains(client))
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, in the config's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Network> {
        self.0.iter()
    }
}

impl From<Vec<Network>> for Networks {
    fn from(networks: Vec<Network>) -> Self {
        Self(networks)
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Networks {
    type Item = &'a Network;
    type IntoIter = std::slice::Iter<'a, Network>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
