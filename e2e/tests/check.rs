//! `palisade check`: every problem at once, each with its place, in a form for people and one for
//! programs.

use std::fs;
use std::process::{Command, Output};

use e2e::gateway::binary;
use serde_json::Value;

const BAD: &str = r#"[app]
upstream = "http://127.0.0.1:3000"
lissten = "127.0.0.1:0"
[app.timeouts]
header = 10
[limits]
per_ip = "20/min"
[performance]
routes = ["api/x"]
[admin]
listen = true
"#;

fn check(text: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("palisade.toml");
    fs::write(&file, text).unwrap();
    Command::new(binary()).arg("check").arg("--config").arg(file).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn five_mistakes_are_five_problems_with_their_places() {
    let output = check(BAD, &["--format", "json"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(!text(&output.stdout).contains('\u{1b}') && output.stderr.is_empty(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema_version"], 1);
    let problems: Vec<String> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| format!("{}:{} {}", problem["line"], problem["column"], problem["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        problems,
        [
            "3:1 config.unknown_key",
            "5:10 config.missing_unit",
            "7:10 config.invalid_value",
            "9:11 config.invalid_value",
            "11:10 config.wrong_type",
        ]
    );

    let human = check(BAD, &[]);
    assert_eq!(human.status.code(), Some(3));
    let said = text(&human.stdout) + &text(&human.stderr);
    assert!(!said.contains('\u{1b}'), "color off a terminal");
    for part in ["palisade.toml:3:1", "did you mean `listen`", "palisade.toml:7:10", "`20/m`", "5 problems"] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    // Only who asks for a change wonders.
    assert!(!said.contains("changed"), "{said}");
}

#[test]
fn the_reference_configuration_has_no_mistake() {
    let output = check(include_str!("../../examples/briefly/palisade.toml"), &["--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Only the demo tells users apart, by a header.
    let problems: Vec<_> = report["problems"].as_array().unwrap().iter().map(|problem| &problem["message"]).collect();
    let anonymous = "everybody is anonymous until sign-in is there, so `per_user`, `chat` count by address, with the rate of `anon`";
    assert_eq!(problems, [anonymous]);
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let run = |arguments: &[&str]| Command::new(binary()).args(arguments).output().unwrap().status.code();
    assert_eq!(run(&["check", "--config", "/nonexistent/palisade.toml"]), Some(3));
    assert_eq!(run(&["check", "--nonsense"]), Some(2));
    assert_eq!(run(&["nonsense"]), Some(2));
    assert_eq!(run(&["run", "--config", "/nonexistent/palisade.toml"]), Some(3));
}

#[test]
fn what_only_a_start_would_refuse_is_found() {
    let servers: Vec<_> = (1..=65).map(|port| format!("\"http://127.0.0.1:{port}\"")).collect();
    let many = format!("[app]\nupstream = [{}]\n", servers.join(", "));
    let output = check(&many, &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("palisade.toml:2:"), "{}", text(&output.stdout));
    assert_eq!(check(&many, &["--no-secrets"]).status.code(), Some(0));
}

#[test]
fn an_address_that_cannot_be_had_is_told_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let run = |listen: &str, admin: &str, variable: Option<&str>| {
        let app = format!("[app]\nupstream = \"http://127.0.0.1:1\"\nlisten = \"{listen}\"\n");
        fs::write(folder.path().join("palisade.toml"), format!("{app}[admin]\nlisten = \"{admin}\"\n")).unwrap();
        let mut command = Command::new(binary());
        command.arg("run").envs(variable.map(|value| ("PALISADE_LISTEN", value)));
        let output = command.current_dir(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        text(&output.stderr)
    };
    let check = |said: &str, parts: &[&str]| {
        for part in parts {
            assert!(said.contains(part), "no {part:?} in\n{said}");
        }
    };
    let any = "127.0.0.1:0";
    let port = format!("ss -ltnp 'sport = :{}'", taken.local_addr().unwrap().port());
    let public = run(&address, any, None);
    check(&public, &[&address, &port, "[app] listen (palisade.toml:3)", "PALISADE_LISTEN"]);
    check(&run(any, any, Some(&address)), &[&address, &port, "[app] listen (PALISADE_LISTEN)"]);
    let admin = run(any, &address, None);
    check(&admin, &[&address, &port, "[admin] listen (palisade.toml:5)"]);
    assert!(!admin.contains("PALISADE_LISTEN"), "{admin}");
    // No machine has it: RFC 5737.
    check(&run("192.0.2.1:8080", any, None), &["no such address", "192.0.2.1:8080", "[app] listen"]);
}
