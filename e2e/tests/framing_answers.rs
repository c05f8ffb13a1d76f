//! One answer in is exactly one answer out (HTTP/1.1), in raw bytes of the application.
//!
//! Our own engine refuses every row. hyper repairs some of them before anyone sees them: the client
//! still gets one answer that can be read in one way, but that it was broken is not noticed. Those
//! rows say so (ADR 4).

use e2e::{Engine, Gateway, LIMIT, Launch, Wire};
use palisade_testkit::upstream::{Answer, Upstream};
use serde_json::Value;

/// What must become of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// 502 `upstream.malformed` before anything of it was sent to the client.
    Refused,
    /// The head had gone to the client, so that its answer is cut, never completed, and the record
    /// has this code.
    Cut(&'static str),
    /// One good answer with this body.
    Passed(&'static str),
}
use Fate::{Cut, Passed, Refused};

/// What hyper makes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hyper {
    /// The same.
    Sees,
    /// It is noticed only when the head has gone to the client.
    Cuts,
    /// It is repaired, and this is what the client gets.
    Repairs(&'static str),
}
use Hyper::{Cuts, Repairs, Sees};

struct Row {
    name: &'static str,
    answer: String,
    fate: Fate,
    hyper: Hyper,
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

fn head(name: &'static str, answer: impl Into<String>, hyper: Hyper) -> Row {
    Row { name, answer: answer.into(), fate: Refused, hyper }
}

fn fields(name: &'static str, fields: &str, hyper: Hyper) -> Row {
    head(name, format!("{OK}{fields}\r\n\r\nhello"), hyper)
}

fn chunks(name: &'static str, body: &str, hyper: Hyper) -> Row {
    Row {
        name,
        answer: format!("{OK}Transfer-Encoding: chunked\r\n\r\n{body}"),
        fate: Cut("upstream.malformed"),
        hyper,
    }
}

fn good(name: &'static str, answer: impl Into<String>, body: &'static str) -> Row {
    Row { name, answer: answer.into(), fate: Passed(body), hyper: Sees }
}

fn lengths() -> Vec<Row> {
    vec![
        head(
            "both lengths",
            format!("{OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            Sees,
        ),
        fields("two lengths", "Content-Length: 5\r\nContent-Length: 6", Sees),
        fields("two lengths, equal", "Content-Length: 5\r\nContent-Length: 5", Repairs("hello")),
        fields("list of lengths, equal", "Content-Length: 5, 5", Repairs("hello")),
        fields("list of lengths", "Content-Length: 5, 6", Sees),
        fields("length with plus", "Content-Length: +5", Sees),
        fields("length with minus", "Content-Length: -5", Sees),
        fields("length in hex", "Content-Length: 0x5", Sees),
        fields("length empty", "Content-Length:", Sees),
        fields("length over 2^63", "Content-Length: 9223372036854775813", Cuts),
        fields("gzip", "Transfer-Encoding: gzip", Sees),
        fields("gzip, chunked", "Transfer-Encoding: gzip, chunked", Sees),
        fields("chunked, identity", "Transfer-Encoding: chunked, identity", Sees),
        fields("chunked on two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Sees),
        head(
            "chunks in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Sees,
        ),
    ]
}

fn lines() -> Vec<Row> {
    vec![
        head("bare LF everywhere", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", Repairs("hello")),
        head("bare LF after the status line", "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello", Repairs("hello")),
        head("bare LF after a field", format!("{OK}A: b\nContent-Length: 5\r\n\r\nhello"), Repairs("hello")),
        head("bare LF as the empty line", format!("{OK}Content-Length: 5\r\n\nhello"), Repairs("hello")),
        fields("bare CR in a value", "A: b\rc\r\nContent-Length: 5", Sees),
        fields("obs-fold", "A: b\r\n c\r\nContent-Length: 5", Sees),
        fields("NUL in a value", "A: b\0c\r\nContent-Length: 5", Sees),
        fields("blank before the colon", "Content-Length : 5", Sees),
        fields("no colon", "A\r\nContent-Length: 5", Sees),
        fields("empty name", ": b\r\nContent-Length: 5", Sees),
        head("no status line", "hello\r\n\r\n", Sees),
        head("version 2.0", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", Sees),
        head("status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello", Sees),
        head("head of 70 KB", format!("{OK}A: {}\r\nContent-Length: 5\r\n\r\nhello", "b".repeat(70_000)), Sees),
        head("101 interim answers", format!("{}{OK}\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(101)), Repairs("")),
    ]
}

fn bodies() -> Vec<Row> {
    vec![
        chunks("size that is no number", "hello\r\nhello\r\n0\r\n\r\n", Sees),
        chunks("size with plus", "+5\r\nhello\r\n0\r\n\r\n", Sees),
        chunks("size with 0x", "0x5\r\nhello\r\n0\r\n\r\n", Sees),
        chunks("size with a blank before", " 5\r\nhello\r\n0\r\n\r\n", Sees),
        chunks("size with a blank behind", "5 \r\nhello\r\n0\r\n\r\n", Repairs("hello")),
        chunks("size of 17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n", Repairs("hello")),
        chunks("size over 2^64", "10000000000000005\r\nhello\r\n0\r\n\r\n", Sees),
        chunks("size ended by LF", "5\nhello\r\n0\r\n\r\n", Sees),
        chunks("data longer than its size", "5\r\nhello!\r\n0\r\n\r\n", Sees),
        chunks("data ended by LF", "5\r\nhello\n0\r\n\r\n", Sees),
        chunks("a later size", "5\r\nhello\r\nx\r\n\r\n", Sees),
        chunks("extension of 300 bytes", &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(300)), Repairs("hello")),
        chunks("trailer that frames", "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", Repairs("hello")),
        Row { fate: Cut("upstream.reset"), ..chunks("no last chunk", "5\r\nhello\r\n", Sees) },
    ]
}

fn unambiguous() -> Vec<Row> {
    vec![
        good("a length", format!("{OK}Content-Length: 5\r\n\r\nhello"), "hello"),
        good("chunks", format!("{OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "hello"),
        good(
            "chunks with an extension",
            format!("{OK}Transfer-Encoding: Chunked\r\n\r\n5;a\r\nhello\r\n0\r\n\r\n"),
            "hello",
        ),
        good("until the end", format!("{OK}\r\nhello"), "hello"),
        good("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
        good("without a reason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        good(
            "100 interim answers",
            format!("{}{OK}Content-Length: 5\r\n\r\nhello", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)),
            "hello",
        ),
    ]
}

/// Sends every row as an answer, and collects every deviation, so that one run shows them all.
async fn check(rows: fn() -> Vec<Row>) {
    for engine in Engine::ALL {
        let upstream = Upstream::start(move |request| {
            let number = request.target().strip_prefix("/row/").and_then(|number| number.parse::<usize>().ok());
            match number.and_then(|number| rows().into_iter().nth(number)) {
                Some(row) => Answer::new().read().send(row.answer).closed(),
                None => Answer::ok("good"),
            }
        });
        let upstream = upstream.unwrap();
        let gateway = Launch::before(&upstream).engine(engine).start().await;
        let mut wrong = Vec::new();
        for (number, row) in rows().iter().enumerate() {
            let fate = match (engine, row.hyper) {
                (Engine::Hyper, Repairs(body)) => Passed(body),
                (Engine::Hyper, Cuts) => Cut("upstream.reset"),
                (Engine::Hyper, Sees) | (Engine::Own, _) => row.fate,
            };
            if let Err(what) = one(&gateway, number, fate).await {
                wrong.push(format!("{}: {what}, not {fate:?}", row.name));
            }
        }
        assert!(wrong.is_empty(), "{} wrong on {}\n{}", wrong.len(), engine.name(), wrong.join("\n"));
        // No connection of a broken answer is used again, and the gateway is well.
        assert_eq!(gateway.get("/good").await.text(), "good");
        let kept = |open| open <= 1;
        assert!(upstream.reached(LIMIT, |seen| kept(seen.open())).await, "a broken connection was kept");
    }
}

async fn one(gateway: &Gateway, number: usize, fate: Fate) -> Result<(), String> {
    let path = format!("/row/{number}");
    let mut wire = Wire::open(gateway.public).await;
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await.unwrap();
    let answer = wire.answer().await;
    let record = gateway.record(&path, |record| record["path"] == path.as_str()).await;
    match (fate, answer) {
        (Refused, Ok(answer)) if answer.status == 502 => match answer.refusal() {
            refusal if refusal == "502 upstream.malformed" => Ok(()),
            refusal => Err(refusal),
        },
        (Cut(code), Err(_)) if record["code"] == code && record["outcome"] == "upstream_error" => Ok(()),
        (Passed(body), Ok(answer)) if (answer.status, answer.text().as_str()) == (200, body) => match &record["code"] {
            Value::Null => Ok(()),
            code => Err(code.to_string()),
        },
        (_, Ok(answer)) => Err(format!("{} {:?}", answer.status, answer.text())),
        (_, Err(error)) => Err(format!("{error}, {}", record["code"])),
    }
}

#[tokio::test]
async fn lengths_with_two_readings() {
    check(lengths).await;
}

#[tokio::test]
async fn broken_lines() {
    check(lines).await;
}

#[tokio::test]
async fn broken_bodies() {
    check(bodies).await;
}

#[tokio::test]
async fn good_answers() {
    check(unambiguous).await;
}

#[tokio::test]
async fn no_answer() {
    for engine in Engine::ALL {
        let upstream = Upstream::start(|_| Answer::close()).unwrap();
        let gateway = Launch::before(&upstream).engine(engine).start().await;
        assert_eq!(gateway.get("/").await.refusal(), "502 upstream.reset");
    }
}
