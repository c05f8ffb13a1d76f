//! Limits that hold something while a request is under way: slots, and what depends on the answer.

use std::time::Duration;

use e2e::{Engine, Gateway, LIMIT, Launch, Received, Wire, within};
use palisade_testkit::upstream::{Answer, Request, Upstream};
use serde_json::json;

/// A gateway with one limit called `api` on everything.
async fn start(
    engine: Engine,
    limit: &str,
    script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> (Upstream, Gateway) {
    let upstream = Upstream::start(script).unwrap();
    let config =
        format!("[app]\nupstream = \"{}\"\n[limits]\nper_ip = \"off\"\n[limits.api]\n{limit}\n", upstream.url());
    let gateway = Launch::config(config).engine(engine).start().await;
    (upstream, gateway)
}

/// Begins a request whose answer doesn't come.
async fn begin(gateway: &Gateway, path: &str) -> Wire {
    let mut wire = Wire::open(gateway.public).await;
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await.unwrap();
    wire
}

/// Asks until the answer is no refusal.
async fn until_admitted(gateway: &Gateway, path: &str) -> Received {
    within("a slot is free", async {
        loop {
            let answer = gateway.get(path).await;
            if answer.status != 429 {
                return answer;
            }
        }
    })
    .await
}

async fn reached(upstream: &Upstream, requests: usize) {
    assert!(upstream.reached(LIMIT, |seen| seen.requests() == requests).await, "{requests} requests");
}

#[tokio::test]
async fn scenario_22_slots_are_free_when_their_client_leaves() {
    for engine in Engine::ALL {
        let slow = |request: &Request| if request.target() == "/slow" { Answer::silent() } else { Answer::ok("ok") };
        let (upstream, gateway) = start(engine, "concurrent = 2", slow).await;
        let first = begin(&gateway, "/slow").await;
        let second = begin(&gateway, "/slow").await;
        reached(&upstream, 2).await;
        let refused = gateway.get("/slow").await;
        assert_eq!(refused.refusal(), "429 limits.concurrent");
        assert_eq!(refused.problem()["violated-policies"], json!(["api/concurrent"]));
        assert_eq!(refused.field("retry-after").as_deref(), Some("1"));
        let policy = refused.field("ratelimit-policy");
        assert_eq!(policy.as_deref(), Some("\"api/concurrent\";q=2;qu=\"concurrent-requests\""));
        assert_eq!(refused.field("ratelimit").as_deref(), Some("\"api/concurrent\";r=0"));
        assert_eq!(upstream.seen().requests(), 2);
        drop(first);
        assert_eq!(until_admitted(&gateway, "/x").await.status, 200);
        // The one that goes on keeps its slot.
        assert_eq!(gateway.get("/x").await.field("ratelimit").as_deref(), Some("\"api/concurrent\";r=0"));
        drop(second);
    }
}

#[tokio::test]
async fn a_stream_keeps_its_slot_until_it_ends() {
    for engine in Engine::ALL {
        let stream = |request: &Request| match request.target().as_str() {
            "/stream" => Answer::new()
                .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .chunk(b"data: 1\n\n")
                .until_end(),
            "/ends" => Answer::chunks("text/event-stream", ["data: 1\n\n", "data: 2\n\n"], Duration::ZERO),
            _ => Answer::ok("ok"),
        };
        let (_upstream, gateway) = start(engine, "concurrent = 1", stream).await;
        let mut wire = begin(&gateway, "/stream").await;
        assert_eq!(wire.head().await.unwrap().status, 200);
        assert_eq!(wire.chunk().await.unwrap().unwrap(), b"data: 1\n\n");
        assert_eq!(gateway.get("/x").await.refusal(), "429 limits.concurrent");
        drop(wire);
        assert_eq!(until_admitted(&gateway, "/ends").await.text(), "data: 1\n\ndata: 2\n\n");
        assert_eq!(until_admitted(&gateway, "/x").await.status, 200);
    }
}

#[tokio::test]
async fn a_websocket_keeps_its_slot_until_it_closes() {
    let (_upstream, gateway) = start(Engine::Own, "concurrent = 1", |_| Answer::websocket()).await;
    let upgrade = "GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let open = || async {
        let mut wire = Wire::open(gateway.public).await;
        wire.send(upgrade).await.unwrap();
        let status = wire.head().await.unwrap().status;
        (wire, status)
    };
    let (socket, status) = open().await;
    assert_eq!(status, 101);
    assert_eq!(open().await.1, 429);
    drop(socket);
    within("the socket's slot is free", async { while open().await.1 != 101 {} }).await;
}

#[tokio::test]
async fn parallel_requests_never_take_more_slots_than_there_are() {
    let (upstream, gateway) = start(Engine::Own, "concurrent = 3", |_| Answer::silent()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let address = gateway.public;
        tasks.spawn(async move {
            let mut wire = Wire::open(address).await;
            wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
            // The application never answers, so an answer is a refusal.
            wire.head().await.unwrap().status
        });
    }
    for _ in 0..17 {
        assert_eq!(within("a refusal", tasks.join_next()).await.unwrap().unwrap(), 429);
    }
    reached(&upstream, 3).await;
}

/// A sign-in that answers 401, or 200 to the right password.
fn sign_in(request: &Request) -> Answer {
    match request.target().as_str() {
        "/sign-in?right" => Answer::ok("welcome"),
        "/sign-in?lost" => Answer::silent(),
        _ => Answer::status(401, &[], "no"),
    }
}

const FAILURES: &str = "on = \"/sign-in\"\nrate = \"3/15m\"\ncount = [401]";

