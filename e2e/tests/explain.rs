//! `palisade explain` says what the gateway does: the same requests are explained and sent.

use std::path::Path;
use std::process::{Command, Output};

use e2e::gateway::binary;
use e2e::{Gateway, Launch, Wire};
use palisade_testkit::upstream::{Answer, Upstream};
use serde_json::Value;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary()).arg("explain").args(arguments).current_dir(folder).output().unwrap()
}

/// What is said about a request to the gateway with these fields.
fn explain(gateway: &Gateway, request: &str, fields: &[&str]) -> Value {
    let mut arguments = vec![request, "--format", "json"];
    fields.iter().for_each(|field| arguments.extend(["-H", field]));
    let output = run(gateway.home(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{request}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn human(gateway: &Gateway, arguments: &[&str]) -> String {
    String::from_utf8(run(gateway.home(), arguments).stdout).unwrap()
}

fn config(upstream: &Upstream) -> String {
    format!("[app]\nupstream = \"{}\"\n[app.route.\"/small/*\"]\nmax_body = \"1KiB\"\n", upstream.url())
}

#[tokio::test]
async fn what_is_said_is_what_happens() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::config(config(&upstream)).start().await;
    for (request, fields, expected) in [
        ("GET /a", vec![], "application"),
        ("GET /a/..%2fb", vec![], "400 path.malformed"),
        ("POST /a", vec!["Content-Length: 500000000"], "413 http.body_too_large"),
        ("POST /small/a", vec!["Content-Length: 1025"], "413 http.body_too_large"),
        ("POST /a", vec!["Content-Length: 3", "Transfer-Encoding: chunked"], "400 http.malformed"),
        ("GET /.palisade/nothing", vec![], "404 http.not_found"),
        ("GET /.PALISADE/livez", vec![], "404 http.not_found"),
        ("GET /.palisade/livez", vec![], "200"),
    ] {
        let ending = explain(&gateway, request, &fields)["ending"].clone();
        let said = match (ending["status"].as_u64(), ending["code"].as_str()) {
            (Some(status), Some(code)) => format!("{status} {code}"),
            (Some(status), None) => status.to_string(),
            (None, _) => ending["by"].as_str().unwrap().to_owned(),
        };
        assert_eq!(said, expected, "{request} {fields:?}");

        let mut wire = Wire::open(gateway.public).await;
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        wire.send(format!("{request} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await.unwrap();
        let answer = wire.answer().await.unwrap();
        let happened = match answer.status {
            200 if answer.text() == "ok" && expected == "application" => "application".to_owned(),
            200 => "200".to_owned(),
            _ => answer.refusal(),
        };
        assert_eq!(happened, expected, "{request} {fields:?}");
    }
}

#[tokio::test]
async fn the_rule_is_named() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::config(config(&upstream)).start().await;
    let long = human(&gateway, &["POST /a", "-H", "Content-Length: 500000000"]);
    assert!(long.contains("app.max_body") && long.contains("100MiB") && long.contains("(default)"), "{long}");
    let small = human(&gateway, &["POST /small/a", "-H", "Content-Length: 1025"]);
    let rule = "app.route.\"/small/*\".max_body";
    assert!(small.contains(rule) && small.contains("1KiB") && small.contains("palisade.toml:4"), "{small}");
    let both = human(&gateway, &["POST /a", "-H", "Content-Length: 3", "-H", "Transfer-Encoding: chunked"]);
    assert!(both.contains("two lengths"), "{both}");
}

#[tokio::test]
async fn what_the_application_receives_is_told() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::config(config(&upstream)).start().await;
    let fields = ["X-Forwarded-User: admin", "x_odd: 1", "Connection: close", "X-Kept: 1", "X-Forwarded-For: 9.9.9.9"];
    let said = explain(&gateway, "GET /a", &fields);
    assert_eq!(said["removed"], serde_json::json!(["x-forwarded-user", "x_odd", "connection"]));
    let added: Vec<_> = said["added"].as_array().unwrap().iter().map(|field| field[0].as_str().unwrap()).collect();

    let mut wire = Wire::open(gateway.public).await;
    let sent: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    wire.send(format!("GET /a HTTP/1.1\r\nHost: localhost\r\n{sent}\r\n")).await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 200);
    let head = upstream.seen().heads().pop().unwrap();
    for name in ["x-forwarded-user", "x_odd"] {
        assert_eq!(head.value(name), None, "{name}");
    }
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-real-ip", "x-request-id", "traceparent"] {
        assert!(added.contains(&name), "{name} is not in {added:?}");
    }
    for name in added {
        assert!(head.value(name).is_some(), "{name} did not arrive");
    }
}

