//! Budgets of a language model's tokens.

use std::time::Duration;

use e2e::{Engine, Gateway, LIMIT, Launch, Received, Wire, within};
use palisade_testkit::upstream::{Answer, Request, Upstream};
use serde_json::json;

async fn start(
    engine: Engine,
    limit: &str,
    script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> (Upstream, Gateway) {
    let upstream = Upstream::start(script).unwrap();
    let config = format!(
        "[app]\nupstream = \"{}\"\n[limits]\nper_ip = \"off\"\n[limits.chat]\ncost = \"tokens\"\n{limit}\n",
        upstream.url()
    );
    let gateway = Launch::config(config).engine(engine).start().await;
    (upstream, gateway)
}

async fn post(gateway: &Gateway, path: &str, fields: &str, body: &str) -> Received {
    let mut wire = Wire::open(gateway.public).await;
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}");
    wire.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await.unwrap();
    wire.answer().await.unwrap()
}

fn remaining(answer: &Received) -> Option<String> {
    answer.field("x-ratelimit-remaining-tokens")
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn scenario_23_a_stream_is_settled_by_its_last_usage() {
    for engine in Engine::ALL {
        let script = |request: &Request| match request.target().as_str() {
            "/stream" => Answer::new().read().send(STREAM).chunk(b"data: {\"choices\":[]}\n\n").until_end(),
            "/ends" => Answer::chunks(
                "text/event-stream",
                ["data: {\"x\":1}\n\n", "data: {\"usage\":{\"total_", "tokens\":400}}\n\ndata: [DONE]\n\n"],
                Duration::ZERO,
            ),
            _ => Answer::ok("ok"),
        };
        let (upstream, gateway) = start(engine, "rate = \"1000/d\"\nreserve = 600", script).await;
        let mut wire = Wire::open(gateway.public).await;
        wire.send("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let head = wire.head().await.unwrap();
        assert_eq!(head.field("x-ratelimit-limit-tokens").as_deref(), Some("1000"));
        assert_eq!(remaining(&head).as_deref(), Some("400"));
        assert_eq!((head.field("ratelimit"), head.field("ratelimit-policy")), (None, None));
        let refused = post(&gateway, "/x", "", "{}").await;
        assert_eq!(refused.refusal(), "429 limits.tokens");
        assert_eq!(refused.problem()["violated-policies"], json!(["chat"]));
        assert_eq!(refused.field("retry-after").as_deref(), Some("1"));
        assert_eq!(upstream.seen().requests(), 1);
        drop(wire);
        // Two events came, one of them the client's leaving cut short: next to nothing was used.
        let ends = within("the first one is settled", async {
            loop {
                let answer = post(&gateway, "/ends", "", "").await;
                if answer.status == 200 {
                    return answer;
                }
            }
        })
        .await;
        assert_eq!(ends.text(), "data: {\"x\":1}\n\ndata: {\"usage\":{\"total_tokens\":400}}\n\ndata: [DONE]\n\n");
        assert!(matches!(remaining(&ends).as_deref(), Some("399" | "400")), "{ends:?}");
        let last = within("the stream is settled", async {
            loop {
                let answer = post(&gateway, "/x", "", "").await;
                if answer.status == 429 && answer.field("retry-after").as_deref() != Some("1") {
                    return answer;
                }
            }
        })
        .await;
        // 600 are wanted and 599 are left, or one less: nearly a token's time.
        assert!(matches!(remaining(&last).as_deref(), Some("598" | "599")), "{last:?}");
    }
}

#[tokio::test]
async fn the_applications_own_word_counts_and_stays_between_it_and_the_gateway() {
    for engine in Engine::ALL {
        let script = |request: &Request| {
            assert!(request.value("palisade-tokens-used").is_none(), "a client may not say so");
            assert_eq!(request.value("accept-encoding").as_deref(), Some("identity"));
            let told = [("Palisade-Tokens-Used", "30"), ("Content-Type", "application/json")];
            match request.target().as_str() {
                "/fails" => Answer::status(500, &[], "no"),
                "/lost" => Answer::new().read().closed(),
                _ => Answer::status(200, &told, r#"{"usage":{"total_tokens":9999}}"#),
            }
        };
        let (_upstream, gateway) = start(engine, "quota = \"1000 per month\"\nreserve = 100", script).await;
        let fields = "Accept-Encoding: gzip\r\nPalisade-Tokens-Used: 1\r\n";
        for expected in ["900", "870", "840"] {
            let answer = post(&gateway, "/x", fields, "{}").await;
            assert_eq!((answer.status, answer.field("palisade-tokens-used")), (200, None));
            assert_eq!(remaining(&answer).as_deref(), Some(expected));
            assert!(answer.field("x-ratelimit-reset-tokens").unwrap().ends_with('s'));
        }
        // What failed or never answered used nothing.
        assert_eq!(post(&gateway, "/fails", fields, "{}").await.status, 500);
        assert_eq!(post(&gateway, "/lost", fields, "{}").await.status, 502);
        let answer = post(&gateway, "/x", fields, "{}").await;
        assert_eq!(remaining(&answer).as_deref(), Some("810"));
    }
}

#[tokio::test]
async fn who_leaves_before_the_answer_gets_everything_back() {
    let silent = |request: &Request| match request.target().as_str() {
        "/silent" => Answer::silent(),
        _ => Answer::status(200, &[("Palisade-Tokens-Used", "0")], "ok"),
    };
    let (upstream, gateway) = start(Engine::Own, "quota = \"100 per month\"\nreserve = 100", silent).await;
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET /silent HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(upstream.reached(LIMIT, |seen| seen.requests() == 1).await);
    assert_eq!(post(&gateway, "/x", "", "").await.refusal(), "429 limits.tokens");
    drop(wire);
    within("it is given back", async { while post(&gateway, "/x", "", "").await.status != 200 {} }).await;
}

#[tokio::test]
async fn estimates_come_from_the_request_and_never_exceed_the_budget() {
    let answer = |_: &Request| Answer::status(200, &[("Palisade-Tokens-Used", "0")], "ok");
    let (upstream, gateway) = start(Engine::Own, "quota = \"1000 per month\"\ndefault_output = 300", answer).await;
    let check = |body: &'static str, expected: &'static str| {
        let gateway = &gateway;
        async move {
            let answer = post(gateway, "/x", "", body).await;
            assert_eq!((answer.status, remaining(&answer).as_deref()), (200, Some(expected)), "{body}");
        }
    };
    check(r#"{"max_tokens":100}"#, "895").await;
    check(r#"{"prompt":"hello hello"}"#, "694").await;
    check(r#"{"max_completion_tokens":100000}"#, "0").await;
    check("", "700").await;
    assert!(upstream.reached(LIMIT, |seen| seen.bodies().len() >= 3).await);
    assert_eq!(upstream.seen().bodies()[0].length, 18, "the bytes went on unchanged");
}

#[tokio::test]
async fn a_field_of_the_gateways_is_taken_out_without_a_budget_too() {
    let upstream = Upstream::start(|_| Answer::status(200, &[("Palisade-Tokens-Used", "7")], "ok")).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    assert_eq!(gateway.get("/").await.field("palisade-tokens-used"), None);
}
