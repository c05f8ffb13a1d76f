use std::net::IpAddr;

use http::HeaderMap;
use http::header::HeaderValue;

use super::*;
use crate::Network;

fn ip(text: &str) -> ClientIp {
    ClientIp::from(text.parse::<IpAddr>().unwrap())
}

fn hops(header: &str) -> Hops {
    let trusted = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"].map(|text| Network::parse(text).unwrap());
    Hops { trusted: trusted.into_iter().collect(), header: AddressHeader::parse(header).unwrap() }
}

/// A head from `Name: value` lines.
fn head(lines: &[&str]) -> HeaderMap {
    let mut head = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        head.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    head
}

#[track_caller]
fn check(header: &str, lines: &[&str], client: &str) {
    assert_eq!(hops(header).client(ip("127.0.0.1"), &head(lines)), ip(client), "{lines:?}");
}

#[test]
fn a_peer_nobody_trusts_is_the_client() {
    let said = head(&["X-Forwarded-For: 9.9.9.9", "Forwarded: for=9.9.9.9", "X-Forwarded-Proto: https"]);
    for header in ["x-forwarded-for", "forwarded", "cf-connecting-ip"] {
        assert_eq!(hops(header).client(ip("8.8.8.8"), &said), ip("8.8.8.8"));
        assert_eq!(hops(header).scheme(ip("8.8.8.8"), &said), None);
    }
    assert_eq!(Hops::default().client(ip("127.0.0.1"), &said), ip("127.0.0.1"));
}

#[test]
fn x_forwarded_for_is_walked_from_the_right() {
    let check = |value: &str, client: &str| check("x-forwarded-for", &[&format!("X-Forwarded-For: {value}")], client);
    check("1.2.3.4", "1.2.3.4");
    check("6.6.6.6, 1.2.3.4", "1.2.3.4");
    check("6.6.6.6,1.2.3.4 ,\t10.0.0.9", "1.2.3.4");
    check("10.0.0.1, 10.0.0.2", "10.0.0.1");
    check("10.0.0.1", "10.0.0.1");
    check("1.2.3.4:567", "1.2.3.4");
    check("2001:db8::1", "2001:db8::1");
    check("[2001:db8::1]:567", "2001:db8::1");
    check("[2001:db8::1]", "2001:db8::1");
    check("::ffff:1.2.3.4", "1.2.3.4");
    check("1.2.3.4, ::ffff:10.0.0.1", "1.2.3.4");
}

#[test]
fn what_is_no_address_ends_the_walk() {
    let bad = [
        "garbage",
        "unknown",
        "_hidden",
        "",
        " ",
        "01.2.3.4",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "0x1.2.3.4",
        "16909060",
        "fe80::1%eth0",
        "[fe80::1%eth0]:1",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:65536",
        "1.2.3.4:+80",
        "1.2.3.4:000080",
        "[1.2.3.4]",
        "[::1",
        "::1]",
        "[::1]80",
        "1.2.3.4 5",
        "\"1.2.3.4\"",
        "for=1.2.3.4",
        "\u{ff11}.2.3.4",
    ];
    for bad in bad {
        let line = |value: &str| format!("X-Forwarded-For: {value}");
        check("x-forwarded-for", &[&line(bad)], "127.0.0.1");
        check("x-forwarded-for", &[&line(&format!("1.2.3.5, {bad}"))], "127.0.0.1");
        check("x-forwarded-for", &[&line(&format!("1.2.3.5, {bad}, 10.0.0.7"))], "10.0.0.7");
        check("x-forwarded-for", &[&line(&format!("{bad}, 1.2.3.4"))], "1.2.3.4");
        check("cf-connecting-ip", &[&format!("CF-Connecting-IP: {bad}")], "127.0.0.1");
    }
}

#[test]
fn lines_join_in_order() {
    check("x-forwarded-for", &["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 1.2.3.4, 10.0.0.1"], "1.2.3.4");
    check("x-forwarded-for", &["X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 10.0.0.1"], "1.2.3.4");
    check("x-forwarded-for", &["X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: "], "127.0.0.1");
    check("forwarded", &["Forwarded: for=6.6.6.6", "Forwarded: for=1.2.3.4", "Forwarded: for=10.0.0.1"], "1.2.3.4");
}

#[test]
fn only_the_configured_field_is_read() {
    let lines = ["X-Forwarded-For: 1.1.1.1", "Forwarded: for=2.2.2.2", "CF-Connecting-IP: 3.3.3.3"];
    check("x-forwarded-for", &lines, "1.1.1.1");
    check("forwarded", &lines, "2.2.2.2");
    check("CF-Connecting-IP", &lines, "3.3.3.3");
    check("true-client-ip", &lines, "127.0.0.1");
}

