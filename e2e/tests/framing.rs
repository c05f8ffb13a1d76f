//! One request in is exactly one request out (HTTP/1.1), in raw bytes.
//!
//! A row that must be refused is followed by a request for `/smuggled` on the same connection. It
//! must never reach the application: after an error answer no byte of a connection counts. Both
//! engines must refuse every row; what one of them does not see of answers is in
//! `framing_answers.rs`.

use std::time::Duration;

use e2e::{Engine, Gateway, Launch, Wire};
use palisade_testkit::upstream::{Answer, Upstream, digest};
use tokio::time::timeout;

/// How long a row may wait for its answer, so that one that gets none doesn't hide the others.
const PATIENCE: Duration = Duration::from_secs(5);
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What must become of a row's bytes.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// This answer, the connection closed, nothing at the application.
    Refused(&'static str),
    /// This answer and the connection closed. The mistake is in the body, so its head may have
    /// been forwarded, but never a whole request.
    RefusedInBody(&'static str),
}
use Expected::{Refused, RefusedInBody};

const MALFORMED: Expected = Refused("400 http.malformed");
const MALFORMED_BODY: Expected = RefusedInBody("400 http.malformed");
const METHOD: Expected = Refused("405 http.method_not_allowed");

fn get(field: &str) -> String {
    format!("GET /hostile HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /hostile HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked", body)
}

/// A line such as `GET / HTTP/1.1` with a good Host.
fn line(line: &str) -> String {
    format!("{line}\r\nHost: localhost\r\n\r\n")
}

fn host(fields: &str) -> String {
    format!("GET /hostile HTTP/1.1\r\n{fields}\r\n")
}

fn upgrade(method: &str, fields: &str) -> String {
    format!(
        "{method} /hostile HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{fields}\r\n\r\n"
    )
}

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

fn lengths() -> Vec<(&'static str, String, Expected)> {
    let smuggling_chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    vec![
        ("both lengths, chunks agree", post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), MALFORMED),
        (
            "both lengths, chunked first",
            post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
            MALFORMED,
        ),
        ("both lengths, TE.CL", post("Content-Length: 4\r\nTransfer-Encoding: chunked", &smuggling_chunk), MALFORMED),
        (
            "both lengths, CL.TE",
            post("Content-Length: 48\r\nTransfer-Encoding: chunked", &format!("0\r\n\r\n{SMUGGLED}")),
            MALFORMED,
        ),
        ("two lengths, equal", post("Content-Length: 5\r\nContent-Length: 5", "hello"), MALFORMED),
        ("two lengths", post("Content-Length: 5\r\nContent-Length: 6", "hello"), MALFORMED),
        ("list of lengths, equal", post("Content-Length: 5, 5", "hello"), MALFORMED),
        ("list of lengths", post("Content-Length: 5, 6", "hello"), MALFORMED),
        ("length with plus", post("Content-Length: +5", "hello"), MALFORMED),
        ("length with minus", post("Content-Length: -5", "hello"), MALFORMED),
        ("length in hex", post("Content-Length: 0x5", "hello"), MALFORMED),
        ("length with letters", post("Content-Length: 5a", "hello"), MALFORMED),
        ("length with a blank inside", post("Content-Length: 0 5", "hello"), MALFORMED),
        ("length empty", post("Content-Length:", "hello"), MALFORMED),
        ("length over 2^63", post("Content-Length: 9223372036854775809", ""), MALFORMED),
        ("length over 2^64", post("Content-Length: 18446744073709551621", ""), MALFORMED),
        ("length in GET, two", get("Content-Length: 0\r\nContent-Length: 44"), MALFORMED),
    ]
}

