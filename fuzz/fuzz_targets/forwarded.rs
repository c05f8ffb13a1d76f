//! The client's address. Each line of the input is a line of the field.

#![cfg_attr(fuzzing, no_main)]

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use palisade_core::client::{AddressHeader, ELEMENTS_MAX, Hops};
use palisade_core::{ClientIp, Network};

palisade_fuzz::target!(law);

fn law(input: &[u8]) {
    let lines: Vec<&[u8]> =
        input.split(|&byte| byte == b'\n').filter(|line| HeaderValue::from_bytes(line).is_ok()).collect();
    let list = Side { hops: hops("x-forwarded-for"), bad: "garbage", far: "6.6.6.6" };
    let forwarded = Side { hops: hops("forwarded"), bad: "for=unknown", far: "for=6.6.6.6;by=\"_a,b\"" };
    let single = hops("x-real-ip");
    let peer = ip("127.0.0.1");

    for side in [&list, &forwarded] {
        let client = side.hops.client(peer, &head(&lines));
        let stranger = ip("8.8.8.8");
        assert_eq!(side.hops.client(stranger, &head(&lines)), stranger, "a stranger speaks for nobody");
        assert_eq!(side.hops.scheme(stranger, &head(&lines)), None, "a stranger speaks for nobody");
        side.nothing_left_of_a_bad_element_is_read(peer, &lines, client);
    }
    assert_eq!(list.hops.client(peer, &head(&lines)), naive(&list.hops, peer, &lines));
    if lines.len() != 1 {
        assert_eq!(single.client(peer, &head(&lines)), peer, "a single address is exactly one");
    }
}

/// One of the two lists, with an element that is no address and one that nobody trusts.
struct Side {
    hops: Hops,
    bad: &'static str,
    far: &'static str,
}

impl Side {
    fn nothing_left_of_a_bad_element_is_read(&self, peer: ClientIp, lines: &[&[u8]], client: ClientIp) {
        let Self { hops, bad, far } = self;
        let Some((first, rest)) = lines.split_first() else { return };
        let first = String::from_utf8_lossy(first);
        if first.contains('\u{fffd}') {
            return;
        }
        let longer = |left: &str| {
            let joined = format!("{left}, {first}");
            let mut lines = vec![joined.as_bytes()];
            lines.extend(rest);
            hops.client(peer, &head(&lines))
        };
        assert_eq!(longer(&format!("{far}, {bad}")), client);
        assert_eq!(longer(&format!("{far}, \"")), client);
        // Next to good elements it may be the one.
        let with_far = longer(far);
        assert!(with_far == client || with_far == ip("6.6.6.6") && hops.trusts(client));
    }
}

/// The same walk by strings and the standard library's parsers.
fn naive(hops: &Hops, peer: ClientIp, lines: &[&[u8]]) -> ClientIp {
    let lines: Vec<String> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let joined = lines.join(",");
    let mut client = peer;
    for element in joined.rsplit(',').take(if lines.is_empty() { 0 } else { ELEMENTS_MAX }) {
        let element = element.trim_matches([' ', '\t']);
        let port_is_short = element.rsplit(':').next().is_none_or(|port| port.len() <= 5);
        let inside = element.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let bracketed = inside.and_then(|inside| inside.parse().ok().map(IpAddr::V6));
        let with_port = element.parse::<SocketAddr>().ok().filter(|_| port_is_short && !element.contains('%'));
        match element.parse().ok().or(bracketed).or(with_port.map(|address| address.ip())) {
            Some(address) => client = ClientIp::from(address),
            None => return client,
        }
        if !hops.trusts(client) {
            return client;
        }
    }
    client
}

fn hops(header: &str) -> Hops {
    let trusted = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"].map(|text| Network::parse(text).expect("a network"));
    Hops { trusted: trusted.into_iter().collect(), header: AddressHeader::parse(header).expect("a name") }
}

fn head(lines: &[&[u8]]) -> HeaderMap {
    let mut head = HeaderMap::new();
    for line in lines {
        let value = HeaderValue::from_bytes(line).expect("filtered above");
        head.append(HeaderName::from_static("x-forwarded-for"), value.clone());
        head.append(HeaderName::from_static("x-real-ip"), value.clone());
        head.append(FORWARDED, value);
    }
    head
}

fn ip(text: &str) -> ClientIp {
    ClientIp::from(text.parse::<IpAddr>().expect("an address"))
}
