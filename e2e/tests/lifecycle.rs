//! Signals: a graceful end, reload, and a start after the worst end.

use std::fs;
use std::time::{Duration, Instant};

use e2e::{Gateway, Launch, Traffic, Wire, within};
use palisade_testkit::upstream::{Answer, Request, Upstream};
use rustix::process::Signal;

const UPGRADE: &str = "GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn script(request: &Request) -> Answer {
    match request.target().as_str() {
        "/slow" => Answer::ok("slow").after(Duration::from_secs(3)),
        "/events" => Answer::chunks("text/event-stream", vec!["data: tick\n\n"; 600], Duration::from_millis(100)),
        "/socket" => Answer::websocket(),
        "/silent" => Answer::silent(),
        _ => Answer::ok("ok"),
    }
}

async fn opened(gateway: &Gateway, request: &str, status: u16) -> Wire {
    let mut wire = Wire::open(gateway.public).await;
    wire.send(request).await.unwrap();
    assert_eq!(wire.head().await.unwrap().status, status);
    wire
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_end_loses_nothing() {
    let upstream = Upstream::start(script).unwrap();
    let config =
        format!("[app]\nupstream = \"{}\"\ndrain_delay = \"2s\"\n[limits]\nper_ip = \"off\"\n", upstream.url());
    let mut gateway = Launch::config(config).start().await;
    assert_eq!(gateway.get("/.palisade/readyz").await.status, 200);

    let mut events = opened(&gateway, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n", 200).await;
    let mut socket = opened(&gateway, UPGRADE, 101).await;
    let mut slow = Wire::open(gateway.public).await;
    slow.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(upstream.reached(e2e::LIMIT, |seen| seen.heads().iter().any(|head| head.target() == "/slow")).await);
    let traffic = Traffic::start(gateway.public, "/", 8, 200);
    let before = upstream.seen().requests();
    assert!(upstream.reached(e2e::LIMIT, |seen| seen.requests() > before + 100).await);

    gateway.signal(Signal::TERM);
    let told = Instant::now();
    within("readiness says no", async { while gateway.get("/.palisade/readyz").await.status != 503 {} }).await;
    assert!(told.elapsed() < Duration::from_millis(500), "readiness took {:?}", told.elapsed());
    // A balancer needs a moment to notice; until then requests keep coming and are served.
    let during = upstream.seen().requests();
    assert!(upstream.reached(e2e::LIMIT, |seen| seen.requests() > during + 100).await);
    traffic.stop().await.assert_all_good(200);

    assert_eq!(slow.answer().await.unwrap().text(), "slow");
    while events.chunk().await.is_ok_and(|chunk| chunk.is_some()) {}
    drop(socket.end().await);
    let draining = told + Duration::from_secs(2);
    assert!(draining.elapsed() < Duration::from_secs(11), "streams were closed after {:?}", draining.elapsed());
    assert_eq!(gateway.exit().await.code(), Some(0), "{}", gateway.said());
    assert!(Wire::try_open(gateway.public).await.is_err());
    let records = gateway.records(3).await;
    for path in ["/slow", "/events", "/socket"] {
        assert!(records.iter().any(|record| record["path"] == path), "no record of {path}");
    }
}

#[tokio::test]
async fn kept_connections_are_told_to_go() {
    let upstream = Upstream::start(script).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\ndrain_delay = \"5s\"\n", upstream.url());
    let gateway = Launch::config(config).start().await;
    let mut wire = Wire::open(gateway.public).await;
    assert!(wire.get("/").await.unwrap().keeps());
    gateway.signal(Signal::TERM);
    within("readiness says no", async { while gateway.get("/.palisade/readyz").await.status != 503 {} }).await;
    let answer = wire.get("/").await.unwrap();
    assert!(answer.status == 200 && !answer.keeps(), "{answer:?}");
    assert!(wire.closes().await);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let upstream = Upstream::start(script).unwrap();
    let mut gateway = Launch::before(&upstream).start().await;
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET /silent HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(upstream.reached(e2e::LIMIT, |seen| seen.requests() == 1).await);
    gateway.signal(Signal::TERM);
    within("readiness says no", async { while gateway.get("/.palisade/readyz").await.status != 503 {} }).await;
    let second = Instant::now();
    gateway.signal(Signal::TERM);
    let status = gateway.exit().await;
    assert!(second.elapsed() < Duration::from_secs(2), "it took {:?}", second.elapsed());
    assert_ne!(status.code(), Some(0), "a request was cut");
}

/// Replaces `from` in the gateway's configuration and asks it to reload.
fn reload(gateway: &Gateway, from: &str, to: &str) {
    let file = gateway.home().join("palisade.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from));
    fs::write(&file, text.replace(from, to)).unwrap();
    gateway.signal(Signal::HUP);
}

async fn until_reload_success_is(gateway: &Gateway, value: f64) {
    within("the reload shows in the metrics", async {
        while gateway.scrape().await.sum("palisade_config_last_reload_success", &[]) != value {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_reload_changes_nothing_and_a_good_one_loses_nothing() {
    let upstream = Upstream::start(script).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\n[limits]\nper_ip = \"100000/m\"\n", upstream.url());
    let gateway = Launch::config(config).start().await;
    let policy = || async { gateway.get("/").await.field("ratelimit-policy") };
    assert_eq!(policy().await.as_deref(), Some("\"per_ip\";q=100000;w=60"));

    let traffic = Traffic::start(gateway.public, "/", 8, 200);
    reload(&gateway, "per_ip = \"100000/m\"", "per_ipp = 5\n[nonsense]\nkey = 1");
    gateway.says("per_ipp").await;
    gateway.says("nonsense").await;
    until_reload_success_is(&gateway, 0.0).await;
    assert_eq!(policy().await.as_deref(), Some("\"per_ip\";q=100000;w=60"));
    let before = upstream.seen().requests();
    assert!(upstream.reached(e2e::LIMIT, |seen| seen.requests() > before + 200).await);

    reload(&gateway, "per_ipp = 5\n[nonsense]\nkey = 1", "per_ip = \"200000/m\"");
    until_reload_success_is(&gateway, 1.0).await;
    assert_eq!(policy().await.as_deref(), Some("\"per_ip\";q=200000;w=60"));
    let before = upstream.seen().requests();
    assert!(upstream.reached(e2e::LIMIT, |seen| seen.requests() > before + 200).await);
    traffic.stop().await.assert_all_good(400);
}

/// From its first moment, and whether it is written over or renamed into place.
#[tokio::test]
async fn a_watched_file_is_taken_over_by_itself() {
    let upstream = Upstream::start(script).unwrap();
    let config = |watch: &str, per_ip: &str| {
        format!(
            "[app]\nupstream = \"{}\"\nwatch = {watch}\n[limits]\nper_ip = \"{per_ip}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n",
            upstream.url()
        )
    };
    let gateway = Launch::config(config("true", "1000/m")).start().await;
    let file = gateway.home().join("palisade.toml");
    let taken_over = async |per_minute: &str| {
        let change = format!("{per_minute}/m");
        let is_it = |line: &serde_json::Value| {
            line["event"] == "reloaded" && line["changes"].to_string().contains(&format!("→ {change}"))
        };
        gateway.line(&change, is_it).await;
    };
    fs::write(&file, config("true", "2000/m")).unwrap();
    taken_over("2000").await;
    let aside = gateway.home().join("palisade.toml.new");
    fs::write(&aside, config("false", "3000/m")).unwrap();
    fs::rename(&aside, &file).unwrap();
    taken_over("3000").await;

    // Nobody watches any more; whoever asks is answered.
    fs::write(&file, config("true", "4000/m")).unwrap();
    gateway.signal(Signal::HUP);
    taken_over("4000").await;
    fs::write(&file, config("true", "50000/m")).unwrap();
    taken_over("50000").await;
    let events = |name: &str| {
        let lines = gateway.lines();
        lines.iter().filter(|line| line.json.as_ref().is_some_and(|json| json["event"] == name)).count()
    };
    assert_eq!((events("reloaded"), events("reload_failed")), (4, 0));
}

#[tokio::test]
async fn a_file_that_is_gone_changes_nothing_until_it_is_back() {
    let upstream = Upstream::start(script).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\n[limits]\nper_ip = \"1000/m\"\n", upstream.url());
    let gateway = Launch::config(config).start().await;
    let policy = async || gateway.get("/").await.field("ratelimit-policy");
    let (file, aside) = (gateway.home().join("palisade.toml"), gateway.home().join("aside"));

    fs::rename(&file, &aside).unwrap();
    gateway.signal(Signal::HUP);
    let event = gateway.line("the failed reload", |line| line["event"] == "reload_failed").await;
    assert!(event["error"].as_str().unwrap().contains("the old one stays in force"), "{event}");
    gateway.says("palisade.toml can't be read").await;
    until_reload_success_is(&gateway, 0.0).await;
    assert_eq!(policy().await.as_deref(), Some("\"per_ip\";q=1000;w=60"));

    fs::rename(&aside, &file).unwrap();
    reload(&gateway, "1000/m", "2000/m");
    let event = gateway.line("the reload", |line| line["event"] == "reloaded").await;
    assert_eq!(event["changes"].as_array().unwrap().len(), 1, "{event}");
    until_reload_success_is(&gateway, 1.0).await;
    assert_eq!(policy().await.as_deref(), Some("\"per_ip\";q=2000;w=60"));
}

/// Counters belong to the limit's name: a reload keeps what was used.
#[tokio::test]
async fn a_reload_keeps_what_was_used_of_a_limit() {
    let upstream = Upstream::start(script).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\n[limits]\nper_ip = \"5/10m\"\n", upstream.url());
    let gateway = Launch::config(config).start().await;
    for _ in 0..5 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    reload(&gateway, "5/10m", "10/10m");
    within("the new limit", async {
        loop {
            let answer = gateway.get("/").await;
            assert_eq!(answer.refusal(), "429 limits.rate");
            if answer.field("ratelimit-policy").as_deref() == Some("\"per_ip\";q=10;w=600") {
                assert_eq!(answer.field("retry-after").as_deref(), Some("60"));
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_that_needs_a_restart_refuses_the_reload_by_name() {
    let upstream = Upstream::start(script).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    reload(&gateway, "[app]", "[app]\nworkers = 7");
    gateway.says("workers").await;
    until_reload_success_is(&gateway, 0.0).await;
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn killed_and_started_again_at_the_same_place() {
    let upstream = Upstream::start(script).unwrap();
    let mut first = Launch::before(&upstream).start().await;
    let mut kept = Wire::open(first.public).await;
    assert_eq!(kept.get("/").await.unwrap().status, 200);
    first.signal(Signal::KILL);
    assert_eq!(first.exit().await.code(), None);
    let second = Launch::before(&upstream).environment("PALISADE_LISTEN", &first.public.to_string()).start().await;
    assert_eq!(second.public, first.public);
    assert_eq!(second.get("/").await.status, 200);
}