fn codings() -> Vec<(&'static str, String, Expected)> {
    let coded = |value: &str| post(&format!("Transfer-Encoding:{value}"), "5\r\nhello\r\n0\r\n\r\n");
    vec![
        ("xchunked", coded(" xchunked"), MALFORMED),
        ("identity", coded(" identity"), MALFORMED),
        ("chunked, identity", coded(" chunked, identity"), MALFORMED),
        ("identity, chunked", coded(" identity, chunked"), MALFORMED),
        ("gzip, chunked", coded(" gzip, chunked"), MALFORMED),
        ("chunked, chunked", coded(" chunked, chunked"), MALFORMED),
        ("chunked, empty", coded(" chunked,"), MALFORMED),
        ("chunked on two lines", coded(" chunked\r\nTransfer-Encoding: chunked"), MALFORMED),
        ("chunked, then identity on another line", coded(" chunked\r\nTransfer-Encoding: identity"), MALFORMED),
        ("chunked with a parameter", coded(" chunked;q=1"), MALFORMED),
        ("chunked in quotes", coded(" \"chunked\""), MALFORMED),
        ("tab inside", coded(" chu\tnked"), MALFORMED),
        ("vertical tab before", coded(" \x0bchunked"), MALFORMED),
        ("vertical tab behind", coded(" chunked\x0b"), MALFORMED),
        ("empty coding", coded(""), MALFORMED),
        (
            "chunked with HTTP/1.0",
            "POST /hostile HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            MALFORMED,
        ),
    ]
}

fn lines() -> Vec<(&'static str, String, Expected)> {
    vec![
        ("bare LF everywhere", "GET /hostile HTTP/1.1\nHost: localhost\n\n".into(), MALFORMED),
        ("bare LF after the request line", "GET /hostile HTTP/1.1\nHost: localhost\r\n\r\n".into(), MALFORMED),
        ("bare LF after a field", "GET /hostile HTTP/1.1\r\nA: b\nHost: localhost\r\n\r\n".into(), MALFORMED),
        ("bare LF as the empty line", "GET /hostile HTTP/1.1\r\nHost: localhost\r\n\n".into(), MALFORMED),
        ("bare CR in a value", get("A: b\rc"), MALFORMED),
        ("bare CR as line end", get("A: b\rTransfer-Encoding: chunked"), MALFORMED),
        ("obs-fold with a blank", get("A: b\r\n c"), MALFORMED),
        ("obs-fold with a tab", get("A: b\r\n\tc"), MALFORMED),
        ("obs-fold of the first field", host(" Host: localhost\r\n"), MALFORMED),
        ("NUL in a value", get("A: b\0c"), MALFORMED),
        ("control byte in a value", get("A: b\x01c"), MALFORMED),
        ("DEL in a value", get("A: b\x7fc"), MALFORMED),
        ("blank before the colon", get("A : b"), MALFORMED),
        ("blank before the colon of a length", post("Content-Length : 5", "hello"), MALFORMED),
        ("tab before the colon", get("A\t: b"), MALFORMED),
        ("no colon", get("A"), MALFORMED),
        ("empty name", get(": b"), MALFORMED),
        ("name with a blank", get("A b: c"), MALFORMED),
        ("name with a parenthesis", get("A(b: c"), MALFORMED),
        ("name with a letter outside ASCII", get("\u{e4}: b"), MALFORMED),
        ("name with NUL", get("A\0: b"), MALFORMED),
        ("name with a control byte", get("A\x0b: b"), MALFORMED),
    ]
}

