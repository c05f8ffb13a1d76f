//! What clients send to get around a limit, and applications and people by mistake: the rows of the
//! specification's table of hostile input.

use e2e::frames::{Ended, code, fields_block, flag, kind};
use e2e::{Engine, Frames, Gateway, Launch, Received, Wire};
use palisade_testkit::upstream::{Answer, Request, Upstream};
use rustix::process::Signal;
use serde_json::json;

/// A gateway with one limit called `api`, and further lines of `[app]`.
async fn start(
    engine: Engine,
    app: &str,
    limit: &str,
    script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> (Upstream, Gateway) {
    let upstream = Upstream::start(script).unwrap();
    let config = format!(
        "[app]\nupstream = \"{}\"\n{app}\n[limits]\nper_ip = \"off\"\n[limits.api]\non = \"/api/**\"\n{limit}\n",
        upstream.url()
    );
    let gateway = Launch::config(config).engine(engine).start().await;
    (upstream, gateway)
}

fn ok(_: &Request) -> Answer {
    Answer::ok("ok")
}

/// A GET with these fields.
async fn get(gateway: &Gateway, fields: &str) -> Received {
    let mut wire = Wire::open(gateway.public).await;
    wire.send(format!("GET /api/x HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await.unwrap();
    wire.answer().await.unwrap()
}

#[tokio::test]
async fn of_a_thousand_hops_64_are_read() {
    for engine in Engine::ALL {
        let trusted = "trusted_proxies = [\"127.0.0.0/8\"]";
        let (_upstream, gateway) = start(engine, trusted, "rate = \"5/10m\"", ok).await;
        let from = |left: String, right: &'static str, rights: usize| {
            let hops = [vec![left; 1_000 - rights], vec![right.to_owned(); rights]].concat().join(",");
            let gateway = &gateway;
            async move { get(gateway, &format!("X-Forwarded-For: {hops}\r\n")).await.status }
        };
        // The hop next to the gateway's own says who it is; what stands to the left are a client's words.
        for number in 1..=6 {
            let status = from(format!("6.6.6.{number}"), "1.2.3.4", 1).await;
            assert_eq!(status, if number == 6 { 429 } else { 200 }, "request {number}");
        }
        // Behind 64 hops of ours nobody looks further: the last one read is the client.
        for number in 1..=6 {
            let status = from(format!("6.6.6.{number}"), "127.0.0.9", 64).await;
            assert_eq!(status, if number == 6 { 429 } else { 200 }, "request {number}");
        }
        // With one hop less the client is read.
        assert_eq!(from("6.6.6.1".to_owned(), "127.0.0.9", 63).await, 200);
        assert_eq!(gateway.records(13).await.iter().filter(|record| record["client_address"] == "6.6.6.1").count(), 1);
    }
}

#[tokio::test]
async fn a_long_key_is_a_key() {
    for engine in Engine::ALL {
        let (_upstream, gateway) = start(engine, "", "key = \"header.x-key\"\nrate = \"2/10m\"", ok).await;
        let long = "k".repeat(10 << 10);
        let ask = |last: char| {
            let (gateway, fields) = (&gateway, format!("X-Key: {long}{last}\r\n"));
            async move { get(gateway, &fields).await.status }
        };
        assert_eq!([ask('a').await, ask('a').await, ask('a').await], [200, 200, 429]);
        assert_eq!(ask('b').await, 200, "every byte of it counts");
    }
}

/// A field twice, in every kind of body that can hold fields.
#[tokio::test]
async fn a_key_that_stands_there_twice_is_refused() {
    let parts = "--x\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\na\r\n\
        --x\r\nContent-Disposition: form-data; name=email\r\n\r\nvictim\r\n--x--\r\n";
    let bodies = [
        ("application/json", r#"{"email":"a","email":"victim"}"#),
        ("application/json", r#"{"email":"a","\u0065mail":"victim"}"#),
        ("application/problem+json", r#"{"email":"a","email":"victim"}"#),
        ("application/x-www-form-urlencoded", "email=a&email=b"),
        ("application/x-www-form-urlencoded", "email=a&%65mail=b"),
        ("multipart/form-data; boundary=x", parts),
    ];
    for engine in Engine::ALL {
        let (upstream, gateway) = start(engine, "", "key = \"body.email\"\nrate = \"9/10m\"\ncount = [401]", ok).await;
        for (media_type, body) in bodies {
            let mut wire = Wire::open(gateway.public).await;
            let head = format!("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n");
            wire.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await.unwrap();
            let refused = wire.answer().await.unwrap();
            assert_eq!(refused.refusal(), "400 limits.key_ambiguous", "{media_type}: {body}");
            assert_eq!(refused.problem()["title"], "Invalid request data");
        }
        assert_eq!(upstream.seen().requests(), 0);
    }
}

/// What is no number of tokens is taken out and not believed; the next source counts.
#[tokio::test]
async fn nonsense_is_no_usage() {
    let script = |request: &Request| {
        assert_eq!(request.value("palisade-tokens-used"), None, "a client may not say so");
        let told = request.value("x-told").unwrap_or_default();
        let usage = request.value("x-usage").unwrap_or_default();
        let fields = [("Palisade-Tokens-Used", told.as_str()), ("Content-Type", "application/json")];
        Answer::status(200, if told.is_empty() { &fields[1..] } else { &fields }, format!("{{\"usage\":{usage}}}"))
    };
    let limit = "cost = \"tokens\"\nquota = \"1000000 per month\"\nreserve = 1000";
    let (_upstream, gateway) = start(Engine::Own, "", limit, script).await;
    let mut left = 1_000_000;
    let mut ask = async |told: &str, usage: &str, used: u64| {
        let told = if told.is_empty() { String::new() } else { format!("X-Told: {told}\r\n") };
        let answer = get(&gateway, &format!("{told}X-Usage: {usage}\r\nPalisade-Tokens-Used: 1\r\n")).await;
        assert_eq!((answer.status, answer.field("palisade-tokens-used")), (200, None));
        // What this one reserved, and what those before it used.
        let remaining = answer.field("x-ratelimit-remaining-tokens");
        assert_eq!(remaining, Some((left - 1_000).to_string()), "before {told}{usage}");
        left -= used;
    };
    let thirty = r#"{"total_tokens":30}"#;
    for told in ["-5", "1e30", "many", "+7", "3.5", "0x10", "7, 7", "99999999999999999999"] {
        ask(told, thirty, 30).await;
    }
    ask("7", thirty, 7).await;
    for total in ["-5", "1e30", "3.5", r#""thirty""#, "null", "[30]"] {
        let usage = format!(r#"{{"total_tokens":{total},"prompt_tokens":12,"completion_tokens":8}}"#);
        ask("", &usage, 20).await;
    }
    // Nothing believable: a quarter of the bytes, rounded up. The request has none.
    let usage = r#"{"total_tokens":-5,"prompt_tokens":1e30}"#;
    ask("", usage, (usage.len() as u64 + 10).div_ceil(4)).await;
    ask("0", thirty, 0).await;
    ask("", thirty, 30).await;
}

#[tokio::test]
async fn a_reload_with_an_error_touches_no_counter() {
    let (upstream, gateway) = start(Engine::Own, "", "rate = \"5/10m\"", ok).await;
    for _ in 0..4 {
        assert_eq!(gateway.get("/api/x").await.status, 200);
    }
    let file = gateway.home().join("palisade.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("5/10m", "5/10min")).unwrap();
    gateway.signal(Signal::HUP);
    gateway.line("the failed reload", |line| line["event"] == "reload_failed").await;
    let last = gateway.get("/api/x").await;
    assert_eq!((last.status, last.field("ratelimit").as_deref()), (200, Some("\"api\";r=0;t=120")));
    assert_eq!(gateway.get("/api/x").await.refusal(), "429 limits.rate");
    assert_eq!(upstream.seen().requests(), 5);
}

/// Sends a head that promises a body, and reads the refusal that comes before it.
async fn refuse(gateway: &Gateway, length: usize, fields: &str) -> (Wire, Received) {
    let mut wire = Wire::open(gateway.public).await;
    let head = format!("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n");
    wire.send(head).await.unwrap();
    // The first head that comes, so no 100 came before.
    let mut answer = wire.head().await.unwrap();
    assert_eq!(answer.status, 429, "{answer:?}");
    let length = answer.field("content-length").unwrap().parse().unwrap();
    answer.body = wire.exactly(length).await.unwrap();
    assert_eq!(answer.refusal(), "429 limits.rate");
    (wire, answer)
}

/// A refusal needs no body and waits for none. A short one that comes all the same is read and
/// forgotten, so that the connection can be used on.
#[tokio::test]
async fn a_refusal_comes_before_the_body() {
    for engine in Engine::ALL {
        let (upstream, gateway) = start(engine, "", "rate = \"1/10m\"", ok).await;
        assert_eq!(gateway.get("/api/x").await.status, 200);
        let (mut wire, _) = refuse(&gateway, 10_000_000, "").await;
        drop(wire.send(vec![b'x'; 1 << 20]).await);
        assert!(wire.closes().await, "megabytes are not read");
        // Who asks for leave may send the body or not, so nobody knows where the next request begins.
        let (mut wire, answer) = refuse(&gateway, 5, "Expect: 100-continue\r\n").await;
        // hyper doesn't say so beforehand.
        assert!(engine == Engine::Hyper || !answer.keeps(), "{answer:?}");
        assert!(wire.closes().await);
        assert_eq!(upstream.seen().requests(), 1);
    }
    let (upstream, gateway) = start(Engine::Own, "", "rate = \"1/10m\"", ok).await;
    assert_eq!(gateway.get("/api/x").await.status, 200);
    let (mut wire, _) = refuse(&gateway, 65_536, "").await;
    wire.send(vec![b'x'; 65_536]).await.unwrap();
    assert_eq!(wire.get("/other").await.unwrap().text(), "ok");
    let (mut wire, _) = refuse(&gateway, 65_537, "").await;
    drop(wire.send(vec![b'x'; 65_537]).await);
    assert!(wire.closes().await);
    assert_eq!(upstream.seen().requests(), 2);
}

/// With HTTP/2 a stream alone ends, by a reset that is no error.
#[tokio::test]
async fn a_refused_stream_is_reset_without_an_error() {
    let (upstream, gateway) = start(Engine::Own, "", "rate = \"1/10m\"", ok).await;
    let mut frames = Frames::open(gateway.public).await.unwrap();
    assert_eq!(frames.get("/api/x").await, Ended::Answered(200));
    let stream = frames.stream();
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/api/x"),
        ("content-length", "10000000"),
    ];
    frames.send(kind::HEADERS, flag::END_HEADERS, stream, &fields_block(&fields)).await.unwrap();
    frames.send(kind::DATA, flag::NONE, stream, &[b'x'; 1_000]).await.unwrap();
    // The head refers to what the connection's table holds by then; the body tells its status too.
    let mut answer = Vec::new();
    let reset = loop {
        let frame = frames.receive().await.unwrap();
        match frame.kind {
            kind::DATA if frame.stream == stream => answer.extend(frame.payload),
            kind::RST_STREAM if frame.stream == stream => break frame.payload,
            _ => (),
        }
    };
    assert_eq!(reset, code::NO_ERROR.to_be_bytes());
    let problem: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(429), &json!("limits.rate")));
    assert_eq!(frames.get("/other").await, Ended::Answered(200), "the connection goes on");
    assert_eq!(upstream.seen().requests(), 2);
}
