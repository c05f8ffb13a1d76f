//! Telemetry as a whole: what is counted and told adds up.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, PipeReader, Read};

use http::{Method, StatusCode};
use palisade_core::record::{Answer, Asked, Attempt};
use palisade_core::{
    Mode, Monotonic, Outcome, Reason, Record, Refusal, RequestId, RouteId, Said, SpanId, Stage, Tally, Utc,
};

use super::*;
use crate::metrics::catalog;
use crate::metrics::{Connections, Lag, LimitsKept, LimitsStore};
use crate::settings::AddressForm;
use crate::testing::{record, tally};

fn start(settings: Settings, routes: &[&str]) -> (Telemetry, PipeReader) {
    let (reader, pipe) = io::pipe().unwrap();
    (Telemetry::start_on(Stream(pipe), settings, routes.iter().copied()).unwrap(), reader)
}

/// Reads the log in a thread of its own.
fn read(mut reader: PipeReader) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    })
}

fn ended(outcome: Outcome) -> Record {
    let mut record = record();
    record.outcome = outcome;
    let (status, code) = match outcome {
        Outcome::Ok => (Some(200), None),
        Outcome::AppError => (Some(500), None),
        Outcome::UpstreamError => (Some(502), Some(Reason::UpstreamUnreachable)),
        Outcome::Refused => (Some(429), Some(Reason::LimitsRate)),
        Outcome::ClientLeft => (None, None),
        Outcome::InternalError => (Some(500), Some(Reason::InternalPanic)),
    };
    record.status = status.map(|status| StatusCode::from_u16(status).unwrap());
    record.code = code;
    record
}

