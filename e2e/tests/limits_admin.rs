//! Limits at run time: `palisade limit` and the admin API behind it.

use std::process::{Command, Output};

use e2e::gateway::binary;
use e2e::{Gateway, LIMIT, Launch, Wire};
use palisade_testkit::redis::{Program, Server};
use palisade_testkit::upstream::{Answer, Upstream};
use rustix::process::Signal;
use serde_json::Value;

async fn start(config: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\n{config}", upstream.url());
    let gateway = Launch::config(config).start().await;
    (upstream, gateway)
}

const API: &str = "[limits]\nper_ip = \"off\"\n[limits.api]\non = \"/api/**\"\nkey = \"ip\"\nrate = \"5/10m\"\n";

/// `palisade limit …` against a gateway.
fn run(gateway: &Gateway, arguments: &[&str]) -> Output {
    let admin = format!("http://{}", gateway.listener("admin"));
    let mut command = Command::new(binary());
    command.arg("limit").args(arguments).args(["--admin", &admin, "--format", "json"]).output().unwrap()
}

/// The same, which must be done, and its answer.
fn limit(gateway: &Gateway, arguments: &[&str]) -> Value {
    let output = run(gateway, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn statuses(gateway: &Gateway, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(gateway.get("/api/x").await.status);
    }
    statuses
}

const HERE: &str = "ip:127.0.0.1";

#[tokio::test]
async fn scenario_24_a_key_is_shown_and_reset() {
    let (_upstream, gateway) = start(API).await;
    assert_eq!(statuses(&gateway, 6).await, [200, 200, 200, 200, 200, 429]);
    for _ in 0..2 {
        let mut shown = limit(&gateway, &["show", "api", HERE]);
        let wait = shown["retry_after_ms"].take().as_u64().unwrap();
        assert!((100_000..=120_000).contains(&wait), "{wait}");
        let rest = r#"{"limit":"api","key":"ip:127.0.0.1","rate":"5/10m","remaining":0,"retry_after_ms":null,"pending":0,"banned_until":null,"override":null,"store":"memory"}"#;
        assert_eq!(shown.to_string(), rest, "reading changes nothing");
    }
    assert_eq!(limit(&gateway, &["reset", "api", HERE])["remaining"], 5);
    let answer = gateway.get("/api/x").await;
    assert_eq!((answer.status, answer.field("ratelimit").as_deref()), (200, Some("\"api\";r=4;t=120")));
    let told = gateway.line("the change", |line| line["event"] == "limits.changed").await;
    assert_eq!((&told["limit"], &told["key"], &told["change"]), (&"api".into(), &HERE.into(), &"reset".into()));
}

#[tokio::test]
async fn who_uses_a_limit_most_is_told() {
    let (_upstream, gateway) = start(API).await;
    statuses(&gateway, 7).await;
    // Told of records, which come a moment later.
    e2e::within("the records are told", async {
        loop {
            let top = limit(&gateway, &["top", "api"]);
            let of = |name: &str| (top[name][0]["key"] == HERE).then(|| top[name][0]["requests"].as_u64()).flatten();
            if (of("most_charged"), of("most_refused")) == (Some(5), Some(2)) {
                break;
            }
        }
    })
    .await;
}

/// Whose address it was that somebody behind a proxy made up.
#[tokio::test]
async fn scenario_8_an_element_that_is_no_address_is_charged_to_the_last_good_hop() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let app = format!("[app]\nupstream = \"{}\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n", upstream.url());
    let gateway = Launch::config(format!("{app}{API}")).start().await;
    let mut wire = Wire::open(gateway.public).await;
    let request = "GET /api/x HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 1.2.3.5, garbage\r\n\r\n";
    assert_eq!(wire.exchange(request.as_bytes()).await.1.unwrap().status, 200);
    assert_eq!(limit(&gateway, &["show", "api", HERE])["remaining"], 4);
    assert_eq!(limit(&gateway, &["show", "api", "ip:1.2.3.5"])["remaining"], 5);
}

