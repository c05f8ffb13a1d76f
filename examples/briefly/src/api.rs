//! The JSON half of the product, apart from the chat.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Instant;

use axum::Json;
use axum::http::HeaderMap;
use serde_json::{Value, json};

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Marks the start of the application.
pub(crate) fn start() {
    LazyLock::force(&STARTED);
}

pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

pub(crate) async fn health_detailed() -> Json<Value> {
    Json(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": STARTED.elapsed().as_secs(),
        "checks": { "model": { "status": "ok" } },
    }))
}

pub(crate) async fn tiers() -> Json<Value> {
    Json(json!({
        "tiers": [
            { "plan": "free", "price_cents": 0, "messages_per_minute": 20 },
            { "plan": "pro", "price_cents": 1900, "messages_per_minute": 120 },
            { "plan": "pro_byok", "price_cents": 900, "messages_per_minute": 600 },
        ],
    }))
}

/// What a request looks like from here, for whoever wonders what is on the way.
pub(crate) async fn request(headers: HeaderMap) -> Json<Value> {
    let mut fields: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (name, value) in &headers {
        fields.entry(name.as_str()).or_default().push(String::from_utf8_lossy(value.as_bytes()));
    }
    Json(json!({ "headers": fields }))
}

pub(crate) async fn profile() -> Json<Value> {
    Json(json!({ "name": "Demo user", "email": "demo@briefly.example", "plan": "free" }))
}
