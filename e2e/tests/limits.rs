//! Addresses, paths and what an exhausted limit looks like to a client.

use e2e::{Gateway, Launch, Received, Wire};
use palisade_testkit::upstream::{Answer, Upstream};

/// A gateway with `per_ip` and further lines of `[app]`.
async fn start(per_ip: &str, app: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\n{app}\n[limits]\nper_ip = \"{per_ip}\"\n", upstream.url());
    let gateway = Launch::config(config).start().await;
    (upstream, gateway)
}

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.0/8\"]";

async fn send(gateway: &Gateway, line: &str, fields: &str) -> Received {
    let mut wire = Wire::open(gateway.public).await;
    wire.send(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await.unwrap();
    if line.starts_with("HEAD ") { wire.head().await.unwrap() } else { wire.answer().await.unwrap() }
}

/// The status of a GET that comes from `from`, as a proxy tells it.
async fn from(gateway: &Gateway, from: &str) -> u16 {
    send(gateway, "GET /x", &format!("X-Forwarded-For: {from}\r\n")).await.status
}

#[tokio::test]
async fn the_fields_count_down_and_the_refusal_says_when() {
    let (upstream, gateway) = start("5/10m", "").await;
    for left in (0..5).rev() {
        let answer = gateway.get("/api/x").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("ratelimit-policy").as_deref(), Some("\"per_ip\";q=5;w=600"));
        // The time is that until one more fits, however many are left.
        assert_eq!(answer.field("ratelimit"), Some(format!("\"per_ip\";r={left};t=120")));
        assert_eq!(answer.field("retry-after"), None);
    }
    let refused = gateway.get("/api/x").await;
    assert_eq!(refused.refusal(), "429 limits.rate");
    let problem = refused.problem();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], serde_json::json!(["per_ip"]));
    assert_eq!(refused.field("retry-after").as_deref(), Some("120"));
    assert_eq!(refused.field("cache-control").as_deref(), Some("no-store"));
    assert_eq!(refused.field("ratelimit").as_deref(), Some("\"per_ip\";r=0;t=120"));
    assert_eq!(upstream.seen().requests(), 5);
}

#[tokio::test]
async fn forged_addresses_change_nothing() {
    let (upstream, gateway) = start("5/10m", "").await;
    for _ in 0..6 {
        gateway.get("/api/x").await;
    }
    // Nobody is trusted, so nobody's word about the address counts.
    for fields in ["X-Forwarded-For: 9.9.9.9\r\n", "Forwarded: for=9.9.9.9\r\n", "X-Real-IP: 9.9.9.9\r\n"] {
        assert_eq!(send(&gateway, "GET /api/x", fields).await.status, 429, "{fields}");
    }
    assert_eq!(upstream.seen().requests(), 5);
}

#[tokio::test]
async fn a_path_without_normal_form_is_refused_and_costs_nothing() {
    let (upstream, gateway) = start("5/10m", "").await;
    for path in [
        "/api/..%2fx",
        "/api/%00",
        "/api\\x",
        "/../api/x",
        "/api/%zz",
        "/api/%",
        "/api/%5cx",
        "/api/%c0%ae",
        "/api/%252e%252e/x",
        "/api/..;x/y",
        "/api/%0a",
    ] {
        assert_eq!(send(&gateway, &format!("GET {path}"), "").await.refusal(), "400 path.malformed", "{path}");
    }
    assert_eq!(upstream.seen().requests(), 0);
    let answer = gateway.get("/api/x").await;
    assert_eq!((answer.status, answer.field("ratelimit").as_deref()), (200, Some("\"per_ip\";r=4;t=120")));
}

#[tokio::test]
async fn the_application_receives_the_path_that_was_judged() {
    let (upstream, gateway) = start("off", "").await;
    for (sent, arrives) in [
        ("/a//b/./c/../d?q=//./..", "/a/b/d?q=//./.."),
        ("/%61%2Fb%3b", "/a%2Fb%3B"),
        ("/a;p=1/", "/a;p=1/"),
        ("http://localhost/a", "/a"),
    ] {
        assert_eq!(send(&gateway, &format!("GET {sent}"), "").await.status, 200, "{sent}");
        assert_eq!(upstream.seen().heads().pop().unwrap().target(), arrives, "{sent}");
    }
}

#[tokio::test]
async fn the_address_is_the_last_one_that_no_trusted_proxy_wrote() {
    let (_upstream, gateway) = start("5/10m", TRUSTED).await;
    // What stands further left was written by the client.
    for number in 1..=6 {
        let status = from(&gateway, &format!("6.6.6.{number}, 1.2.3.4")).await;
        assert_eq!(status, if number == 6 { 429 } else { 200 }, "request {number}");
    }
    // Text that is no address ends the walk: the client is the last good hop.
    assert_eq!(from(&gateway, "1.2.3.5, garbage").await, 200);
    // Each worker tells of its own requests, so the last line need not be the last request's.
    let records = gateway.records(7).await;
    let hop = records.iter().filter(|record| record["client_address"] == "127.0.0.1").count();
    assert_eq!(hop, 1);
}

#[tokio::test]
async fn one_ipv6_network_is_one_client_and_a_larger_one_has_a_ladder() {
    let (_upstream, gateway) = start("5/10m", TRUSTED).await;
    for host in 1..=6 {
        assert_eq!(from(&gateway, &format!("2001:db8:1:2::{host}")).await, if host == 6 { 429 } else { 200 });
    }
    assert_eq!(from(&gateway, "2001:db8:1:3::1").await, 200);

    let refused = |network: u32| format!("X-Forwarded-For: 2001:db8:2:{network:x}::1\r\n");
    for network in 1..=20 {
        assert_eq!(send(&gateway, "GET /x", &refused(network)).await.status, 200, "network {network}");
    }
    let answer = send(&gateway, "GET /x", &refused(21)).await;
    assert_eq!(answer.refusal(), "429 limits.rate");
    assert_eq!(answer.problem()["violated-policies"], serde_json::json!(["per_ip/56"]));
    assert_eq!(answer.field("retry-after").as_deref(), Some("30"));
}

#[tokio::test]
async fn ipv4_in_ipv6_is_the_same_client() {
    let (_upstream, gateway) = start("2/10m", TRUSTED).await;
    for (address, status) in [("1.2.3.4", 200), ("::ffff:1.2.3.4", 200), ("::ffff:102:304", 429)] {
        assert_eq!(from(&gateway, address).await, status, "{address}");
    }
}

#[tokio::test]
async fn reported_limits_refuse_nobody() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\n[limits]\nmode = \"report\"\nper_ip = \"5/10m\"\n", upstream.url());
    let gateway = Launch::config(config).start().await;
    for _ in 0..10 {
        let answer = gateway.get("/").await;
        assert_eq!((answer.status, answer.field("ratelimit")), (200, None));
    }
    let would = [("limit", "per_ip"), ("outcome", "would_refuse")];
    assert_eq!(gateway.counted(10).await.sum("palisade_limits_requests_total", &would), 5.0);
}
