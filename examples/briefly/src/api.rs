//! The JSON half of the product, apart from the chat.

use std::sync::LazyLock;
use std::time::Instant;

use axum::Json;
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

pub(crate) async fn profile() -> Json<Value> {
    Json(json!({ "name": "Demo user", "email": "demo@briefly.example", "plan": "free" }))
}
