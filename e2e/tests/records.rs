//! One request, one record: log lines, metrics, and what must never be in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use e2e::{Engine, Gateway, Launch, Scrape, Wire};
use palisade_testkit::upstream::{Answer, Request, Upstream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const CLIENTS: usize = 64;
const EACH: usize = 30;
const REFUSED: usize = 100;
const LEAVING: usize = 50;

fn script(request: &Request) -> Answer {
    match request.target().split('?').next() {
        Some("/broken") => Answer::status(500, &[], "oops"),
        Some("/odd") => Answer::status(999, &[], "odd"),
        Some("/leave") => Answer::silent(),
        _ => Answer::ok("ok"),
    }
}

async fn start(further: &str) -> (Upstream, Gateway) {
    start_on(Engine::Own, further).await
}

async fn start_on(engine: Engine, further: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(script).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\n{further}", upstream.url());
    let gateway = Launch::config(config).engine(engine).start().await;
    (upstream, gateway)
}

/// Sends a request for `/leave` and goes away once the application has it.
async fn leave(upstream: &Upstream, gateway: &Gateway) {
    let before = upstream.seen().requests();
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET /leave HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(upstream.reached(e2e::LIMIT, |seen| seen.requests() > before).await);
}

/// `none` would say that the client left.
#[tokio::test]
async fn a_status_that_nobody_knows_has_the_class_of_a_server_error() {
    for engine in Engine::ALL {
        let (_upstream, gateway) = start_on(engine, "").await;
        assert_eq!(gateway.get("/odd").await.status, 999);
        let record = gateway.record("the odd one", |record| record["status"] == 999).await;
        assert_eq!((&record["class"], &record["outcome"]), (&"5xx".into(), &"app_error".into()));
        let scrape = gateway.counted(1).await;
        for metric in ["palisade_requests_total", "palisade_upstream_requests_total"] {
            assert_eq!(scrape.sum(metric, &[("class", "5xx")]), 1.0, "{metric}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_and_metrics_agree_about_every_request() {
    let routes = "[limits]\nper_ip = \"off\"\n[performance]\nroutes = [\"/a\", \"/b/{id}\", \"/leave\"]\n";
    let (upstream, gateway) = start(routes).await;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let address = gateway.public;
        clients.spawn(async move {
            let mut wire = Wire::open(address).await;
            for number in 0..EACH {
                let path = if number % 2 == 0 { "/a".to_owned() } else { format!("/b/{client}-{number}") };
                assert_eq!(wire.get(&path).await.unwrap().status, 200);
            }
        });
    }
    clients.join_all().await;
    for _ in 0..REFUSED {
        assert_eq!(gateway.get("/a/%zz").await.status, 400);
    }
    for _ in 0..LEAVING {
        leave(&upstream, &gateway).await;
    }

    let total = CLIENTS * EACH + REFUSED + LEAVING;
    let records = gateway.records(total).await;
    assert_eq!(records.len(), total);
    let ids: BTreeSet<&str> = records.iter().map(|record| record["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), total);
    let mut outcomes = BTreeMap::new();
    for record in &records {
        *outcomes.entry(record["outcome"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(outcomes, BTreeMap::from([("ok", CLIENTS * EACH), ("refused", REFUSED), ("client_left", LEAVING)]));
    assert!(gateway.lines().iter().all(|line| line.json.is_some()), "a line on stdout is not JSON");

    let scrape = gateway.counted(total).await;
    assert_eq!(scrape.sum("palisade_requests_total", &[]), total as f64);
    for (outcome, count) in outcomes {
        assert_eq!(scrape.sum("palisade_requests_total", &[("outcome", outcome)]), count as f64, "{outcome}");
    }
    for (route, count) in [("/a", CLIENTS * EACH / 2), ("/b/{id}", CLIENTS * EACH / 2), ("/leave", LEAVING)] {
        assert_eq!(scrape.sum("palisade_requests_total", &[("route", route)]), count as f64, "{route}");
    }
    let labels = scrape.values("palisade_requests_total", "route");
    assert!(labels.len() <= 4, "labels made of what clients sent: {labels:?}");
    assert_eq!(scrape.sum("palisade_request_duration_seconds_count", &[]), total as f64);
    assert_eq!(scrape.sum("palisade_refusals_total", &[("code", "path.malformed")]), REFUSED as f64);
    assert_eq!(scrape.sum("palisade_requests_in_flight", &[]), 0.0);
}

#[tokio::test]
async fn each_outcome_has_its_name() {
    for engine in Engine::ALL {
        let (upstream, gateway) = start_on(engine, "[limits]\nper_ip = \"4/10m\"\n").await;
        assert_eq!(gateway.get("/fine").await.status, 200);
        assert_eq!(gateway.get("/broken").await.status, 500);
        leave(&upstream, &gateway).await;
        // Seen as that before the application is gone, too.
        gateway.record("/leave", |record| record["path"] == "/leave").await;
        drop(upstream);
        assert_eq!(gateway.get("/gone").await.status, 502);
        assert_eq!(gateway.get("/refused").await.status, 429);
        for (path, outcome, code) in [
            ("/fine", "ok", Value::Null),
            ("/broken", "app_error", Value::Null),
            ("/leave", "client_left", Value::Null),
            ("/gone", "upstream_error", json!("upstream.unreachable")),
            ("/refused", "refused", json!("limits.rate")),
        ] {
            let record = gateway.record(path, |record| record["path"] == path).await;
            assert_eq!(record["outcome"], outcome, "{record}");
            assert_eq!(record["code"], code, "{record}");
            let time = |name: &str| record[name].as_f64().unwrap_or_default();
            let parts = time("upstream_ms") + time("client_wait_ms") + time("gateway_ms");
            assert!((parts - time("duration_ms")).abs() < 0.01, "{parts} are not the whole: {record}");
        }
    }
}

#[tokio::test]
async fn hostile_text_stays_within_its_line() {
    let (_upstream, gateway) = start("").await;
    let forged = "/a%0A%7B%22event%22%3A%22request%22%2C%22forged%22%3Atrue%7D";
    gateway.get(forged).await;
    let mut wire = Wire::open(gateway.public).await;
    let agent = "\u{2028}\u{1b}[31m\"\\ {\"event\":\"request\"}".replace('\u{1b}', "");
    let request = format!("GET /agent HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\n\r\n");
    wire.send(request).await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 200);
    let record = gateway.record("the agent", |record| record["path"] == "/agent").await;
    assert_eq!(record["user_agent"], agent.as_str());
    let records = gateway.records(2).await;
    assert!(records.iter().all(|record| record.get("forged").is_none()));
    let raw: Vec<String> = gateway.lines().into_iter().map(|line| line.text).collect();
    assert!(!raw.concat().contains(['\u{2028}', '\u{1b}']));
}

/// Every file below a folder, as text.
fn files(folder: &Path, all: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else if let Ok(bytes) = fs::read(&path) {
            all.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
}

#[tokio::test]
async fn secrets_are_nowhere() {
    let (upstream, gateway) = start("[performance.traces]\nsample = \"100%\"\n").await;
    let request = "POST /x?token=SECRETquery&code=SECRETcode HTTP/1.1\r\nHost: localhost\r\n\
        Cookie: session=SECRETcookie\r\nAuthorization: Bearer SECRETtoken\r\nX-Api-Key: SECRETkey\r\n\
        X-Request-Id: SECRETid-but-allowed\r\nContent-Length: 10\r\n\r\nSECRETbody";
    let mut wire = Wire::open(gateway.public).await;
    wire.send(request).await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 200);
    // The same once more without an application, for the messages about its absence.
    drop(upstream);
    let mut wire = Wire::open(gateway.public).await;
    wire.send(request).await.unwrap();
    let refused = wire.answer().await.unwrap();
    assert_eq!(refused.status, 502);

    let records = gateway.records(2).await;
    for record in &records {
        assert_eq!(record["query_names"], json!(["token", "code"]));
    }
    let metrics = Wire::open(gateway.admin).await.get("/metrics").await.unwrap().text();
    let mut places = vec![
        ("stdout".to_owned(), gateway.lines().into_iter().map(|line| line.text).collect::<String>()),
        ("stderr".to_owned(), gateway.said()),
        ("metrics".to_owned(), metrics),
        ("refusal".to_owned(), refused.text()),
    ];
    files(gateway.home(), &mut places);
    for (place, text) in places {
        for secret in ["SECRETquery", "SECRETcode", "SECRETcookie", "SECRETtoken", "SECRETkey", "SECRETbody"] {
            assert!(!text.contains(secret), "{secret} is in {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_reader_of_the_log_delays_nobody_and_losses_are_counted() {
    const REQUESTS: usize = 4_000;
    let (_upstream, gateway) = start("[limits]\nper_ip = \"off\"\n[performance]\nqueue = \"256KiB\"\n").await;
    gateway.stop_reading();
    // Long paths fill every buffer on the way to the reader.
    let path = format!("/{}", "x".repeat(8_000));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (address, path) = (gateway.public, path.clone());
        clients.spawn(async move {
            let mut wire = Wire::open(address).await;
            for _ in 0..REQUESTS / 8 {
                assert_eq!(wire.get(&path).await.unwrap().status, 200);
            }
        });
    }
    clients.join_all().await;
    gateway.read_on();
    let lost = gateway.line("how many were lost", |line| line["event"] == "lines_lost").await;
    // What fell out on the way to the log's buffer is counted too, though no line tells of it.
    let dropped = |scrape: &Scrape, sink: &str| scrape.sum("palisade_telemetry_dropped_total", &[("sink", sink)]);
    let scrape = gateway.counted(REQUESTS).await;
    assert!(dropped(&scrape, "log") > 0.0, "the reader was not stopped long enough");
    assert_eq!(lost["lost"].as_f64(), Some(dropped(&scrape, "log")));
    let all_dropped = scrape.sum("palisade_telemetry_dropped_total", &[]) as usize;
    assert_eq!(gateway.records(REQUESTS - all_dropped).await.len() + all_dropped, REQUESTS);
}
