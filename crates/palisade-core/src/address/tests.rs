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
    let networks: Networks =
        ["10.0.0.0/8", "192.168.1.7", "2001:db8::/32"].map(|text| Network::parse(text).unwrap()).into_iter().collect();
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