#[tokio::test]
async fn scenario_23_what_a_stream_used_is_shown() {
    let script = |_: &_| {
        let stream = ["data: {\"x\":1}\n\n", "data: {\"usage\":{\"total_tokens\":400}}\n\ndata: [DONE]\n\n"];
        Answer::chunks("text/event-stream", stream, std::time::Duration::ZERO)
    };
    let upstream = Upstream::start(script).unwrap();
    let limits = "[limits]\nper_ip = \"off\"\n[limits.chat]\ncost = \"tokens\"\nrate = \"1000/d\"\nreserve = 600\n";
    let gateway = Launch::config(format!("[app]\nupstream = \"{}\"\n{limits}", upstream.url())).start().await;
    assert_eq!(gateway.get("/x").await.status, 200);
    let shown = limit(&gateway, &["show", "chat", HERE]);
    assert_eq!((&shown["remaining"], &shown["pending"]), (&600.into(), &0.into()));
}

#[tokio::test]
async fn a_key_has_another_rate_for_a_while() {
    let (_upstream, gateway) = start(API).await;
    let shown = limit(&gateway, &["set", "api", HERE, "8/10m", "--for", "2h"]);
    assert_eq!(
        (&shown["rate"], &shown["override"]["rate"], &shown["remaining"]),
        (&"8/10m".into(), &"8/10m".into(), &8.into())
    );
    let answer = gateway.get("/api/x").await;
    assert_eq!(answer.field("ratelimit-policy").as_deref(), Some("\"api\";q=8;w=600"));
    assert_eq!(statuses(&gateway, 8).await, [200, 200, 200, 200, 200, 200, 200, 429]);
    let shown = limit(&gateway, &["unset", "api", HERE]);
    assert_eq!((&shown["rate"], &shown["override"], &shown["remaining"]), (&"5/10m".into(), &Value::Null, &0.into()));
}

#[tokio::test]
async fn a_key_is_banned_and_let_in_again() {
    let (upstream, gateway) = start(API).await;
    let shown = limit(&gateway, &["ban", "api", HERE, "--for", "24h"]);
    assert!(shown["banned_until"].is_string() && shown["retry_after_ms"].as_u64() > Some(86_000_000), "{shown}");
    let banned = gateway.get("/api/x").await;
    assert_eq!(banned.refusal(), "429 limits.banned");
    assert_eq!(banned.problem()["violated-policies"], serde_json::json!(["api"]));
    assert!(banned.field("retry-after").unwrap().parse::<u64>().unwrap() > 86_000);
    assert_eq!(gateway.get("/other").await.status, 200, "only where the limit applies");
    assert_eq!(limit(&gateway, &["unban", "api", HERE])["banned_until"], Value::Null);
    assert_eq!(statuses(&gateway, 6).await, [200, 200, 200, 200, 200, 429], "a ban has spent nothing");
    assert_eq!(limit(&gateway, &["ban", "api", HERE])["remaining"], 0);
    assert_eq!(limit(&gateway, &["reset", "api", HERE])["banned_until"], Value::Null);
    assert_eq!(gateway.get("/api/x").await.status, 200);
    assert!(upstream.reached(LIMIT, |seen| seen.requests() == 7).await);
}

