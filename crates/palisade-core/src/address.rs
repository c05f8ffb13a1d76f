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
mod tests {
    use super::*;

    fn client(text: &str) -> ClientIp {
        ClientIp::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn one_client_has_one_form() {
        for same in ["1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304"] {
            assert_eq!(client(same), client("1.2.3.4"), "{same}");
        }
        // Only ::ffff:0:0/96 is unwrapped: these are routed as IPv6.
        for other in ["::1.2.3.4", "::ffff:0:1.2.3.4", "64:ff9b::1.2.3.4"] {
            assert!(client(other).is_v6(), "{other}");
        }
    }

    #[test]
    fn masks_keep_the_first_bits() {
        let cases = [
            ("203.0.113.77", 32, "203.0.113.77"),
            ("203.0.113.77", 24, "203.0.113.0"),
            ("203.0.113.77", 25, "203.0.113.0"),
            ("203.0.113.129", 25, "203.0.113.128"),
            ("203.0.113.77", 0, "0.0.0.0"),
            ("203.0.113.77", 255, "203.0.113.77"),
            ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"),
            ("2001:db8:1:2ff:3:4:5:6", 56, "2001:db8:1:200::"),
            ("2001:db8:1:2:3:4:5:6", 48, "2001:db8:1::"),
            ("2001:db8:1:2:3:4:5:6", 0, "::"),
            ("2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6"),
            ("::ffff:203.0.113.77", 24, "203.0.113.0"),
        ];
        for (address, bits, masked) in cases {
            assert_eq!(client(address).prefix(bits, bits), client(masked), "{address}/{bits}");
        }
    }

    fn parse(text: &str) -> String {
        Network::parse(text).map_or_else(|error| format!("error: {error}"), |network| network.to_string())
    }

    #[test]
    fn networks_are_read() {
        let cases = [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("10.0.0.1/8", "error: `10.0.0.1/8` has host bits set; the network is `10.0.0.0/8`"),
            ("2001:db8::1/64", "error: `2001:db8::1/64` has host bits set; the network is `2001:db8::/64`"),
            ("::ffff:10.0.0.1/104", "error: `::ffff:10.0.0.1/104` has host bits set; the network is `10.0.0.0/8`"),
            ("10.0.0.0/33", "error: `/33` is not a prefix length; IPv4 has 0 to 32"),
            ("::/129", "error: `/129` is not a prefix length; IPv6 has 0 to 128"),
            ("10.0.0.0/", "error: `/` is not a prefix length; IPv4 has 0 to 32"),
            ("10.0.0.0/08", "error: `/08` is not a prefix length; IPv4 has 0 to 32"),
            ("10.0.0.0/+8", "error: `/+8` is not a prefix length; IPv4 has 0 to 32"),
            ("10.0.0/8", "error: `10.0.0` is not an IPv4 or IPv6 address"),
            ("010.0.0.0/8", "error: `010.0.0.0` is not an IPv4 or IPv6 address"),
            ("fe80::1%eth0", "error: `fe80::1%eth0` is not an IPv4 or IPv6 address"),
            ("localhost", "error: `localhost` is not an IPv4 or IPv6 address"),
            ("", "error: `` is not an IPv4 or IPv6 address"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn networks_hold_their_family_only() {
        let networks: Networks = ["10.0.0.0/8", "192.168.1.7", "2001:db8::/32"]
            .map(|text| Network::parse(text).unwrap())
            .into_iter()
            .collect();
        let cases = [
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("192.168.1.7", true),
            ("192.168.1.8", false),
            ("::ffff:10.1.2.3", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
        ];
        for (address, held) in cases {
            assert_eq!(networks.contains(client(address)), held, "{address}");
        }
        let v4 = Network::parse("0.0.0.0/0").unwrap();
        let v6 = Network::parse("::/0").unwrap();
        assert!(v4.is_everything() && v6.is_everything());
        assert!(v4.contains(client("255.255.255.255")) && !v4.contains(client("::")));
        assert!(v6.contains(client("ffff::1")) && !v6.contains(client("0.0.0.0")));
    }

    #[test]
    fn no_network_holds_nobody() {
        assert!(Networks::none().is_empty());
        assert!(!Networks::none().contains(client("127.0.0.1")));
    }
}