#[test]
fn a_single_address_is_exactly_one() {
    check("cf-connecting-ip", &["CF-Connecting-IP: 2001:db8::1"], "2001:db8::1");
    check("cf-connecting-ip", &["CF-Connecting-IP: 1.2.3.4, 1.2.3.5"], "127.0.0.1");
    check("cf-connecting-ip", &["CF-Connecting-IP: 1.2.3.4", "CF-Connecting-IP: 1.2.3.4"], "127.0.0.1");
}

#[test]
fn at_most_64_elements_are_read() {
    let trusted = |count: usize| vec!["10.0.0.1"; count].join(", ");
    check("x-forwarded-for", &[&format!("X-Forwarded-For: 1.2.3.4, {}", trusted(63))], "1.2.3.4");
    check("x-forwarded-for", &[&format!("X-Forwarded-For: 1.2.3.4, {}", trusted(64))], "10.0.0.1");
    let mut lines = vec!["X-Forwarded-For: 1.2.3.4"];
    lines.extend(["X-Forwarded-For: 10.0.0.1"; 63]);
    check("x-forwarded-for", &lines, "1.2.3.4");
    lines.push("X-Forwarded-For: 10.0.0.2");
    check("x-forwarded-for", &lines, "10.0.0.1");
}

#[test]
fn forwarded_is_read_by_its_grammar() {
    let check = |value: &str, client: &str| check("forwarded", &[&format!("Forwarded: {value}")], client);
    check("for=1.2.3.4", "1.2.3.4");
    check("For=1.2.3.4;proto=https;by=203.0.113.43", "1.2.3.4");
    check("proto=https; for=1.2.3.4 ; host=\"a,b;c\"", "1.2.3.4");
    check("for=\"1.2.3.4:567\"", "1.2.3.4");
    check("for=\"1.2.3.4:_port\"", "1.2.3.4");
    check("for=\"[2001:db8::1]:567\"", "2001:db8::1");
    check("for=\"[2001:db8::1]\"", "2001:db8::1");
    check("for=6.6.6.6, for=1.2.3.4, for=10.0.0.1", "1.2.3.4");
    check("for=6.6.6.6, for=1.2.3.4;host=\"x\\\"y,z\\\\\", for=10.0.0.1", "1.2.3.4");

    let bad = [
        "for=unknown",
        "for=_hidden",
        "for=",
        "for",
        "",
        "proto=https",
        "for=1.2.3.4;for=1.2.3.5",
        "for=1.2.3.4:80",
        "for=[::1]",
        "for=\"::1\"",
        "for= 1.2.3.4",
        "for =1.2.3.4",
        "for=\"1.2.3.4",
        "for=1.2.3.4\"",
        "for=1.2.3.4;",
        "for=\"1.2.3\\.4\"",
        "for=1.2.3.4 proto=https",
        "1.2.3.4",
        "for=\"1.2.3.4:_\"",
    ];
    for bad in bad {
        check(&format!("for=9.9.9.9, {bad}"), "127.0.0.1");
        check(&format!("{bad}, for=1.2.3.4"), "1.2.3.4");
    }
}

#[test]
fn nothing_to_the_left_changes_how_an_element_is_read() {
    for prefix in ["for=\"evil", "\"", "\\\"", "for=\"a\\", "for=\"\\\"", "a,\"b,c", "\"\"\"", ","] {
        check("forwarded", &[&format!("Forwarded: {prefix}, for=1.2.3.4;host=\"a,b\"")], "1.2.3.4");
    }
}

#[test]
fn the_scheme_is_the_rightmost() {
    let scheme = |header: &str, lines: &[&str]| hops(header).scheme(ip("127.0.0.1"), &head(lines));
    let proto = |value: &str| scheme("x-forwarded-for", &[&format!("X-Forwarded-Proto: {value}")]);
    assert_eq!(proto("https"), Some(Scheme::Https));
    assert_eq!(proto("HTTP"), Some(Scheme::Http));
    assert_eq!(proto("wss"), Some(Scheme::Https));
    assert_eq!(proto("https, http"), Some(Scheme::Http));
    assert_eq!(proto("http , https "), Some(Scheme::Https));
    assert_eq!(proto("https,"), None);
    assert_eq!(proto("httpsx"), None);
    assert_eq!(scheme("x-forwarded-for", &["Forwarded: for=1.2.3.4;proto=https"]), None);
    assert_eq!(scheme("forwarded", &["Forwarded: for=1.2.3.4;proto=https"]), Some(Scheme::Https));
    assert_eq!(scheme("forwarded", &["Forwarded: proto=https, for=1.2.3.4"]), None);
    assert_eq!(scheme("forwarded", &["Forwarded: proto=https", "Forwarded: proto=http"]), Some(Scheme::Http));
    assert_eq!(scheme("forwarded", &["X-Forwarded-Proto: https"]), None);
}
