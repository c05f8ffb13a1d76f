//! Briefly, the reference application: a small product that summarises what you paste into it.
//!
//! It stands for the applications that Palisade protects, so it is what such an application is:
//! pages, an API, a chat that streams, callbacks that other services call. It has no protection
//! of its own and knows nothing of what stands in front of it. It keeps nothing and calls nobody:
//! the model that answers the chat is canned.
//!
//! `openapi.yaml` describes exactly the routes in `routes`; a test holds the two together.

mod api;
mod callbacks;
mod chat;
mod pages;

use std::io;

use axum::Router;
use axum::routing::{MethodRouter, get, post};
use tokio::net::TcpListener;

/// Every path of the application with what answers there.
fn routes() -> Vec<(&'static str, MethodRouter)> {
    vec![
        ("/", get(pages::landing)),
        ("/briefly/app", get(pages::home)),
        ("/briefly/app/{page}", get(pages::page)),
        ("/static/app.js", get(pages::script)),
        ("/static/style.css", get(pages::style)),
        ("/static/logo.svg", get(pages::logo)),
        ("/api/health", get(api::health)),
        ("/api/health/detailed", get(api::health_detailed)),
        ("/api/auth/tiers", get(api::tiers)),
        ("/api/user/profile", get(api::profile)),
        ("/api/request", get(api::request)),
        ("/api/chat", post(chat::chat)),
        ("/api/billing/webhook", post(callbacks::billing)),
        ("/api/storage/google/callback", get(callbacks::google_storage)),
        ("/api/storage/microsoft/callback", get(callbacks::microsoft_storage)),
        ("/auth/callback", get(callbacks::sign_in)),
    ]
}

/// The whole application.
pub fn router() -> Router {
    api::start();
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .fallback(pages::absent)
}

/// Answers requests on `listener` until the future is dropped.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    axum::serve(listener, router()).await
}

#[cfg(test)]
mod tests;
