//! `palisade demo`: the reference application behind the gateway, in one process.

use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{Launch, Wire};
use rustix::process::Signal;

#[tokio::test]
async fn the_demo_serves_the_reference_application() {
    let gateway = Launch::demo().start().await;
    // What it says for people and what it says for programs come by two ways, in no order.
    gateway.says("Ctrl-C ends everything").await;
    let said = gateway.said();
    assert!(said.contains(&gateway.public.to_string()), "the address is not shown:\n{said}");
    for (path, part) in [
        ("/", "Open the application"),
        ("/briefly/app", "id=\"chat\""),
        ("/api/health", "ok"),
        ("/api/auth/tiers", "pro_byok"),
    ] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.text().contains(part), "{path}");
        assert!(answer.field("x-request-id").is_some(), "{path}");
    }
    let mut wire = Wire::open(gateway.public).await;
    let question = r#"{"messages":[{"role":"user","content":"hello"}]}"#;
    wire.send(format!(
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{question}",
        question.len()
    ))
    .await
    .unwrap();
    assert_eq!(wire.head().await.unwrap().field("content-type").as_deref(), Some("text/event-stream"));
    let mut events = Vec::new();
    while let Some(chunk) = wire.chunk().await.unwrap() {
        events.push(String::from_utf8(chunk).unwrap());
    }
    assert_eq!(events.last().map(String::as_str), Some("data: [DONE]\n\n"));
    assert!(events.len() > 10, "{} words came in {} pieces", events.concat().len(), events.len());
    let record = gateway.record("the chat", |record| record["route"] == "/api/chat").await;
    assert!(record["first_byte_ms"].as_f64() < record["duration_ms"].as_f64(), "{record}");

    // Last, since one of them uses up the limit of this address.
    let things = said.split_once("Try, in another terminal:").unwrap_or_else(|| panic!("nothing to try:\n{said}")).1;
    let lines: Vec<String> = things.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect();
    assert!(lines.len() >= 6, "things to try are not shown:\n{said}");
    for line in lines {
        let pasted = line.clone();
        let run = move || Command::new("sh").args(["-c", &pasted]).output().unwrap();
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{line}\n{shown}");
        if line.contains("/api/chat") {
            assert!(shown.contains("data: [DONE]"), "{line}\n{shown}");
        }
        if line.contains("X-Forwarded-User") {
            assert!(shown.contains("x-real-ip") && shown.contains("\"host\""), "{line}\n{shown}");
            assert!(!shown.to_lowercase().contains("x-forwarded-user"), "{line}\n{shown}");
        }
        if line.contains("webhook") {
            assert!(shown.contains("invoice.paid"), "{line}\n{shown}");
            assert_eq!(shown.contains("\"exempt:"), line.contains("billing/webhook"), "{line}\n{shown}");
        }
        if line.contains("uniq") {
            for status in ["200", "429"] {
                assert!(shown.contains(status), "no {status}: {line}\n{shown}");
            }
        }
    }
}

#[tokio::test]
async fn the_demo_ends_at_once() {
    let mut gateway = Launch::demo().start().await;
    gateway.says("Ctrl-C ends everything").await;
    // A connection that is kept.
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 200);
    let began = Instant::now();
    gateway.signal(Signal::INT);
    assert_eq!(gateway.exit().await.code(), Some(0), "{}", gateway.said());
    // A gateway in front of users would have gone on for five seconds.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}
