//! A Next.js application behind the gateway, used by a real browser.
//!
//! The test makes what it needs from what the registry and the distribution have: packages by
//! `npm install`, the application by `next build`, Chromium by `apt-get`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use e2e::Launch;
use serde_json::Value;

const CHROMIUM: &str = "/usr/bin/chromium";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("next")
}

/// Runs a command in the application's folder; a failure says what to type.
fn run(command: &str, arguments: &[&str]) {
    let output = Command::new(command)
        .args(arguments)
        .current_dir(folder())
        .env("NEXT_TELEMETRY_DISABLED", "1")
        .output()
        .unwrap_or_else(|error| panic!("{command}: {error}; is it installed?"));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let line = format!("{command} {}", arguments.join(" "));
    assert!(output.status.success(), "failed; type in {}: {line}\n{said}", folder().display());
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// The newest file of the application's sources.
fn sources(path: &Path) -> Option<SystemTime> {
    match fs::read_dir(path) {
        Ok(entries) => entries.filter_map(|entry| sources(&entry.ok()?.path())).max(),
        Err(_) => changed(path),
    }
}

/// Packages, build and browser, each made only when it is missing or older than what it is made of.
fn prepare() {
    let folder = folder();
    let packages = changed(&folder.join("node_modules/.package-lock.json"));
    if packages < changed(&folder.join("package-lock.json")) {
        // Not `npm ci`: it demands optional packages for systems that nobody tests on, and a registry
        // need not have them.
        run("npm", &["install", "--no-save", "--no-audit", "--no-fund"]);
    }
    let parts = ["app", "next.config.mjs", "package-lock.json"].map(|part| sources(&folder.join(part)));
    if changed(&folder.join(".next/BUILD_ID")) < parts.into_iter().max().flatten() {
        run("npx", &["next", "build"]);
    }
    if !Path::new(CHROMIUM).exists() {
        run("apt-get", &["install", "--yes", "--no-install-recommends", "chromium"]);
    }
}

/// The application's custom server. Killed when dropped.
struct Application {
    child: Child,
    port: u64,
}

impl Application {
    fn start() -> Self {
        let mut child = Command::new("node")
            .args(["server.mjs", "0"])
            .current_dir(folder())
            .env("NODE_ENV", "production")
            .env("NEXT_TELEMETRY_DISABLED", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let listening = lines
            .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
            .find(|line| line["event"] == "listening");
        let port = listening.and_then(|line| line["port"].as_u64());
        Self { port: port.expect("the application ended before it listened"), child }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_uses_a_next_application_through_the_gateway() {
    tokio::task::spawn_blocking(prepare).await.unwrap();
    let application = Application::start();
    let config = format!("[app]\nupstream = \"http://127.0.0.1:{}\"\n", application.port);
    let gateway = Launch::config(config).start().await;

    let base = format!("http://{}", gateway.public);
    let drive = move || Command::new("node").args(["drive.mjs", &base]).current_dir(folder()).output().unwrap();
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
