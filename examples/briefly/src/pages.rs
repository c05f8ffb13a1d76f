//! What people see: the landing page, the application's pages and their static files.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};

const PAGES: [(&str, &str, &str); 3] = [
    ("briefs", "Briefs", "<p>Nothing yet. Paste a text into the chat and keep what comes out.</p>"),
    (
        "storage",
        "Storage",
        "<p>Connect a drive and Briefly reads your documents there.</p>\
         <ul><li>Google Drive<li>OneDrive</ul>",
    ),
    ("settings", "Settings", "<p>You are on the <b>free</b> plan.</p>"),
];

const CHAT: &str = r#"<form id="chat">
<label>What shall be brief? <textarea name="text" rows="4" required></textarea></label>
<button>Summarise</button>
</form>
<output id="answer" for="chat" aria-live="polite"></output>
<script src="/static/app.js" defer></script>"#;

fn layout(title: &str, main: &str) -> Html<String> {
    let links: String =
        PAGES.iter().map(|(name, title, _)| format!("<a href=\"/briefly/app/{name}\">{title}</a> ")).collect();
    Html(format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Briefly</title>
<link rel="stylesheet" href="/static/style.css">
<link rel="icon" href="/static/logo.svg" type="image/svg+xml">
</head>
<body>
<header><a href="/"><img src="/static/logo.svg" width="32" height="32" alt="Briefly"></a>
<nav><a href="/briefly/app">Chat</a> {links}</nav></header>
<main>
<h1>{title}</h1>
{main}
</main>
</body>
</html>
"#
    ))
}

pub(crate) async fn landing() -> Html<String> {
    layout(
        "Say it briefly",
        "<p>Briefly reads long texts so that you don't have to.</p>\n<p><a href=\"/briefly/app\">Open the application</a></p>",
    )
}

pub(crate) async fn home() -> Html<String> {
    layout("Chat", CHAT)
}

pub(crate) async fn page(Path(name): Path<String>) -> Result<Html<String>, (StatusCode, Html<String>)> {
    PAGES.iter().find(|(known, _, _)| *known == name).map(|(_, title, main)| layout(title, main)).ok_or_else(not_found)
}

pub(crate) async fn absent() -> (StatusCode, Html<String>) {
    not_found()
}

fn not_found() -> (StatusCode, Html<String>) {
    (StatusCode::NOT_FOUND, layout("Not found", "<p>There is no such page.</p>"))
}

pub(crate) async fn script() -> impl IntoResponse {
    asset("text/javascript; charset=utf-8", include_str!("assets/app.js"))
}

pub(crate) async fn style() -> impl IntoResponse {
    asset("text/css; charset=utf-8", include_str!("assets/style.css"))
}

pub(crate) async fn logo() -> impl IntoResponse {
    asset("image/svg+xml", include_str!("assets/logo.svg"))
}

fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "public, max-age=3600")], text)
}
