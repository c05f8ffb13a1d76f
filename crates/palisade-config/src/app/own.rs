//! Addresses of the application that are the gateway's own.
//!
//! Such a gateway would ask itself, and itself again, until connections or ports run out. Names are
//! not looked up and the machine's addresses not asked for, so only what the text says is found:
//! the same address, and loopback where the gateway listens on all addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use palisade_core::config::{Code, Place, Problem, Problems};
use palisade_policy::host::Authority;

use super::WebScheme;
use super::address::ServerAddress;

/// Where the gateway listens, by key.
pub(super) type Listeners<'a> = &'a [(&'static str, SocketAddr)];

/// Reports a server that is one of the listeners.
pub(super) fn check(server: &ServerAddress, place: &Place, listeners: Listeners<'_>, problems: &mut Problems) {
    let (authority, scheme) = match server {
        ServerAddress::Http(authority) => (authority, WebScheme::Http),
        ServerAddress::Https(authority) => (authority, WebScheme::Https),
        ServerAddress::Unix(_) => return,
    };
    let port = authority.port().unwrap_or(scheme.port());
    // Port 0 is whichever is free.
    let is_own = |listen: &SocketAddr| port != 0 && listen.port() == port && accepts(listen.ip(), authority);
    if let Some((key, _)) = listeners.iter().find(|(_, listen)| is_own(listen)) {
        let message = format!("`{}` is where `{key}` is: the gateway would send every request to itself", place.key);
        let problem = Problem::new(Code::Conflict, place, message).label("name another port");
        problems.report(problem.help(format!("the application needs a port of its own; or move `{key}`")));
    }
}

/// Whether a socket on `listen` accepts connections to `authority`.
fn accepts(listen: IpAddr, authority: &Authority) -> bool {
    match authority.address() {
        Some(address) => accepts_address(listen, reached(address.to_canonical())),
        // Resolvers differ in which of both a loopback name means.
        None if authority.is_loopback() => [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            .into_iter()
            .any(|address| accepts_address(listen, address)),
        None => false,
    }
}

fn accepts_address(listen: IpAddr, address: IpAddr) -> bool {
    match listen {
        IpAddr::V4(any) if any.is_unspecified() => address.is_ipv4() && address.is_loopback(),
        // Our sockets on `::` take IPv4 as well.
        IpAddr::V6(any) if any.is_unspecified() => address.is_loopback(),
        IpAddr::V4(_) | IpAddr::V6(_) => listen.to_canonical() == address,
    }
}

/// Which address is reached by connecting to this one: the unspecified one means this machine.
fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}
