//! Paths that other services call: identity provider, storage providers, billing.

use std::collections::HashMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

pub(crate) async fn sign_in(Query(parameters): Query<HashMap<String, String>>) -> Response {
    finish(&parameters, "/briefly/app")
}

pub(crate) async fn google_storage(Query(parameters): Query<HashMap<String, String>>) -> Response {
    finish(&parameters, "/briefly/app/storage?connected=google")
}

pub(crate) async fn microsoft_storage(Query(parameters): Query<HashMap<String, String>>) -> Response {
    finish(&parameters, "/briefly/app/storage?connected=microsoft")
}

/// The end of an OAuth flow: with a code the user goes on, with an error they are told.
fn finish(parameters: &HashMap<String, String>, next: &str) -> Response {
    match parameters.get("code") {
        Some(code) if !code.is_empty() => Redirect::to(next).into_response(),
        Some(_) | None => (StatusCode::BAD_REQUEST, Json(json!({ "error": "no code" }))).into_response(),
    }
}

/// Stripe's events. A real product would verify the signature here or have it verified in front.
pub(crate) async fn billing(body: Bytes) -> Response {
    let event: Option<Value> = serde_json::from_slice(&body).ok();
    match event.as_ref().and_then(|event| event.get("type")).and_then(Value::as_str) {
        Some(kind) => Json(json!({ "received": kind })).into_response(),
        None => (StatusCode::BAD_REQUEST, Json(json!({ "error": "not an event" }))).into_response(),
    }
}
