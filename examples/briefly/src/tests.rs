//! The router as a caller sees it, and the document that describes it.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower_service::Service;

use super::{router, routes};

async fn call(line: &str, body: &str) -> (StatusCode, axum::http::HeaderMap, String) {
    let (method, path) = line.split_once(' ').unwrap();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let (head, body) = router().call(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn answers() {
    let question = r#"{"messages":[{"role":"user","content":"hello"}]}"#;
    for (line, body, status, expected) in [
        ("GET /", "", 200, "Open the application"),
        ("GET /briefly/app", "", 200, "id=\"chat\""),
        ("GET /briefly/app/settings", "", 200, "free"),
        ("GET /briefly/app/nothing", "", 404, "no such page"),
        ("GET /nothing", "", 404, "no such page"),
        ("GET /static/app.js", "", 200, "/api/chat"),
        ("GET /static/style.css", "", 200, "font"),
        ("GET /static/logo.svg", "", 200, "<svg"),
        ("GET /api/health", "", 200, r#"{"status":"ok"}"#),
        ("GET /api/health/detailed", "", 200, r#""checks""#),
        ("GET /api/auth/tiers", "", 200, r#""pro_byok""#),
        ("GET /api/user/profile", "", 200, "demo@briefly.example"),
        ("POST /api/chat", question, 200, "data: [DONE]\n\n"),
        ("POST /api/chat", "{", 400, ""),
        ("POST /api/chat", "{}", 400, "messages"),
        ("POST /api/chat", r#"{"messages":[]}"#, 400, "messages"),
        ("POST /api/chat", r#"{"messages":[{"role":"system","content":"hello"}]}"#, 400, "messages"),
        ("POST /api/chat", r#"{"messages":[{"role":"user","content":"  "}]}"#, 400, "messages"),
        ("GET /api/chat", "", 405, ""),
        ("POST /api/billing/webhook", r#"{"type":"invoice.paid"}"#, 200, "invoice.paid"),
        ("POST /api/billing/webhook", "invoice.paid", 400, "not an event"),
        ("GET /auth/callback?code=1&state=2", "", 303, ""),
        ("GET /auth/callback?error=access_denied", "", 400, "no code"),
        ("GET /api/storage/google/callback?code=", "", 400, "no code"),
        ("GET /api/storage/google/callback?code=1", "", 303, ""),
        ("GET /api/storage/microsoft/callback?code=1", "", 303, ""),
    ] {
        let (actual, _, text) = call(line, body).await;
        assert_eq!(actual, status, "{line} {body}");
        assert!(text.contains(expected), "{line} {body}: {text}");
    }
}

#[tokio::test]
async fn callbacks_go_on_to_the_page_they_belong_to() {
    for (path, location) in [
        ("/auth/callback", "/briefly/app"),
        ("/api/storage/google/callback", "/briefly/app/storage?connected=google"),
        ("/api/storage/microsoft/callback", "/briefly/app/storage?connected=microsoft"),
    ] {
        let (_, head, _) = call(&format!("GET {path}?code=1"), "").await;
        assert_eq!(head[header::LOCATION], location);
    }
}

#[tokio::test]
async fn the_chat_streams_words_then_usage_then_done() {
    let (_, head, text) =
        call("POST /api/chat", r#"{"messages":[{"role":"user","content":"one two three four five six"}]}"#).await;
    assert_eq!(head[header::CONTENT_TYPE], "text/event-stream");
    let events: Vec<&str> = text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
    let (done, events) = events.split_last().unwrap();
    assert_eq!(*done, "[DONE]");
    let events: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let words: Vec<&str> = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert!(words.concat().starts_with("You asked: one two three four five …. In brief"), "{}", words.concat());
    let usage = &events.last().unwrap()["usage"];
    assert_eq!(usage["prompt_tokens"], 6);
    assert_eq!(usage["completion_tokens"], words.len());
    assert_eq!(usage["total_tokens"], 6 + words.len());
}

/// `METHOD path` of each operation in the document. Reads only as much YAML as this needs: paths
/// are indented by two blanks, their methods by four.
fn documented() -> BTreeSet<String> {
    let document = include_str!("../openapi.yaml");
    let paths = document.split_once("\npaths:\n").unwrap().1;
    let mut path = "";
    let mut operations = BTreeSet::new();
    for line in paths.lines().take_while(|line| line.is_empty() || line.starts_with(' ')) {
        let indent = line.len() - line.trim_start().len();
        match (indent, line.trim().strip_suffix(':')) {
            (2, Some(name)) => path = name,
            (4, Some(method)) => drop(operations.insert(format!("{} {path}", method.to_uppercase()))),
            _ => (),
        }
    }
    operations
}

#[tokio::test]
async fn the_document_describes_exactly_the_routes() {
    let mut answered = BTreeSet::new();
    for (path, _) in routes() {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            let (status, _, _) = call(&format!("{method} {}", path.replace("{page}", "briefs")), "").await;
            if status != StatusCode::METHOD_NOT_ALLOWED {
                answered.insert(format!("{method} {path}"));
            }
        }
    }
    assert_eq!(documented(), answered);
}

/// `[performance] routes` of the configuration beside this application.
#[test]
fn the_configuration_names_every_route() {
    let (_, list) = include_str!("../palisade.toml").split_once("routes = [").unwrap();
    let configured: BTreeSet<&str> = list
        .lines()
        .map(|line| line.trim().trim_end_matches(','))
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'))
        .collect();
    let served: BTreeSet<&str> = routes().into_iter().map(|(path, _)| path).collect();
    assert_eq!(configured, served);
}
