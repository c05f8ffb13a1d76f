//! `palisade explain`: which limits would be asked about a request, and what they would say.

use std::fs;
use std::process::Command;

use e2e::gateway::binary;
use serde_json::{Value, json};

const CONFIG: &str = r#"[app]
upstream = "http://127.0.0.1:3000"
[limits]
per_user = { anon = "30/m", pro = "600/m" }
[limits.chat]
on = "POST /api/chat"
key = "body.email + ip"
rate = "5/m burst 2"
concurrent = 2
[limits.watched]
on = "/api/**"
quota = "200 per day"
mode = "report"
[limits.exempt]
"GET /auth/callback" = "60/m per ip"
"#;

fn explain(request: &str, from: &str) -> Value {
    explain_with(request, from, &[])
}

fn explain_with(request: &str, from: &str, more: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("palisade.toml");
    fs::write(&file, CONFIG).unwrap();
    let arguments = ["explain", request, "--from", from, "--format", "json", "--config"];
    let output = Command::new(binary()).args(arguments).arg(file).args(more).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// `shed per_ip by ip: 300 at once, one more each 200ms; 299 left (admitted)`
fn limits(story: &Value) -> Vec<String> {
    let text = |limit: &Value, name: &str| limit[name].as_str().unwrap_or_default().to_owned();
    let limit = |limit: &Value| {
        let [stage, name, key, holds, mode] = ["stage", "name", "key", "holds", "mode"].map(|field| text(limit, field));
        let mode = if mode == "enforce" { String::new() } else { format!(" {mode}") };
        format!("{stage} {name} by {key}: {holds}; {} left{mode}", limit["remaining"])
    };
    story["limits"].as_array().unwrap().iter().map(limit).collect()
}

#[test]
fn each_limit_is_told_with_its_arithmetic() {
    let story = explain("POST /api/chat", "192.0.2.1");
    assert_eq!(
        limits(&story),
        [
            "shed per_ip by ip: 300 at once, one more each 200ms; 299 left",
            "shed watched/quota by ip: 200 per day, UTC; 199 left report",
            "quota per_user by user: 30 at once, one more each 2s; 29 left",
            "quota chat by body.email + ip: 2 at once, one more each 12s; 1 left",
            "quota chat/concurrent by body.email + ip: 2 at a time; 1 left",
        ]
    );
    let shapes: Vec<_> = story["policies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|policy| policy["policy"] == "limits")
        .map(|policy| format!("{} {}", policy["stage"].as_str().unwrap(), policy["shape"].as_str().unwrap()))
        .collect();
    assert_eq!(shapes, ["shed meter", "shed meter", "quota examine", "quota meter", "dress dress"]);
    assert_eq!(story["ending"], json!({ "by": "application" }));
}

#[test]
fn what_is_exempt_meets_its_ceiling_alone() {
    assert_eq!(
        limits(&explain("GET /auth/callback", "2001:db8::1")),
        ["shed exempt:GET /auth/callback by ip: 60 at once, one more each 1s; 59 left"]
    );
    let names = limits(&explain("GET /auth/callback/", "192.0.2.1"));
    assert_eq!(names.len(), 2, "another spelling is not exempt: {names:?}");
}

#[test]
fn a_user_has_the_plans_rate() {
    let told = |more: &[&str]| limits(&explain_with("GET /x", "192.0.2.1", more))[1].clone();
    assert_eq!(
        told(&["--as", "google:42", "--plan", "pro"]),
        "quota per_user by user: 600 at once, one more each 100ms; 599 left"
    );
    assert_eq!(told(&["--as", "google:42"]), "quota per_user by user: 600 at once, one more each 100ms; 599 left");
    assert_eq!(told(&[]), "quota per_user by user: 30 at once, one more each 2s; 29 left");
}

/// How the address was found, and why a request is exempt or not.
#[test]
fn what_decides_about_limits_is_told() {
    let told = |request: &str, more: &[&str]| {
        let story = explain_with(request, "192.0.2.1", more);
        [&story["client_from"], &story["exemption"]].map(|text| text.as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(told("GET /x", &[]), ["the connection's own address", ""]);
    let [from, _] = told("GET /x", &["-H", "X-Forwarded-For: 1.2.3.4"]);
    assert!(from.contains("not in `[app] trusted_proxies`, so that x-forwarded-for is not read"), "{from}");
    for (request, expected) in [
        ("GET /auth/callback", "exempt from limits by \"GET /auth/callback\", up to its ceiling"),
        ("POST /auth/callback", "not exempt from limits by \"GET /auth/callback\": the method is another one"),
        ("HEAD /auth/callback", "not exempt from limits by \"GET /auth/callback\": the method is another one"),
        (
            "GET /auth//callback",
            "not exempt from limits by \"GET /auth/callback\": the path was not sent in its normal form",
        ),
        ("GET /auth/callback/", "not exempt from limits by \"GET /auth/callback\": the path has to be exactly that"),
        ("GET /AUTH/callback", "not exempt from limits by \"GET /auth/callback\": the path has to be exactly that"),
        ("GET /auth/callback/credentials", ""),
    ] {
        assert_eq!(told(request, &[])[1], expected, "{request}");
    }
}

#[test]
fn an_address_from_a_trusted_proxy_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("palisade.toml");
    fs::write(&file, CONFIG.replace("[limits]\n", "trusted_proxies = [\"10.0.0.0/8\"]\n[limits]\n")).unwrap();
    let told = |fields: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["explain", "GET /x", "--from", "10.0.0.1", "--format", "json", "--config"]).arg(&file);
        for field in fields {
            command.args(["-H", field]);
        }
        let story: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        [&story["client"], &story["client_from"]].map(|text| text.as_str().unwrap().to_owned())
    };
    let missing = "the connection's own: 10.0.0.1 is trusted, and x-forwarded-for is missing";
    assert_eq!(told(&[]), ["10.0.0.1", missing]);
    let named = "x-forwarded-for, by way of 10.0.0.1, which is trusted";
    assert_eq!(told(&["X-Forwarded-For: 6.6.6.6, 1.2.3.4"]), ["1.2.3.4", named]);
    let nobody = "the connection's own: x-forwarded-for names nobody in front of 10.0.0.1, which is trusted";
    assert_eq!(told(&["X-Forwarded-For: 1.2.3.4, unknown"]), ["10.0.0.1", nobody]);
}