/// Sums of the samples called `name` whose labels contain `labels`.
fn sum(scrape: &str, name: &str, labels: &[&str]) -> f64 {
    let samples = scrape.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    samples
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

fn scrape(telemetry: &Telemetry) -> String {
    telemetry.render_metrics(&Gauges::default(), Format::Prometheus)
}

#[test]
fn counts_are_exact_with_several_workers_and_every_request_has_its_line() {
    let (telemetry, reader) = start(Settings::default(), &["/a", "/b", "/c"]);
    let log = read(reader);
    let threads: Vec<_> = (0..4_u64)
        .map(|thread| {
            let worker = telemetry.worker();
            std::thread::spawn(move || {
                for number in 0..2_500 {
                    let outcome = match number % 100 {
                        0 => Outcome::Refused,
                        1 => Outcome::ClientLeft,
                        _ => Outcome::Ok,
                    };
                    let mut record = ended(outcome);
                    record.route = RouteId((number % 3 + 1) as u16);
                    record.route_label = ["/a", "/b", "/c"][(number % 3) as usize].into();
                    record.request_id = RequestId::new(Utc::from_nanos(0), u128::from(thread * 10_000 + number));
                    worker.opened(record.kind);
                    worker.closed(Box::new(record));
                    // Scenario 1 loses nothing, so the queue must be able to keep up.
                    while worker.shared.queue.ratio() > 0.5 {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let scrape = scrape(&telemetry);
    telemetry.shutdown();

    assert_eq!(sum(&scrape, "palisade_requests_total", &[]), 10_000.0);
    assert_eq!(sum(&scrape, "palisade_requests_total", &["outcome=\"refused\""]), 100.0);
    assert_eq!(sum(&scrape, "palisade_requests_total", &["outcome=\"client_left\""]), 100.0);
    assert_eq!(sum(&scrape, "palisade_requests_total", &["route=\"/a\"", "plan=\"anon\""]), 4.0 * 834.0);
    assert_eq!(sum(&scrape, "palisade_request_duration_seconds_count", &[]), 10_000.0);
    assert_eq!(sum(&scrape, "palisade_gateway_seconds_count", &[]), 10_000.0);
    assert_eq!(sum(&scrape, "palisade_refusals_total", &["code=\"limits.rate\"", "mode=\"enforce\""]), 100.0);
    assert_eq!(sum(&scrape, "palisade_requests_in_flight", &[]), 0.0);
    assert_eq!(sum(&scrape, "palisade_request_bytes_total", &["method=\"GET\""]), 9_120_000.0);
    assert_eq!(sum(&scrape, "palisade_telemetry_dropped_total", &[]), 0.0);

    let log = log.join().unwrap();
    let ids: HashSet<&str> = log.lines().map(|line| &line[line.find("request_id").unwrap()..][13..39]).collect();
    assert_eq!((log.lines().count(), ids.len()), (10_000, 10_000));
}

#[test]
fn each_outcome_is_told_by_its_word() {
    let (telemetry, reader) = start(Settings::default(), &["/api/chat"]);
    let worker = telemetry.worker();
    Outcome::ALL.into_iter().for_each(|outcome| worker.closed(Box::new(ended(outcome))));
    drop(worker);
    let scrape = scrape(&telemetry);
    telemetry.shutdown();
    let log = read(reader).join().unwrap();
    for (outcome, line) in Outcome::ALL.into_iter().zip(log.lines()) {
        assert_eq!(sum(&scrape, "palisade_requests_total", &[&format!("outcome=\"{}\"", outcome.name())]), 1.0);
        assert!(line.contains(&format!("\"outcome\":\"{}\"", outcome.name())), "{line}");
    }
    assert!(log.lines().nth(3).unwrap().contains("\"outcome\":\"refused\",\"code\":\"limits.rate\""));
}

#[test]
fn reading_the_log_stops_and_nothing_but_lines_is_lost() {
    let (telemetry, reader) = start(Settings::default(), &["/api/chat"]);
    let worker = telemetry.worker();
    for _ in 0..50_000 {
        worker.closed(Box::new(record()));
        while worker.shared.queue.ratio() > 0.5 {
            std::thread::yield_now();
        }
    }
    drop(worker);
    let log = read(reader);
    let counts = scrape(&telemetry);
    assert_eq!(sum(&counts, "palisade_requests_total", &[]), 50_000.0);
    telemetry.shutdown();
    let log = log.join().unwrap();
    let lost: Vec<u64> = log
        .lines()
        .filter(|line| line.starts_with("{\"event\":\"lines_lost\""))
        .map(|line| line.trim_end_matches('}').rsplit(':').next().unwrap().parse().unwrap())
        .collect();
    let told = log.lines().filter(|line| line.starts_with("{\"event\":\"request\"")).count() as u64;
    assert_eq!(lost.len(), 1);
    assert_eq!(told + lost[0], 50_000);
}

#[test]
fn a_full_queue_drops_details_and_keeps_counts_and_failures() {
    let settings = Settings { queue_bytes: 256 * 1024, ..Settings::default() };
    let (telemetry, reader) = start(settings, &["/api/chat"]);
    let log = read(reader);
    // The telling thread is held up, as it would be by a machine without a free core.
    let held = lock(&telemetry.shared.telling);
    let worker = telemetry.worker();
    for number in 0..20_000 {
        worker.closed(Box::new(ended(if number % 1_000 == 500 { Outcome::AppError } else { Outcome::Ok })));
    }
    drop((held, worker));
    let scrape = scrape(&telemetry);
    telemetry.shutdown();
    let log = log.join().unwrap();
    let dropped = sum(&scrape, "palisade_telemetry_dropped_total", &["sink=\"queue\""]);
    assert_eq!(sum(&scrape, "palisade_requests_total", &[]), 20_000.0);
    assert_eq!(log.lines().count() as f64 + dropped, 20_000.0);
    assert!(dropped > 10_000.0);
    assert_eq!(log.matches("\"outcome\":\"app_error\"").count(), 20);
}

#[test]
fn no_counter_falls_over_reloads_that_move_routes() {
    let (telemetry, reader) = start(Settings::default(), &["/a", "/b"]);
    let log = read(reader);
    let worker = telemetry.worker();
    let close = |route: u16, label: &str| {
        let mut record = record();
        record.route = RouteId(route);
        record.route_label = label.into();
        worker.closed(Box::new(record));
    };
    close(1, "/a");
    close(2, "/b");
    telemetry.reload(Told::default(), ["/b", "/c"]).unwrap();
    close(1, "/b");
    // A request that began before the reload ends after it.
    close(1, "/a");
    close(2, "/c");
    telemetry.reload(Told::default(), ["/a"]).unwrap();
    close(1, "/a");
    let scrape = scrape(&telemetry);
    for (route, count) in [("/a", 3.0), ("/b", 2.0), ("/c", 1.0)] {
        assert_eq!(sum(&scrape, "palisade_requests_total", &[&format!("route=\"{route}\"")]), count, "{route}");
    }
    drop(worker);
    telemetry.shutdown();
    assert_eq!(log.join().unwrap().lines().count(), 6);
}

#[test]
fn hostile_requests_do_not_make_the_scrape_grow() {
    let (telemetry, reader) = start(Settings::default(), &["/api/chat", "unmatched"]);
    let log = read(reader);
    let worker = telemetry.worker();
    let hostile = |number: u32| {
        let mut record = record();
        record.route = RouteId::UNMATCHED;
        record.route_label = "unmatched".into();
        record.path = format!("/{number}\n\"").into();
        record.method = Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
        record.host = format!("h{number}").into();
        record.user_agent = Some(number.to_le_bytes().into());
        worker.closed(Box::new(record));
    };
    let names = |scrape: String| -> BTreeSet<String> {
        scrape.lines().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    hostile(0);
    let before = names(scrape(&telemetry));
    (1..20_000).for_each(hostile);
    assert_eq!(names(scrape(&telemetry)), before);
    drop(worker);
    telemetry.shutdown();
    assert!(log.join().unwrap().lines().all(|line| line.starts_with('{') && line.ends_with('}')));
}

#[test]
fn a_bare_gateway_shows_routes() {
    let (telemetry, reader) = start(Settings::default(), &["unmatched"]);
    let worker = telemetry.worker();
    let close = |path: &str, status: u16| {
        let mut record = record();
        record.route = RouteId::UNMATCHED;
        record.route_label = "unmatched".into();
        record.path = path.into();
        record.status = StatusCode::from_u16(status).ok();
        worker.closed(Box::new(record));
    };
    (1..=1_000).for_each(|user| close(&format!("/api/users/{user}"), 200));
    (0..10).for_each(|_| close("/api/users/42/posts", 200));
    (0..10_000).for_each(|scan| close(&format!("/.env/{scan}/x{scan}.php"), 404));
    let text = scrape(&telemetry);
    let count = |route: &str| sum(&text, "palisade_requests_total", &[&format!("route=\"{route}\"")]);
    assert_eq!(count("~/api/users/{}"), 998.0);
    assert_eq!(count("~/api/users/{}/posts"), 8.0);
    assert_eq!(count("unmatched"), 10_004.0);
    assert_eq!(sum(&text, "palisade_requests_total", &[]), 11_010.0);
    assert_eq!(sum(&text, "palisade_routes_guessed", &[]), 2.0);
    drop((worker, reader));
    telemetry.shutdown();
}

#[test]
fn label_sets_beyond_the_bound_are_route_other() {
    let settings = Settings { max_series: 50, ..Settings::default() };
    let (telemetry, reader) = start(settings, &["/a"]);
    let log = read(reader);
    let worker = telemetry.worker();
    for route in (0..100).chain(0..100) {
        let mut record = record();
        record.route = RouteId(route + 1);
        record.route_label = format!("/{route}").into();
        worker.closed(Box::new(record));
    }
    let scrape = scrape(&telemetry);
    assert_eq!(sum(&scrape, "palisade_requests_total", &[]), 200.0);
    assert_eq!(sum(&scrape, "palisade_requests_total", &["route=\"other\""]), 190.0);
    assert_eq!(sum(&scrape, "palisade_series_overflow_total", &[]), 95.0);
    assert!(sum(&scrape, "palisade_series", &[]) <= 50.0);
    drop(worker);
    telemetry.shutdown();
    log.join().unwrap();
}

#[test]
fn health_is_counted_apart_and_left_out_of_the_log() {
    let (telemetry, reader) = start(Settings::default(), &["/api/chat"]);
    let worker = telemetry.worker();
    let mut health = record();
    health.kind = Kind::Health;
    worker.opened(Kind::Health);
    worker.closed(Box::new(health));
    drop(worker);
    let scrape = scrape(&telemetry);
    telemetry.shutdown();
    assert_eq!(sum(&scrape, "palisade_service_requests_total", &["kind=\"health\"", "class=\"2xx\""]), 1.0);
    assert!(!scrape.contains("palisade_requests_total") && !scrape.contains("palisade_gateway_seconds"));
    assert_eq!(read(reader).join().unwrap(), "");
}

#[test]
fn only_notable_requests_are_logged_if_so_asked() {
    let told = Told { only: Only::Notable, slow: Some(Duration::from_secs(1)), ..Told::default() };
    let (telemetry, reader) = start(Settings { told, ..Settings::default() }, &["/api/chat"]);
    let worker = telemetry.worker();
    let mut slow = record();
    slow.latency = Duration::from_secs(1);
    let mut reported = record();
    let answer = Answer::Refuse(Refusal::new(Reason::LimitsRate));
    reported.policies.push(Asked { policy: "limits", stage: Stage::Quota, mode: Mode::Report, answer, span: None });
    for record in [record(), ended(Outcome::ClientLeft), slow, reported, ended(Outcome::Refused)] {
        worker.closed(Box::new(record));
    }
    drop(worker);
    telemetry.shutdown();
    let log = read(reader).join().unwrap();
    assert_eq!(log.lines().count(), 3);
    assert!(log.lines().next().unwrap().contains("\"latency_ms\":1000.000"));
}

#[test]
fn a_reload_moves_the_log_to_a_file_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let file =
        |path| Told { access: Access::File(LogFile { path, rotate_bytes: 1 << 20, keep: 1 }), ..Told::default() };
    let (telemetry, reader) = start(Settings::default(), &["/api/chat"]);
    let worker = telemetry.worker();
    let tell = |method: Method| {
        let mut record = record();
        record.method = method;
        worker.closed(Box::new(record));
        worker.tick();
        while telemetry.shared.queue.ratio() > 0.0 {
            std::thread::yield_now();
        }
        // The batch has left the queue; once this lock is free it was told, too.
        drop(lock(&telemetry.shared.telling));
    };
    tell(Method::GET);
    telemetry.reload(file(path.clone()), ["/api/chat"]).unwrap();
    tell(Method::PUT);
    assert!(telemetry.reload(file(directory.path().join("no/where")), ["/api/chat"]).is_err());
    assert!(lock(&telemetry.file).is_some());
    tell(Method::POST);
    telemetry.events().emit("reloaded", &[]);
    telemetry.reload(Told { access: Access::Off, ..Told::default() }, ["/api/chat"]).unwrap();
    tell(Method::DELETE);
    telemetry.reload(Told::default(), ["/api/chat"]).unwrap();
    tell(Method::PATCH);
    drop(worker);
    telemetry.shutdown();

    let methods = |log: &str| -> Vec<String> {
        log.lines().filter_map(|line| Some(line.split_once("\"method\":\"")?.1.split('"').next()?.to_owned())).collect()
    };
    let stdout = read(reader).join().unwrap();
    assert_eq!(methods(&stdout), ["GET", "PATCH"]);
    assert!(stdout.contains("{\"event\":\"reloaded\""));
    assert_eq!(methods(&std::fs::read_to_string(path).unwrap()), ["PUT", "POST"]);
}

#[test]
fn a_record_is_counted_without_an_allocation() {
    let (telemetry, reader) = start(Settings::default(), &["/api/chat"]);
    let worker = telemetry.worker();
    let record = || {
        let mut record = ended(Outcome::Refused);
        record.server = Some("127.0.0.1:3000".into());
        record.store_wait = Duration::from_micros(1);
        record.first_byte = Some(Duration::from_micros(1));
        let server = "127.0.0.1:3000".into();
        let (span_id, began) = (SpanId::from_entropy(1), Duration::ZERO);
        record.attempts.push(Attempt { server, duration: Duration::ZERO, error: None, span_id, began });
        record.limits.push(tally("per_ip", Mode::Enforce, Said::Refuse, 0));
        let answer = Answer::Refuse(Refusal::new(Reason::LimitsRate));
        record.policies.push(Asked { policy: "limits", stage: Stage::Quota, mode: Mode::Enforce, answer, span: None });
        record
    };
    worker.closed(Box::new(record()));
    for _ in 0..10 {
        let next = Box::new(record());
        let allocations = allocation_counter::measure(|| worker.closed(next));
        assert_eq!(allocations.count_total, 0, "{allocations:?}");
    }
    drop((worker, reader));
    telemetry.shutdown();
}

#[test]
fn a_limit_counts_a_request_once() {
    let (telemetry, reader) = start(Settings::default(), &[]);
    let worker = telemetry.worker();
    let said = |tallies: Vec<Tally>| {
        let mut record = record();
        record.limits = tallies;
        worker.closed(Box::new(record));
    };
    let (enforce, report) = (Mode::Enforce, Mode::Report);
    said(vec![tally("a", enforce, Said::Admit, 60), tally("a", enforce, Said::Admit, 299)]);
    said(vec![tally("a", enforce, Said::Admit, 59), tally("a", enforce, Said::Admit, 0)]);
    said(vec![
        tally("a", enforce, Said::Spare, 0),
        tally("a", enforce, Said::Refuse, 0),
        tally("b", enforce, Said::Spare, 9),
    ]);
    said(vec![tally("a", report, Said::Refuse, 0), tally("a", report, Said::Refuse, 0)]);
    let scrape = scrape(&telemetry);
    let requests = |limit: &str, outcome: &str| {
        let labels = [format!("limit=\"{limit}\""), format!("outcome=\"{outcome}\"")];
        sum(&scrape, "palisade_limits_requests_total", &[&labels[0], &labels[1]])
    };
    assert_eq!([requests("a", "admitted"), requests("a", "refused"), requests("a", "would_refuse")], [2.0, 1.0, 1.0]);
    assert_eq!(sum(&scrape, "palisade_limits_near_total", &["limit=\"a\""]), 1.0);
    assert!(!scrape.contains("limit=\"b\""));
    drop((worker, reader));
    telemetry.shutdown();
}

#[test]
fn what_is_scraped_is_what_is_declared() {
    let (telemetry, reader) = start(Settings::default(), &["/api/chat"]);
    let worker = telemetry.worker();
    let mut full = ended(Outcome::UpstreamError);
    full.stream = true;
    full.traced = true;
    full.first_byte = Some(Duration::ZERO);
    full.store_wait = Duration::from_micros(1);
    let attempt = |error| {
        let (span_id, began) = (SpanId::from_entropy(1), Duration::ZERO);
        Attempt { server: "a:1".into(), duration: Duration::ZERO, error, span_id, began }
    };
    full.attempts = vec![attempt(Some(Reason::UpstreamReset)), attempt(None)];
    full.limits = vec![
        tally("per_ip", Mode::Enforce, Said::Admit, 59),
        tally("api", Mode::Enforce, Said::Refuse, 0),
        tally("chat", Mode::Report, Said::Refuse, 0),
        tally("sign_in", Mode::Enforce, Said::Ban, 0),
    ];
    let answer = Answer::Refuse(Refusal::new(Reason::LimitsRate));
    full.policies.push(Asked { policy: "limits", stage: Stage::Quota, mode: Mode::Report, answer, span: None });
    worker.opened(full.kind);
    worker.closed(Box::new(full));
    let mut health = record();
    health.kind = Kind::Health;
    worker.closed(Box::new(health));
    worker.tick();
    while telemetry.shared.traces.kept()[0].1 == 0 {
        std::thread::yield_now();
    }
    let lag = Lag { bounds: vec![Duration::from_millis(1)], buckets: vec![1, 1], sum: Duration::from_millis(3) };
    let gauges = Gauges {
        connections: vec![Connections { listener: "public", protocol: "h2", open: 1, total: 2 }],
        connection_limits: vec![("idle", 1)],
        handshakes: vec![("ok", 1)],
        lag: lag.clone(),
        limits_store: Some(LimitsStore { up: 1, gateways: 2, answers: lag, misses: vec![("timeout", 2)] }),
        limits_kept: Some(LimitsKept { age: Some(Duration::from_secs(1)), ..LimitsKept::default() }),
        upstream_connections: vec![("a:1".into(), "idle", 3)],
        reload: Some(crate::metrics::Reload::Succeeded),
        snapshot: "abc".into(),
        version: "0.1.0",
        revision: "def",
        ..Gauges::default()
    };
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let text = telemetry.render_metrics(&gauges, format);
        let scraped = families(&text);
        let declared: Vec<_> = catalog::ALL
            .iter()
            .map(|metric| {
                let (name, kind) = format.family(metric);
                (name.to_owned(), kind.to_owned(), metric.labels.join(","))
            })
            .collect();
        assert_eq!(scraped, declared);
        assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
    }
    drop((worker, reader));
    telemetry.shutdown();
}

/// Families in their order: name, type, and all label names that occurred. Fails on a family that
/// comes twice or a sample outside its family.
fn families(text: &str) -> Vec<(String, String, String)> {
    let mut families: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with("# HELP") && *line != "# EOF") {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').unwrap();
            assert!(families.iter().all(|(known, ..)| known != name), "{name} twice");
            families.push((name.into(), kind.into(), Vec::new()));
            continue;
        }
        let (name, _, labels) = families.last_mut().unwrap();
        let sample = line.rsplit_once(' ').unwrap().0;
        assert!(samples.insert(sample.to_owned(), ()).is_none(), "{sample} twice");
        assert!(line.starts_with(name.as_str()), "{line} is in {name}");
        let inner = sample.split_once('{').map_or("", |(_, inner)| inner.trim_end_matches('}'));
        for label in inner.split("\",").filter(|label| !label.is_empty()) {
            let label = label.split('=').next().unwrap();
            if label != "le" && !labels.iter().any(|known| known == label) {
                labels.push(label.into());
            }
        }
    }
    families.into_iter().map(|(name, kind, labels)| (name, kind, labels.join(","))).collect()
}

#[test]
fn numbers_of_others_are_added_and_shown() {
    let (telemetry, reader) = start(Settings::default(), &[]);
    let worker = telemetry.worker();
    worker.closed(Box::new(ended(Outcome::Refused)));
    let bounds = vec![Duration::from_millis(1), Duration::from_secs(5)];
    let gauges = Gauges {
        refusals: vec![(Reason::LimitsRate, 2), (Reason::HttpMalformed, 3)],
        lag: Lag { bounds, buckets: vec![1, 2, 4], sum: Duration::from_secs(30) },
        ..Gauges::default()
    };
    let text = telemetry.render_metrics(&gauges, Format::Prometheus);
    for line in [
        "palisade_refusals_total{code=\"limits.rate\",mode=\"enforce\"} 3",
        "palisade_refusals_total{code=\"http.malformed\",mode=\"enforce\"} 3",
        "palisade_runtime_lag_seconds_bucket{le=\"0.001\"} 1",
        "palisade_runtime_lag_seconds_bucket{le=\"5.0\"} 3",
        "palisade_runtime_lag_seconds_bucket{le=\"+Inf\"} 7",
        "palisade_runtime_lag_seconds_sum 30",
    ] {
        assert!(text.lines().any(|scraped| scraped == line), "{line}");
    }
    drop((worker, reader));
    telemetry.shutdown();
}

#[test]
fn requests_are_in_flight_until_they_close() {
    let (telemetry, reader) = start(Settings::default(), &[]);
    let worker = telemetry.worker();
    worker.opened(Kind::Page);
    worker.opened(Kind::Api);
    assert_eq!(telemetry.in_flight(), 2);
    worker.closed(Box::new(record()));
    let text = scrape(&telemetry);
    assert_eq!(sum(&text, "palisade_requests_in_flight", &["kind=\"page\""]), 1.0);
    assert_eq!(sum(&text, "palisade_requests_in_flight", &["kind=\"api\""]), 0.0);
    assert_eq!(telemetry.in_flight(), 1);
    drop((worker, reader));
    telemetry.shutdown();
}

#[test]
fn enums_index_their_own_lists() {
    assert!(Kind::ALL.iter().enumerate().all(|(place, kind)| *kind as usize == place));
    assert!(Outcome::ALL.iter().enumerate().all(|(place, outcome)| *outcome as usize == place));
    assert!(Reason::ALL.iter().enumerate().all(|(place, reason)| *reason as usize == place));
}

#[test]
fn a_proxy_that_nobody_named_is_warned_of() {
    let told = |address: AddressForm| {
        let told = Told { address, access: Access::Off, ..Told::default() };
        let (telemetry, reader) = start(Settings { told, ..Settings::default() }, &["/a"]);
        let log = read(reader);
        let worker = telemetry.worker();
        for number in 0..=1_000 {
            let mut record = record();
            record.forwarded_untrusted = true;
            if number == 1_000 {
                record.now.monotonic = Monotonic::from_nanos(300 * 1_000_000_000);
            }
            worker.opened(record.kind);
            worker.closed(Box::new(record));
        }
        drop(worker);
        telemetry.shutdown();
        let mut lines: Vec<String> = log.join().unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let parts = |lines: &[String], line: usize, parts: &[&str]| {
        assert_eq!(lines.len(), 2, "{lines:?}");
        for part in parts {
            assert!(lines[line].contains(part), "no {part} in {}", lines[line]);
        }
    };
    let full = told(AddressForm::Full);
    let numbers = ["\"requests\":1000", "\"window_s\":300", "[app] trusted_proxies", "\"address\":\"203.0.113.7\""];
    parts(
        &full,
        0,
        &[&["{\"event\":\"limits.forwarded_header_untrusted\"", "\"forwarded\":1000"], &numbers[..]].concat(),
    );
    parts(&full, 1, &[&["{\"event\":\"limits.one_address\"", "\"of_address\":1000"], &numbers[..]].concat());
    parts(&told(AddressForm::Masked), 1, &["\"address\":\"203.0.113.0/24\""]);
    assert!(!told(AddressForm::Off).concat().contains("203.0.113"));
}
