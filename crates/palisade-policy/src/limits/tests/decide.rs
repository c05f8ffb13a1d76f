use proptest::prelude::*;

use super::*;

fn five() -> Gate {
    Gate::api([("rate", Value::from("5/10m"))])
}

/// Scenarios 1 and 2 of the acceptance table, and both sides of the instant at which one more fits.
#[test]
fn one_address() {
    let mut gate = five();
    for left in (0..5).rev() {
        assert_eq!(gate.get("/api/x"), format!("allow \"api\";r={left};t=120"));
    }
    let refused = |wait: &str, t: u32| format!("429 limits.rate, violated api, retry after {wait} \"api\";r=0;t={t}");
    assert_eq!(gate.get("/api/x"), refused("120s", 120));
    gate.now = 120 * SECOND - 1;
    assert_eq!(gate.get("/api/x"), refused("1ns", 1));
    assert_eq!(gate.get("/other"), "allow");
    assert_eq!(gate.ask("GET /api/x", "192.0.2.2"), "allow \"api\";r=4;t=120");
    assert_eq!(gate.ask("GET /api/x", "::ffff:192.0.2.2"), "allow \"api\";r=3;t=120");
    gate.now = 120 * SECOND;
    assert_eq!(gate.get("/api/x"), "allow \"api\";r=0;t=120");
}

/// Scenario 3: refusals cost nothing.
#[test]
fn a_thousand_refusals_delay_nobody() {
    let mut gate = five();
    for _ in 0..5 {
        gate.get("/api/x");
    }
    gate.now = 119_999_000_000;
    for _ in 0..1_000 {
        assert_eq!(gate.get("/api/x"), "429 limits.rate, violated api, retry after 1ms \"api\";r=0;t=1");
    }
    gate.now = 120 * SECOND;
    assert!(gate.get("/api/x").starts_with("allow"));
}

/// Scenario 10.
#[test]
fn the_ladder_is_told_when_it_refuses() {
    let mut gate = five();
    for prefix in 0..20 {
        assert_eq!(gate.ask("GET /api/x", &format!("2001:db8:1:{prefix:x}::1")), "allow \"api\";r=4;t=120");
    }
    assert_eq!(
        gate.ask("GET /api/x", "2001:db8:1:14::1"),
        "429 limits.rate, violated api/56, retry after 30s \"api\";r=5, \"api/56\";r=0;t=30"
    );
    assert_eq!(gate.ask("GET /api/x", "2001:db8:1:100::1"), "allow \"api\";r=4;t=120", "another /56");
}

#[test]
fn all_that_refuse_are_named_and_the_longest_wait_counts() {
    let mut gate = Gate::api([("rate", Value::from("1/16s"))]);
    for site in 0..16 {
        assert!(gate.ask("GET /api", &format!("2001:db8:1:{site:x}00::1")).starts_with("allow"));
    }
    let refused = gate.ask("GET /api", "2001:db8:1:f00::2");
    assert!(refused.starts_with("429 limits.rate, violated api api/48, retry after 16s "), "{refused}");
}

/// Scenario 15: what refuses alone spends nothing of the others.
#[test]
fn one_step_of_two_limits() {
    let limit = |rate: &str| table([("on", Value::from("/x")), ("rate", Value::from(rate))]);
    let mut gate = Gate::new([("per_ip", Value::from("62500/s")), ("a", limit("5/10m")), ("b", limit("3/1h"))]);
    for left in (0..3).rev() {
        let expected = format!("allow \"a\";r={};t=120, \"b\";r={left};t=1200", left + 2);
        assert_eq!(gate.get("/x"), expected);
    }
    assert_eq!(gate.get("/x"), "429 limits.rate, violated b, retry after 1200s \"a\";r=2;t=120, \"b\";r=0;t=1200");
}

#[test]
fn a_quota_beside_a_rate() {
    let mut gate = Gate::api([("rate", Value::from("5/10m")), ("quota", Value::from("2 per hour"))]);
    gate.now = 3_000 * SECOND;
    assert_eq!(gate.get("/api"), "allow \"api\";r=4;t=120, \"api/quota\";r=1;t=600");
    assert_eq!(gate.get("/api"), "allow \"api\";r=3;t=120, \"api/quota\";r=0;t=600");
    let refused = "429 limits.quota, violated api/quota, retry after 600s \"api\";r=3;t=120, \"api/quota\";r=0;t=600";
    assert_eq!(gate.get("/api"), refused);
    gate.now = 3_600 * SECOND;
    assert!(gate.get("/api").starts_with("allow"));
}