#[tokio::test]
async fn scenario_18_the_limit_refuses_at_the_count() {
    for engine in Engine::ALL {
        let (upstream, gateway) = start(engine, FAILURES, sign_in).await;
        for _ in 0..3 {
            let answer = gateway.get("/sign-in").await;
            assert_eq!((answer.status, answer.field("ratelimit")), (401, None));
        }
        let refused = gateway.get("/sign-in?right").await;
        assert_eq!(refused.refusal(), "429 limits.rate");
        assert_eq!(refused.field("retry-after").as_deref(), Some("300"));
        assert_eq!((refused.field("ratelimit"), refused.field("ratelimit-policy")), (None, None));
        assert_eq!(upstream.seen().requests(), 3);
    }
}

#[tokio::test]
async fn scenario_19_right_ones_cost_nothing_and_parallel_ones_gain_nothing() {
    let (upstream, gateway) = start(Engine::Own, FAILURES, sign_in).await;
    let mut wire = Wire::open(gateway.public).await;
    for number in 0..100 {
        assert_eq!(wire.get("/sign-in?right").await.unwrap().status, 200, "number {number}");
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let address = gateway.public;
        tasks.spawn(async move { Wire::open(address).await.get("/sign-in").await.unwrap().status });
    }
    let statuses = within("all of them", tasks.join_all()).await;
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 3, "{statuses:?}");
    assert_eq!(upstream.seen().requests(), 103);
}

#[tokio::test]
async fn reservations_that_stand_in_the_way_may_be_released() {
    let (upstream, gateway) = start(Engine::Own, FAILURES, sign_in).await;
    let mut lost = Vec::new();
    for _ in 0..3 {
        lost.push(begin(&gateway, "/sign-in?lost").await);
    }
    reached(&upstream, 3).await;
    let refused = gateway.get("/sign-in").await;
    assert_eq!((refused.status, refused.field("retry-after").as_deref()), (429, Some("1")));
    // Who leaves before the answer may have guessed right or wrong: it counts.
    drop(lost);
    within("they count", async {
        while gateway.get("/sign-in").await.field("retry-after").as_deref() != Some("300") {}
    })
    .await;
    assert_eq!(upstream.seen().requests(), 3);
}

#[tokio::test]
async fn scenario_20_the_third_refusal_is_a_ban() {
    let limit = "rate = \"5/10m\"\nban = [\"1m\", \"5m\"]";
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!(
        "[app]\nupstream = \"{}\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n[limits]\nper_ip = \"off\"\n[limits.api]\n{limit}\n",
        upstream.url()
    );
    let gateway = Launch::config(config).start().await;
    for _ in 0..5 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    for expected in ["429 limits.rate", "429 limits.rate", "429 limits.banned", "429 limits.banned"] {
        let refused = gateway.get("/").await;
        assert_eq!(refused.refusal(), expected);
        assert_eq!(refused.problem()["violated-policies"], json!(["api"]));
        if expected == "429 limits.banned" {
            assert_eq!(refused.field("retry-after").as_deref(), Some("60"));
            assert_eq!(
                refused.problem()["type"],
                "https://iana.org/assignments/http-problem-types#abnormal-usage-detected"
            );
        }
    }
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n").await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 200, "another address");
    let scrape = gateway.counted(10).await;
    assert_eq!(scrape.sum("palisade_limits_bans_total", &[("limit", "api")]), 1.0);
    assert_eq!(scrape.sum("palisade_limits_requests_total", &[("limit", "api"), ("outcome", "refused")]), 4.0);
}

#[tokio::test]
async fn scenario_17_an_account_is_limited_wherever_its_guesses_come_from() {
    for engine in Engine::ALL {
        let limit = "key = \"body.email\"\nrate = \"30/h burst 3\"\ncount = [401]";
        let (upstream, gateway) = start(engine, limit, |_| Answer::status(401, &[], "no")).await;
        let guess = |media_type: &'static str, body: &'static str| {
            let request = format!(
                "POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let address = gateway.public;
            async move {
                let mut wire = Wire::open(address).await;
                wire.send(request).await.unwrap();
                wire.answer().await.unwrap()
            }
        };
        let json = "application/json";
        assert_eq!(guess(json, r#"{"email":"a@x","password":"1"}"#).await.status, 401);
        assert_eq!(guess("application/x-www-form-urlencoded", "email=A%40x+&password=2").await.status, 401);
        assert_eq!(guess(json, r#"{"password":"3","\u0065mail":"a@X"}"#).await.status, 401);
        let refused = guess(json, r#"{"email":"a@x","password":"4"}"#).await;
        assert_eq!((refused.refusal().as_str(), refused.field("ratelimit")), ("429 limits.rate", None));
        assert_eq!(guess(json, r#"{"email":"b@x","password":"4"}"#).await.status, 401, "another account");
        let seen = upstream.seen().requests();
        for (media_type, body) in
            [(json, r#"{"email":"b@x","email":"a@x"}"#), ("application/x-www-form-urlencoded", "email=b@x&email=a@x")]
        {
            let refused = guess(media_type, body).await;
            assert_eq!(refused.refusal(), "400 limits.key_ambiguous");
            assert_eq!(refused.problem()["type"], "urn:palisade:problem:limits.key_ambiguous");
        }
        assert_eq!(upstream.seen().requests(), seen);
        let bodies = upstream.seen().bodies();
        assert_eq!(bodies.first().map(|body| body.length), Some(30), "the bytes went on unchanged");
    }
}