#[tokio::test]
async fn what_depends_on_the_answer_is_not_promised() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::config(config(&upstream)).start().await;
    let text = human(&gateway, &["GET /a"]);
    let (always, on_pages) = text.split_once("On pages").unwrap_or_else(|| panic!("no pages in\n{text}"));
    assert!(always.contains("x-content-type-options: nosniff"), "{text}");
    assert!(always.contains("x-request-id: "), "{text}");
    assert!(!always.contains("content-security-policy-report-only"), "{text}");
    assert!(on_pages.contains("content-security-policy-report-only: "), "{text}");
}

/// The output of `explain` where there is no file, with its exit code.
fn without_file(arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), arguments);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn every_command_that_check_prints_works_as_it_is_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[app]\nupsteam = \"http://127.0.0.1:3000\"\nworkers = \"four\"\n\
        [app.route.\"/api/*\".timeouts]\nrespons = \"1s\"\n[app.route.\"/it's\"]\nmax_boddy = \"1MiB\"\n[limits]\nper_ip = 3\n";
    std::fs::write(folder.path().join("palisade.toml"), text).unwrap();
    let output = Command::new(binary()).arg("check").current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let commands: Vec<_> = said.lines().filter_map(|line| line.trim().strip_prefix("help: palisade ")).collect();
    assert_eq!(commands.len(), 5, "{said}");
    for command in commands {
        let typed = format!("'{}' {command}", binary().display());
        let output = Command::new("sh").args(["-c", &typed]).current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_table_lists_its_keys_and_an_unknown_word_what_is_near() {
    for (what, expected) in [
        ("limits", "limits.per_ip"),
        ("app", "app.upstream"),
        ("app.timeouts", "app.timeouts.response"),
        ("app.route", "app.route.<pattern>.max_body"),
        // A name of the author's, or a slip.
        ("limits.per_ipp", "Did you mean: palisade explain limits.per_ip\n"),
    ] {
        let (code, said) = without_file(&[what]);
        assert!(code == Some(0) && said.contains(expected), "{what}: {said}");
    }
    assert!(!without_file(&["limits.chat"]).1.contains("Did you mean"));
    for (what, expected) in [
        ("app.upsteam", "palisade explain app.upstream"),
        ("limit.per_ip", "palisade explain limits.per_ip"),
        ("per_ip", "palisade explain limits.per_ip"),
        ("http.unkown_host", "palisade explain http.unknown_host"),
        ("config.unknown_keys", "palisade explain config.unknown_key"),
        ("app.route.\"/a\".max_boddy", "palisade explain 'app.route.\"/a\".max_body'"),
    ] {
        let (code, said) = without_file(&[what]);
        assert!(code == Some(2) && said.contains(expected), "{what}: {said}");
    }
}

#[test]
fn without_a_file_a_request_meets_the_defaults() {
    for request in [&["POST /x"][..], &["POST", "/x"]] {
        let (code, said) = without_file(request);
        assert_eq!(code, Some(0), "{said}");
        for part in ["POST /x\n", "The application answers", "what the defaults do"] {
            assert!(said.contains(part), "no {part:?} in\n{said}");
        }
    }
    let (code, said) = without_file(&["POST /x", "--config", "nowhere.toml"]);
    assert!(code == Some(3) && said.contains("nowhere.toml"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(binary()).arg("check").current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("palisade check --config FILE"), "{said}");
}