#[test]
fn slots() {
    let mut gate = Gate::api([("concurrent", Value::from(2)), ("rate", Value::from("9/m"))]);
    assert_eq!(gate.get("/api"), "allow \"api\";r=8;t=7, \"api/concurrent\";r=1");
    assert_eq!(gate.get("/api"), "allow \"api\";r=7;t=7, \"api/concurrent\";r=0");
    let refused =
        "429 limits.concurrent, violated api/concurrent, retry after 1s \"api\";r=7;t=7, \"api/concurrent\";r=0";
    assert_eq!(gate.get("/api"), refused);
    assert!(gate.ask("GET /api", "192.0.2.2").starts_with("allow"));
    let plans = table([("anon", Value::from(1)), ("pro", Value::from("unlimited"))]);
    let mut gate = Gate::api([("concurrent", plans)]);
    assert!(gate.get("/api").starts_with("allow"));
    assert!(gate.get("/api").starts_with("429"));
    gate.user("google:42", Some("pro"));
    assert_eq!(gate.get("/api"), "allow");
}

#[test]
fn costs() {
    let mut gate = Gate::api([("rate", Value::from("5/10m")), ("cost", Value::from(2))]);
    assert_eq!(gate.get("/api"), "allow \"api\";r=3;t=120");
    assert_eq!(gate.get("/api"), "allow \"api\";r=1;t=120");
    assert_eq!(gate.get("/api"), "429 limits.rate, violated api, retry after 120s \"api\";r=1;t=120");
}

/// Scenario 16: the key does not hold the plan.
#[test]
fn a_plan_changes_the_rate_and_not_the_counter() {
    let plans = table([("free", Value::from("5/10m")), ("pro", Value::from("10/10m")), ("anon", Value::from("1/10m"))]);
    let mut gate = Gate::api([("key", Value::from("user")), ("rate", plans)]);
    assert_eq!(gate.get("/api"), "allow \"api\";r=0;t=600");
    assert!(gate.get("/api").starts_with("429"), "anonymous ones have their address");
    gate.user("google:42", Some("pro"));
    for left in (0..10).rev() {
        assert_eq!(gate.get("/api"), format!("allow \"api\";r={left};t=60"));
    }
    gate.user("google:42", Some("free"));
    assert_eq!(gate.get("/api"), "429 limits.rate, violated api, retry after 120s \"api\";r=0;t=120");
    gate.user("google:43", None);
    assert_eq!(gate.get("/api"), "allow \"api\";r=4;t=120", "no plan is the strictest");
    assert_eq!(gate.ask("GET /api", "2001:db8::1"), "allow \"api\";r=3;t=120", "a user has no address");
}

#[test]
fn unlimited_is_not_asked() {
    let plans = table([("anon", Value::from("1/10m")), ("pro", Value::from("unlimited"))]);
    let mut gate = Gate::api([("key", Value::from("user")), ("rate", plans)]);
    gate.user("google:42", Some("pro"));
    for _ in 0..5 {
        assert_eq!(gate.get("/api"), "allow");
    }
}

