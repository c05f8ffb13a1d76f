//! A Next.js application behind the gateway, used by a real browser.
//!
//! The test makes what it needs from what the registry and the distribution have: packages by
//! `npm install`, the application by `next build`, Chromium by `apt-get`.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use e2e::Launch;
use e2e::node::{Folder, changed};
use serde_json::Value;

const CHROMIUM: &str = "/usr/bin/chromium";

/// The newest file of the application's sources.
fn sources(path: &Path) -> Option<SystemTime> {
    match fs::read_dir(path) {
        Ok(entries) => entries.filter_map(|entry| sources(&entry.ok()?.path())).max(),
        Err(_) => changed(path),
    }
}

/// Packages, build and browser, each made only when it is missing or older than what it is made of.
fn prepare() -> Folder {
    let folder = Folder::with_packages("next");
    let parts = ["app", "next.config.mjs", "package-lock.json"].map(|part| sources(&folder.path().join(part)));
    if changed(&folder.path().join(".next/BUILD_ID")) < parts.into_iter().max().flatten() {
        folder.run("npx", &["next", "build"]);
    }
    if !Path::new(CHROMIUM).exists() {
        folder.run("apt-get", &["install", "--yes", "--no-install-recommends", "chromium"]);
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_uses_a_next_application_through_the_gateway() {
    let folder = tokio::task::spawn_blocking(prepare).await.unwrap();
    let application = folder.start("server.mjs", &["0"]);
    let config = format!("[app]\nupstream = \"http://127.0.0.1:{}\"\n", application.port().await);
    let gateway = Launch::config(config).start().await;

    let base = format!("http://{}", gateway.public);
    let drive = move || folder.command("node", &["drive.mjs", &base]).output().unwrap();
    let output = tokio::task::spawn_blocking(drive).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(report["errors"], serde_json::json!([]));
    let checks = report["checks"].as_object().unwrap();
    let failed: Vec<_> = checks.iter().filter(|(_, check)| check["ok"] != true).collect();
    assert!(failed.is_empty() && checks.len() == 7, "{failed:#?}");

    for path in ["/api/ticks", "/socket", "/items/42", "/_next/image"] {
        gateway.record(path, |record| record["path"] == path).await;
    }
}