fn chunks() -> Vec<(&'static str, String, Expected)> {
    let extension = |length: usize| chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(length)));
    vec![
        ("size with plus", chunked("+5\r\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("size with minus", chunked("-5\r\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("size with 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("size with a blank before", chunked(" 5\r\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("size with a blank behind", chunked("5 \r\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("size empty", chunked("\r\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("size of 17 digits", chunked("00000000000000005\r\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("size over 2^64", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("size that is no number", chunked("hello\r\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("size ended by LF", chunked("5\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("size ended by CR", chunked("5\rhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("data longer than its size", chunked("5\r\nhello!\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("data ended by LF", chunked("5\r\nhello\n0\r\n\r\n"), MALFORMED_BODY),
        ("data ended by two other bytes", chunked("5\r\nhelloXX0\r\n\r\n"), MALFORMED_BODY),
        ("bare LF in an extension", chunked("5;a\nb\r\nhello\r\n0\r\n\r\n"), MALFORMED_BODY),
        ("extension of 300 bytes", extension(300), MALFORMED_BODY),
        ("extension of 20 KiB", extension(20 << 10), MALFORMED_BODY),
        ("trailer that frames", chunked("5\r\nhello\r\n0\r\nContent-Length: 48\r\n\r\n"), MALFORMED_BODY),
    ]
}

fn hosts() -> Vec<(&'static str, String, Expected)> {
    vec![
        ("no Host", host(""), MALFORMED),
        ("empty Host", host("Host:\r\n"), MALFORMED),
        ("two Hosts, equal", host("Host: localhost\r\nHost: localhost\r\n"), MALFORMED),
        ("two Hosts", host("Host: localhost\r\nHost: evil.example\r\n"), MALFORMED),
        ("Host list", host("Host: localhost, evil.example\r\n"), MALFORMED),
        ("Host with a user", host("Host: user@localhost\r\n"), MALFORMED),
        ("Host with a path", host("Host: localhost/path\r\n"), MALFORMED),
        ("Host with a query", host("Host: localhost?query\r\n"), MALFORMED),
        ("Host with a fragment", host("Host: localhost#fragment\r\n"), MALFORMED),
        ("Host with a blank", host("Host: local host\r\n"), MALFORMED),
        ("Host with a scheme", host("Host: http://localhost\r\n"), MALFORMED),
        ("Host with a port that is none", host("Host: localhost:port\r\n"), MALFORMED),
        ("Host with a port over 65535", host("Host: localhost:99999\r\n"), MALFORMED),
        ("Host with two ports", host("Host: localhost:80:80\r\n"), MALFORMED),
        ("Host with an open bracket", host("Host: [::1\r\n"), MALFORMED),
        ("absolute form for another host", line("GET http://evil.example/hostile HTTP/1.1"), MALFORMED),
        ("absolute form with a user", line("GET http://user@localhost/hostile HTTP/1.1"), MALFORMED),
        ("absolute form without Host", "GET http://localhost/hostile HTTP/1.1\r\n\r\n".into(), MALFORMED),
    ]
}

fn starts() -> Vec<(&'static str, String, Expected)> {
    vec![
        ("method with a parenthesis", line("GE(T /hostile HTTP/1.1"), MALFORMED),
        ("method with a control byte", line("GE\x01T /hostile HTTP/1.1"), MALFORMED),
        ("no method", line(" /hostile HTTP/1.1"), MALFORMED),
        ("TRACE", line("TRACE /hostile HTTP/1.1"), METHOD),
        ("CONNECT", line("CONNECT localhost:80 HTTP/1.1"), METHOD),
        ("no target", line("GET HTTP/1.1"), MALFORMED),
        ("blank in the target", line("GET /hos tile HTTP/1.1"), MALFORMED),
        ("control byte in the target", line("GET /hos\x7ftile HTTP/1.1"), MALFORMED),
        ("target without slash", line("GET hostile HTTP/1.1"), MALFORMED),
        ("no version", "GET /hostile\r\n\r\n".into(), MALFORMED),
        ("version 1.2", line("GET /hostile HTTP/1.2"), MALFORMED),
        ("version 2.0", line("GET /hostile HTTP/2.0"), MALFORMED),
        ("version 3", line("GET /hostile HTTP/3"), MALFORMED),
        ("version in lower case", line("GET /hostile http/1.1"), MALFORMED),
        ("version of something else", line("GET /hostile ICY/1.1"), MALFORMED),
        ("TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01".into(), MALFORMED),
        (
            "target of 8 KiB and one",
            line(&format!("GET /{} HTTP/1.1", "a".repeat(8 << 10))),
            Refused("414 http.target_too_long"),
        ),
        ("head of 40 KiB", get(&format!("A: {}", "b".repeat(40 << 10))), Refused("431 http.head_too_large")),
        ("101 fields", get(&vec!["A: b"; 100].join("\r\n")), Refused("431 http.head_too_large")),
        ("Connection names host", get("Connection: host"), MALFORMED),
        (
            "Connection names content-length",
            post("Connection: close, content-length\r\nContent-Length: 5", "hello"),
            MALFORMED,
        ),
        ("Connection names content-type", get("Connection: Content-Type"), MALFORMED),
        ("Connection names cookie", get("Connection: cookie\r\nCookie: a=b"), MALFORMED),
        ("Connection names authorization", get("Connection: keep-alive\r\nConnection: authorization"), MALFORMED),
        ("body over the limit by its length", post("Content-Length: 1048577", ""), Refused("413 http.body_too_large")),
        (
            "body over the limit by its chunks",
            chunked(&format!("100001\r\n{}\r\n0\r\n\r\n", "a".repeat(0x10_0001))),
            RefusedInBody("413 http.body_too_large"),
        ),
    ]
}

fn upgrades() -> Vec<(&'static str, String, Expected)> {
    let key = |fields: &str| format!("{KEY}\r\nSec-WebSocket-Version: 13{fields}");
    vec![
        ("websocket by POST", upgrade("POST", &key("")), MALFORMED),
        ("websocket with a body", upgrade("GET", &key("\r\nContent-Length: 5")), MALFORMED),
        ("websocket without key", upgrade("GET", "Sec-WebSocket-Version: 13"), MALFORMED),
        (
            "websocket with a short key",
            upgrade("GET", "Sec-WebSocket-Key: c2hvcnQ=\r\nSec-WebSocket-Version: 13"),
            MALFORMED,
        ),
        ("websocket with two keys", upgrade("GET", &key(&format!("\r\n{KEY}"))), MALFORMED),
        ("websocket without version", upgrade("GET", KEY), MALFORMED),
        ("websocket of version 12", upgrade("GET", &format!("{KEY}\r\nSec-WebSocket-Version: 12")), MALFORMED),
    ]
}

async fn start(engine: Engine) -> (Upstream, Gateway) {
    let upstream = Upstream::start(|_| Answer::echo()).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\nmax_body = \"1MiB\"\n[limits]\nper_ip = \"off\"\n", upstream.url());
    let gateway = Launch::config(config).engine(engine).start().await;
    (upstream, gateway)
}

/// Sends each row on a connection of its own and collects every deviation, so that one run shows
/// them all.
async fn check(rows: Vec<(&'static str, String, Expected)>) {
    for engine in Engine::ALL {
        check_on(engine, &rows).await;
    }
}

async fn check_on(engine: Engine, rows: &[(&'static str, String, Expected)]) {
    let (upstream, gateway) = start(engine).await;
    let mut wrong = Vec::new();
    for (name, bytes, expected) in rows {
        if let Err(what) = one(&upstream, &gateway, bytes, *expected).await {
            wrong.push(format!("{name}: {what}"));
        }
        // The gateway is well, and whatever was forwarded of the row has arrived by now.
        assert_eq!(gateway.get("/after").await.status, 200, "after {name}");
    }
    let smuggled = upstream.seen().heads().iter().filter(|request| request.target() == "/smuggled").count();
    assert!(wrong.is_empty(), "{} wrong, {smuggled} smuggled\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(smuggled, 0);
}

async fn one(upstream: &Upstream, gateway: &Gateway, bytes: &str, expected: Expected) -> Result<(), String> {
    let heads = upstream.seen().requests();
    let bodies = upstream.seen().bodies().len();
    let mut wire = Wire::open(gateway.public).await;
    // The gateway may have answered and closed before the last byte is written.
    drop(wire.send(format!("{bytes}{SMUGGLED}")).await);
    let answer = timeout(PATIENCE, wire.answer()).await.map_err(|_| "no answer in time".to_owned())?;
    let answer = answer.map_err(|error| format!("no answer: {error}"))?;
    let said = match answer.field("content-type").as_deref() {
        Some("application/problem+json") => answer.refusal(),
        other => format!("{} of type {other:?}", answer.status),
    };
    let is_closed = timeout(PATIENCE, wire.closes()).await.unwrap_or(false);
    let forwarded: Vec<_> = upstream.seen().heads().into_iter().skip(heads).collect();
    let whole = upstream.seen().bodies().len() - bodies;
    match expected {
        Refused(wanted) | RefusedInBody(wanted) if said != wanted => Err(format!("{said}, not {wanted}")),
        _ if answer.status == 405 && answer.field("allow").is_none() => Err("no Allow".to_owned()),
        _ if !is_closed => Err("the connection was not closed".to_owned()),
        Refused(_) if !forwarded.is_empty() => Err(format!("{} requests reached the application", forwarded.len())),
        RefusedInBody(_) if forwarded.len() > 1 || whole > 0 => {
            Err(format!("{} heads and {whole} whole bodies reached the application", forwarded.len()))
        }
        _ => Ok(()),
    }
}

fn lengths_of(request: &palisade_testkit::upstream::Request) -> usize {
    request.values("content-length").len() + request.values("transfer-encoding").len()
}

#[tokio::test]
async fn ambiguous_lengths() {
    check(lengths()).await;
}

#[tokio::test]
async fn codings_other_than_chunked() {
    check(codings()).await;
}

#[tokio::test]
async fn broken_lines() {
    check(lines()).await;
}

#[tokio::test]
async fn broken_chunks() {
    check(chunks()).await;
}

#[tokio::test]
async fn doubtful_hosts() {
    check(hosts()).await;
}

#[tokio::test]
async fn broken_starts_and_sizes() {
    check(starts()).await;
}

#[tokio::test]
async fn broken_upgrades() {
    check(upgrades()).await;
}

/// What is allowed stays allowed, and arrives as one message that can be read in one way.
#[tokio::test]
async fn good_requests_arrive_unambiguous() {
    for engine in Engine::ALL {
        good_requests_on(engine).await;
    }
}

async fn good_requests_on(engine: Engine) {
    let (upstream, gateway) = start(engine).await;
    let rows: &[(&str, String, &str)] = &[
        ("GET", get("A: b"), ""),
        ("a tab in a value", get("A: b\tc"), ""),
        ("bytes outside ASCII in a value", get("A: \u{e4}"), ""),
        ("an empty value", get("A:"), ""),
        ("a token as method", line("X-PURGE /hostile HTTP/1.1"), ""),
        ("HTTP/1.0 without Host", "GET /hostile HTTP/1.0\r\n\r\n".into(), ""),
        ("absolute form for the same host", line("GET http://localhost/hostile HTTP/1.1"), ""),
        ("a length", post("Content-Length: 5", "hello"), "hello"),
        ("chunks", chunked("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"), "hello!"),
        ("chunks, in capitals", post("Transfer-Encoding: CHUNKED", "A\r\nhellohello\r\n0\r\n\r\n"), "hellohello"),
        ("an extension", chunked("5;a=b\r\nhello\r\n0\r\n\r\n"), "hello"),
        (
            "an upgrade to h2c",
            get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"),
            "",
        ),
        ("100 fields", get(&vec!["A: b"; 99].join("\r\n")), ""),
        ("a target of 8 KiB", line(&format!("GET /{} HTTP/1.1", "a".repeat((8 << 10) - 1))), ""),
    ];
    for (name, bytes, body) in rows {
        let before = upstream.seen().requests();
        let mut wire = Wire::open(gateway.public).await;
        wire.send(bytes).await.unwrap();
        let answer = wire.answer().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(answer.field("x-digest"), Some(format!("{:016x}", digest(body.as_bytes()))), "{name}");
        assert_eq!(upstream.seen().requests(), before + 1, "{name}");
        let request = upstream.seen().heads().pop().unwrap();
        assert_eq!(lengths_of(&request), usize::from(!body.is_empty()), "{name}: {request:?}");
        assert!(request.values("upgrade").is_empty() && request.values("http2-settings").is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_pipelined_request_waits_for_the_answer_before_it() {
    for engine in Engine::ALL {
        let (upstream, gateway) = start(engine).await;
        let mut wire = Wire::open(gateway.public).await;
        let first = "POST /first HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nfirst";
        let second = "POST /second HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nsecond";
        wire.send([first, second].concat()).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().text(), "first");
        assert_eq!(wire.answer().await.unwrap().text(), "second");
        let targets: Vec<String> = upstream.seen().heads().iter().map(|request| request.target()).collect();
        assert_eq!(targets, ["/first", "/second"]);
    }
}

#[tokio::test]
async fn the_preface_of_http2_behind_a_request_is_refused() {
    for engine in Engine::ALL {
        let (_upstream, gateway) = start(engine).await;
        let mut wire = Wire::open(gateway.public).await;
        assert_eq!(wire.get("/").await.unwrap().status, 200);
        wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        assert_eq!(wire.answer().await.unwrap().refusal(), "400 http.malformed");
        assert!(wire.closes().await);
    }
}