#[test]
fn keys() {
    // One request each; then which others share its counter.
    let check = |key: &str, first: &str, same: &[&str], other: &[&str]| {
        for (requests, answer) in [(same, "429"), (other, "allow")] {
            for request in requests {
                let mut gate = Gate::new([
                    ("per_ip", Value::from("62500/s")),
                    ("api", table([("key", Value::from(key)), ("rate", Value::from("1/10m"))])),
                ]);
                let mut ask = |text: &str| {
                    let (address, request) = text.split_once(' ').unwrap();
                    gate.pass(request, address, 200, &HeaderMap::new()).answer()
                };
                assert_eq!(ask(first), "allow", "{key} {first}");
                assert!(ask(request).starts_with(answer), "{key}: {first:?} then {request:?}");
            }
        }
    };
    let plain = "192.0.2.1 GET /a HTTP/1.1";
    check("ip", plain, &["192.0.2.1 POST /b HTTP/1.1"], &["192.0.2.2 GET /a HTTP/1.1"]);
    check("global", plain, &["192.0.2.2 GET /b HTTP/1.1"], &[]);
    check("route", plain, &["192.0.2.2 GET /b HTTP/1.1"], &[]);
    let tenant = |address: &str, tenant: &str| format!("{address} GET /a HTTP/1.1\nx-tenant: {tenant}");
    check(
        "header.X-Tenant + ip",
        &tenant("192.0.2.1", "a"),
        &[&tenant("192.0.2.1", "a")],
        &[&tenant("192.0.2.1", "b"), &tenant("192.0.2.2", "a"), plain, &tenant("192.0.2.1", "a\nx-tenant: a")],
    );
    // Without the field the address counts, and its wider prefixes.
    check("header.x-tenant + route", plain, &[plain], &["192.0.2.2 GET /a HTTP/1.1", &tenant("192.0.2.1", "absent")]);
    check("api_key", plain, &[plain], &["192.0.2.2 GET /a HTTP/1.1"]);
    check("claim.org.id", plain, &[plain], &["192.0.2.2 GET /a HTTP/1.1"]);
}

#[test]
fn a_list_of_keys_makes_independent_limits() {
    let mut gate = Gate::api([("key", list(["ip", "ip + route"])), ("rate", Value::from("2/10m"))]);
    assert_eq!(gate.get("/api"), "allow \"api.ip\";r=1;t=300, \"api.ip+route\";r=1;t=300");
}

#[test]
fn claims_and_keys_of_an_identity_count() {
    let mut gate = Gate::api([("key", Value::from("claim.org.id + api_key")), ("rate", Value::from("1/10m"))]);
    let mut who = |org: &str, key: &str| {
        let claims = [("org.id".to_owned(), org.to_owned())].into();
        let user = User { subject: "x".into(), claims, api_key: Some(key.to_owned()), ..User::default() };
        gate.identity = Identity::User(Arc::new(user));
        gate.get("/api").starts_with("allow")
    };
    assert_eq!([who("a", "1"), who("a", "1"), who("b", "1"), who("a", "2")], [true, false, true, true]);
}

/// Scenario 21: reported limits count apart, and neither spend nor save anything of the others.
#[test]
fn reported_limits_refuse_nobody_and_count_all_the_same() {
    let limit = |rate: &str, mode: &str| table([("rate", Value::from(rate)), ("mode", Value::from(mode))]);
    let mut gate = Gate::new([
        ("per_ip", Value::from("62500/s")),
        ("loose", limit("4/10m", "enforce")),
        ("tight", limit("2/10m", "report")),
    ]);
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        let passed = gate.pass("GET /x HTTP/1.1", "192.0.2.1", 200, &HeaderMap::new());
        assert!(!passed.field("ratelimit").unwrap().contains("tight"));
        let said = passed.tallies.iter().skip(1).map(|tally| format!("{} {:?}", tally.item.name, tally.outcome()));
        outcomes.push(said.collect::<Vec<_>>().join(", "));
    }
    assert_eq!(outcomes[1], "loose Some(\"admitted\"), tight Some(\"admitted\")");
    assert_eq!(outcomes[3], "loose Some(\"admitted\"), tight Some(\"would_refuse\")");
    assert_eq!(outcomes[4], "loose Some(\"refused\")");
}

proptest! {
    /// However a client changes its address within a prefix, it gains at most the prefix's factor.
    #[test]
    fn rotation_gains_at_most_the_factor(tails in proptest::collection::vec(any::<u128>(), 1..200)) {
        for (bits, burst) in [(64, 3), (56, 12), (48, 48)] {
            let mut gate = Gate::api([("rate", Value::from("3/1h"))]);
            let network = 0x2001_0db8_0001_0000_0000_0000_0000_0000_u128;
            let admitted = tails.iter().filter(|tail| {
                let address = std::net::Ipv6Addr::from(network | (**tail >> bits));
                gate.ask("GET /api", &address.to_string()).starts_with("allow")
            });
            prop_assert!(admitted.count() <= burst);
        }
    }
}