/// A ban that a limit began is ended by an operator, too.
#[tokio::test]
async fn a_ban_of_the_limits_own_is_ended() {
    let (_upstream, gateway) = start(&format!("{API}ban = [\"15m\"]\nban_after = 1\n")).await;
    assert_eq!(statuses(&gateway, 6).await.last(), Some(&429));
    assert!(limit(&gateway, &["show", "api", HERE])["banned_until"].is_string());
    let shown = limit(&gateway, &["unban", "api", HERE]);
    assert_eq!((&shown["banned_until"], &shown["remaining"]), (&Value::Null, &0.into()));
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let (_upstream, gateway) = start(&format!("{API}[limits.slots]\nconcurrent = 2\n")).await;
    for (arguments, code, words) in [
        (&["show", "nope", HERE][..], 1, "limits.unknown_limit: there is no limit `nope`; there are "),
        (&["show", "api", "127.0.0.1"], 1, "limits.bad_key"),
        (&["set", "api", HERE, "20/min"], 1, "write `20/m`"),
        (&["set", "api", HERE, "5/m", "--for", "soon"], 1, "limits.bad_rate: `for`"),
        (&["set", "slots", HERE, "5/m"], 1, "`slots` has no rate"),
        (&["show", "api"], 2, "<KEY>"),
    ] {
        let output = run(&gateway, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let nowhere = Command::new(binary()).args(["limit", "list", "--admin", "http://127.0.0.1:1"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(4));
    let listed = limit(&gateway, &["list"]);
    let names: Vec<_> =
        listed["limits"].as_array().unwrap().iter().map(|limit| limit["limit"].as_str().unwrap()).collect();
    assert_eq!(names, ["assets", "preflight", "api", "slots"]);
}

/// A page of another origin in an operator's browser, and what is no change.
#[tokio::test]
async fn the_api_refuses_what_it_should() {
    let (_upstream, gateway) = start(API).await;
    let ask = async |line: &str, fields: &str, body: &str| {
        let mut wire = Wire::open(gateway.listener("admin")).await;
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
        // Whoever refuses early need not read the rest.
        let (_, answer) = wire.exchange(format!("{head}{body}").as_bytes()).await;
        answer.unwrap()
    };
    let path = "/api/v1/limits/api/ip:127.0.0.1";
    let ban = "{\"ban\":\"1h\"}";
    for (line, fields, body, refusal) in [
        (format!("PUT {path}"), "Origin: https://evil.example\r\n", ban.to_owned(), "403 csrf.cross_site"),
        (format!("DELETE {path}"), "Sec-Fetch-Site: cross-site\r\n", String::new(), "403 csrf.cross_site"),
        (format!("PUT {path}"), "", "{}".to_owned(), "400 limits.bad_rate"),
        (format!("PUT {path}"), "", "{\"ban\":\"1h\",\"x\":1}".to_owned(), "400 limits.bad_rate"),
        (format!("PUT {path}"), "", "[".repeat(10_000), "400 limits.bad_rate"),
        (format!("PUT {path}"), "", " ".repeat(20_000), "413 http.body_too_large"),
        (format!("POST {path}"), "", ban.to_owned(), "405 http.method_not_allowed"),
        ("PUT /api/v1/limits/api".to_owned(), "", ban.to_owned(), "405 http.method_not_allowed"),
        (format!("GET {path}/more"), "", String::new(), "404 http.not_found"),
        ("GET /api/v1/limitsx".to_owned(), "", String::new(), "404 http.not_found"),
        ("GET /api/v1/limits/api/%zz".to_owned(), "", String::new(), "400 limits.bad_key"),
    ] {
        assert_eq!(ask(&line, fields, &body).await.refusal(), refusal, "{line} {fields}");
    }
    assert_eq!(gateway.get("/api/x").await.status, 200);
    assert_eq!(ask(&format!("PUT {path}"), "", ban).await.status, 200);
    assert_eq!(gateway.get("/api/x").await.refusal(), "429 limits.banned");
}

/// What is set holds on every gateway of a store, and after a restart.
#[tokio::test]
async fn gateways_of_a_store_share_what_is_set() {
    let store: Server = Program::Redis.start();
    let limits = API.replace("[limits]\n", "[limits]\nstore_deadline = \"1s\"\n");
    let config = format!("[store]\ncounters = \"{}\"\n{limits}", store.url());
    let (_first_upstream, first) = start(&config).await;
    let (_second_upstream, second) = start(&config).await;
    for gateway in [&first, &second] {
        e2e::within("the store is up", async {
            while gateway.scrape().await.sum("palisade_limits_store_up", &[]) < 1.0 {}
        })
        .await;
    }
    let shown = limit(&first, &["set", "api", HERE, "8/10m"]);
    assert_eq!((&shown["store"], &shown["override"]["rate"]), (&"redis".into(), &"8/10m".into()));
    e2e::within("the other gateway knows it", async {
        while limit(&second, &["show", "api", HERE])["rate"] != "8/10m" {}
    })
    .await;
    let both = [statuses(&first, 5).await, statuses(&second, 5).await].concat();
    assert_eq!(both.iter().filter(|status| **status == 200).count(), 8);
    drop(first);
    let (_third_upstream, third) = start(&config).await;
    e2e::within("a new gateway knows it", async {
        while !matches!(&limit_of(&third)["rate"], Value::String(rate) if rate == "8/10m") {}
    })
    .await;
    limit(&third, &["reset", "api", HERE]);
    assert_eq!(limit(&second, &["show", "api", HERE])["remaining"], 8);
}

/// While the store isn't there yet nothing can be shown.
fn limit_of(gateway: &Gateway) -> Value {
    serde_json::from_slice(&run(gateway, &["show", "api", HERE]).stdout).unwrap_or_default()
}

/// The wait that is told is the wait that there is, also for who owes more than the new rate can.
#[tokio::test]
async fn a_raised_rate_lets_in_who_was_used_up() {
    let (_upstream, gateway) = start(API).await;
    assert_eq!(statuses(&gateway, 6).await.last(), Some(&429));
    let shown = limit(&gateway, &["set", "api", HERE, "600/m burst 5"]);
    assert_eq!(shown["retry_after_ms"], 100);
    e2e::within("admitted again", async { while gateway.get("/api/x").await.status != 200 {} }).await;
}

/// What was acknowledged is on the disk.
#[tokio::test]
async fn what_is_set_survives_a_kill() {
    let state = tempfile::tempdir().unwrap();
    let config = format!("[store]\ndirectory = \"{}\"\n{API}", state.path().display());
    let (_upstream, mut gateway) = start(&config).await;
    limit(&gateway, &["set", "api", HERE, "8/10m"]);
    limit(&gateway, &["ban", "api", "ip:192.0.2.1"]);
    limit(&gateway, &["ban", "api", "ip:192.0.2.2"]);
    assert_eq!(limit(&gateway, &["unban", "api", "ip:192.0.2.2"])["warning"], Value::Null);
    gateway.signal(Signal::KILL);
    gateway.exit().await;
    let (_upstream, gateway) = start(&config).await;
    assert_eq!(limit(&gateway, &["show", "api", HERE])["rate"], "8/10m");
    assert!(limit(&gateway, &["show", "api", "ip:192.0.2.1"])["banned_until"].is_string());
    assert_eq!(limit(&gateway, &["show", "api", "ip:192.0.2.2"])["banned_until"], Value::Null);
}

/// It holds all the same where nothing can be kept, and who set it is told.
#[tokio::test]
async fn what_cannot_be_kept_says_so() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("no-directory");
    std::fs::write(&file, "").unwrap();
    let (_upstream, gateway) = start(&format!("[store]\ndirectory = \"{}\"\n{API}", file.display())).await;
    let shown = limit(&gateway, &["ban", "api", HERE]);
    assert!(shown["warning"].as_str().unwrap().starts_with("a restart will forget this: "), "{shown}");
    assert_eq!(gateway.get("/api/x").await.refusal(), "429 limits.banned");
}

/// Without saying where it is: the configuration names the state directory.
#[tokio::test]
async fn a_gateway_of_this_machine_is_reached_by_its_control_socket() {
    let state = tempfile::tempdir().unwrap();
    let config = format!("[store]\ndirectory = \"{}\"\n{API}", state.path().display());
    let here = |gateway: &Gateway, arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.arg("limit").args(arguments).args(["--format", "json", "--config"]);
        command.arg(gateway.home().join("palisade.toml")).output().unwrap()
    };
    for _ in 0..2 {
        let (_upstream, mut gateway) = start(&config).await;
        e2e::within("the socket is there", async { while !state.path().join("control.sock").exists() {} }).await;
        let output = here(&gateway, &["show", "api", HERE]);
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(shown["remaining"], 5);
        // The next one takes the place of what is left behind.
        gateway.signal(Signal::KILL);
        gateway.exit().await;
        let gone = here(&gateway, &["list"]);
        assert_eq!(gone.status.code(), Some(4), "{gone:?}");
        assert!(String::from_utf8_lossy(&gone.stderr).contains("control.sock"), "{gone:?}");
    }
}
