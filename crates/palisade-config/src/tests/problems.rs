//! What is wrong, where, and what is said about it.

use super::{SEED, list, problems};
use crate::{Color, Format, Inputs};

/// Each line of `expected` is one problem.
fn check(text: &str, expected: &[&str]) {
    assert_eq!(problems(text), expected, "{text}");
}

const FIVE_MISTAKES: &str = r#"[app]
upstream = "http://127.0.0.1:3000"
public_url = "https://briefly.example"
worker = 4
tls = { certificate = "/etc/hosts", key = { env = "PALISADE_TEST_NO_SUCH_KEY" } }

[app.timeouts]
response = 60

[app.route."api/chat"]
max_body = "1MiB"

[log]
only = "notabel"
"#;

#[test]
fn five_mistakes_are_five_located_problems() {
    let report = crate::load(&Inputs::text("palisade.toml", FIVE_MISTAKES), SEED).err().unwrap();
    assert_eq!(
        report.render(Format::Human(Color::Plain)),
        r#"error[config.unknown_key]: `worker` is not a key of [app]
  palisade.toml:4:1
   4 | worker = 4
     | ^^^^^^ did you mean `workers`?
  help: palisade explain app.workers
error[config.secret_missing]: environment variable PALISADE_TEST_NO_SUCH_KEY is not set
  palisade.toml:5:43
   5 | tls = { certificate = "/etc/hosts", key = { env = "PALISADE_TEST_NO_SUCH_KEY" } }
     |                                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: set it where Palisade is started, or name another one: { env = "…" } or { file = "…" }
error[config.missing_unit]: `app.timeouts.response` has no unit
  palisade.toml:8:12
   8 | response = 60
     |            ^^ units are ms s m h d
  help: palisade explain app.timeouts.response
error[config.invalid_value]: `app.route."api/chat"` is not a path pattern
  palisade.toml:10:12
   10 | [app.route."api/chat"]
      |            ^^^^^^^^^^ `api/chat` does not begin with a slash
  help: palisade explain 'app.route."api/chat"'
error[config.invalid_value]: `log.only` must be one of all, notable
  palisade.toml:14:8
   14 | only = "notabel"
      |        ^^^^^^^^^ did you mean `notable`?
  help: palisade explain log.only
5 problems, 0 warnings.
"#
    );
    let json: serde_json::Value = serde_json::from_str(&report.render(Format::Json)).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["problems"].as_array().unwrap().len(), 5);
    assert_eq!(
        json["problems"][0],
        serde_json::json!({
            "code": "config.unknown_key", "severity": "error", "file": "palisade.toml",
            "line": 4, "column": 1, "end_line": 4, "end_column": 7, "key": "app.worker",
            "message": "`worker` is not a key of [app]",
            "help": "did you mean `workers`?; palisade explain app.workers",
        })
    );
}

#[test]
fn keys() {
    check("[app]\nlisten = \"127.0.0.1:0\"", &[]);
    check("", &[]);
    check(
        "[ap]",
        &[
            "unknown_key 1:2 `ap` is not a key of the file (its keys are app, limits, headers, store, log, performance, admin)",
        ],
    );
    check("[limit]", &["unknown_key 1:2 `limit` is not a key of the file (did you mean `limits`?)"]);
    check("[server]\nport = 1", &["unknown_key 1:2 `server` is not a key of the file (did you mean `app`?)"]);
    check("[helmet]", &["unknown_key 1:2 `helmet` is not a key of the file (did you mean `headers`?)"]);
    check(
        "[app]\nlisten_addr = \":80\"",
        &["unknown_key 2:1 `listen_addr` is not a key of [app] (did you mean `listen`?)"],
    );
    check("app = 1", &["wrong_type 1:7 `app` is a number; expected a table"]);
    check(
        "[app]\nlisten = 8080",
        &["wrong_type 2:10 `app.listen` is a number; expected an address with port such as \"127.0.0.1:8080\""],
    );
    check(
        "[app]\nlisten = \":8080\"",
        &[
            "invalid_value 2:10 `app.listen` is not an address with a port (write \"127.0.0.1:8080\" or \"0.0.0.0:8080\")",
        ],
    );
    check("[app]\nworkers = -1", &["out_of_range 2:11 `app.workers` must not be negative"]);
    check("[app]\nworkers = 2000", &["out_of_range 2:11 `app.workers` must be between 0 and 1024"]);
    check("[app]\nworkers = 1.5", &["wrong_type 2:11 `app.workers` is a decimal number; expected a number, 0 to 1024"]);
    check(
        "[log.access]\nfile = \"a\\nb\"",
        &["invalid_value 2:8 `log.access.file` must not contain control characters"],
    );
    check(
        "[app]\nmirror = []",
        &[
            "unknown_key 2:1 `mirror` is not a key of [app] (its keys are listen, upstream, public_url, hosts, insecure_any_host, workers, protocol, host_header, forwarded, compress, engine, max_header, max_body, max_connections, max_connections_per_address, max_in_flight, timeouts, tls, route, trusted_proxies, insecure_trust_all_proxies, client_address_header, encoded_slash, method_override, watch, drain_delay, drain)",
        ],
    );
    check("[app.timeouts]\nheader = \"2h\"", &["out_of_range 2:10 `app.timeouts.header` must be between 10ms and 1h"]);
    check(
        "[app.timeouts]\nheader = \"10 s\"",
        &["invalid_value 2:10 `app.timeouts.header` has an unknown unit (units are ms s m h d)"],
    );
}

#[test]
fn the_application_is_the_one_thing_that_is_needed() {
    let load = |inputs: &Inputs| crate::load(inputs, SEED).map_or_else(|report| list(&report), |_| Vec::new());
    assert_eq!(load(&Inputs::without_file("")), ["missing_key - [app] needs the key `upstream`"]);
    assert_eq!(
        load(&Inputs::text("palisade.toml", "[app]\nworkers = 1")),
        ["missing_key 1:1 [app] needs the key `upstream`"]
    );
    assert_eq!(load(&Inputs::without_file("").upstream("--upstream", "http://127.0.0.1:1")), Vec::<String>::new());
    assert_eq!(
        load(&Inputs::without_file("").upstream("--upstream", "127.0.0.1:1")),
        [
            "invalid_value 1:1 `app.upstream` does not begin with http://, https:// or unix: (write \"http://127.0.0.1:1\")"
        ]
    );
}

#[test]
fn servers() {
    let check = |upstream: &str, expected: &[&str]| {
        let report = crate::load(&Inputs::text("palisade.toml", format!("[app]\nupstream = {upstream}")), SEED);
        assert_eq!(report.map_or_else(|report| list(&report), |_| Vec::new()), expected, "{upstream}");
    };
    check(r#"["http://a", "http://b:81", "unix:/run/a.sock"]"#, &[]);
    check(r#"{ url = "https://a" }"#, &[]);
    check(r#"[{ url = "https://a" }, "http://b"]"#, &[]);
    check("[]", &["invalid_value 2:12 `app.upstream` is an empty list"]);
    check("{}", &["missing_key 2:12 [app.upstream] needs the key `url`"]);
    check(
        "true",
        &[
            "wrong_type 2:12 `app.upstream` is true or false; expected an address such as \"http://127.0.0.1:3000\" or a table",
        ],
    );
    check(r#"["http://a", "http://A/"]"#, &["conflict 2:25 `app.upstream` has the address http://a twice"]);
    check(
        r#"{ url = "http://a", ca = "x" }"#,
        &["conflict 2:37 `app.upstream.ca` has no use without an https:// address"],
    );
    check("\"http://a\"\nprotocol = \"h2\"", &["conflict 2:12 `app.protocol` h2 needs https://"]);
    check(
        "\"https://a\"\nprotocol = \"h2c\"",
        &["conflict 2:12 `app.protocol` h2c is without TLS: use h2 for https://"],
    );
    check("\"https://a\"\nprotocol = \"h2\"", &[]);
    let password = r#""http://user:hunter2@a""#;
    let report =
        crate::load(&Inputs::text("palisade.toml", format!("[app]\nupstream = {password}")), SEED).err().unwrap();
    for format in [Format::Human(Color::Plain), Format::Json] {
        assert!(!report.render(format).contains("hunter2"), "{}", report.render(format));
    }
}

#[test]
fn an_upstream_that_is_the_gateway_itself() {
    let found = |listen: &str, upstream: &str| {
        let text = format!("[app]\nlisten = \"{listen}\"\nupstream = {upstream}");
        match crate::load(&Inputs::text("palisade.toml", text), SEED) {
            Ok((_, report)) | Err(report) => list(&report),
        }
    };
    let itself = "is where `app.listen` is: the gateway would send every request to itself (name another port)";
    for (listen, upstream, is_itself) in [
        ("127.0.0.1:8080", "http://127.0.0.1:8080", true),
        ("127.0.0.1:8080", "https://127.0.0.1:8080", true),
        ("127.0.0.1:8080", "http://127.0.0.1:8081", false),
        ("127.0.0.1:8080", "http://127.0.0.2:8080", false),
        ("127.0.0.1:8080", "http://[::1]:8080", false),
        ("127.0.0.1:8080", "http://LocalHost:8080", true),
        ("127.0.0.1:8080", "http://app.localhost:8080", true),
        ("127.0.0.1:8080", "http://app.example:8080", false),
        ("127.0.0.1:8080", "unix:/run/app.sock", false),
        // Whoever connects to no address in particular reaches this machine.
        ("127.0.0.1:8080", "http://0.0.0.0:8080", true),
        ("[::1]:8080", "http://[::]:8080", true),
        ("[::1]:8080", "http://[::1]:8080", true),
        ("[::1]:8080", "http://localhost:8080", true),
        ("[::1]:8080", "http://127.0.0.1:8080", false),
        ("0.0.0.0:8080", "http://127.0.0.1:8080", true),
        ("0.0.0.0:8080", "http://127.9.9.9:8080", true),
        ("0.0.0.0:8080", "http://localhost:8080", true),
        ("0.0.0.0:8080", "http://[::ffff:127.0.0.1]:8080", true),
        ("0.0.0.0:8080", "http://[::1]:8080", false),
        // Which addresses the machine has is not known here.
        ("0.0.0.0:8080", "http://10.0.0.7:8080", false),
        ("[::]:8080", "http://[::1]:8080", true),
        ("[::]:8080", "http://127.0.0.1:8080", true),
        ("10.0.0.7:8080", "http://10.0.0.7:8080", true),
        ("10.0.0.7:8080", "http://localhost:8080", false),
        // A port that isn't written is the scheme's.
        ("0.0.0.0:80", "http://localhost", true),
        ("0.0.0.0:443", "http://localhost", false),
        ("0.0.0.0:443", "https://localhost", true),
        ("127.0.0.1:0", "http://127.0.0.1:0", false),
    ] {
        let expected = if is_itself { vec![format!("conflict 3:12 `app.upstream` {itself}")] } else { Vec::new() };
        assert_eq!(found(listen, &format!("\"{upstream}\"")), expected, "{listen} {upstream}");
    }
    assert_eq!(
        found("127.0.0.1:8080", "[\"http://a\", { url = \"http://127.0.0.1:8080\" }]"),
        [format!("conflict 3:25 `app.upstream` {itself}")]
    );
    check(
        "[app.route.\"/a\"]\nupstream = \"http://127.0.0.1:8080\"",
        &[&format!("conflict 2:12 `app.route.\"/a\".upstream` {itself}")],
    );
    let public = "[app]\npublic_url = \"https://a.example\"\n[app.tls]\ncertificate = \"x\"\nkey = { env = \"X\" }\n";
    let inputs = super::without_secrets(&format!("{public}redirect = \"0.0.0.0:80\""));
    let report = crate::load(&inputs.upstream("--upstream", "http://localhost"), SEED).err().unwrap();
    assert_eq!(
        list(&report),
        [
            "conflict 1:1 `app.upstream` is where `app.tls.redirect` is: the gateway would send every request to itself (name another port)"
        ]
    );
}

#[test]
fn who_is_trusted() {
    check("[app]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]", &[]);
    check(
        "[app]\ntrusted_proxies = [\"10.0.0.1/8\"]",
        &[
            "invalid_value 2:20 `app.trusted_proxies` is not a network (`10.0.0.1/8` has host bits set; the network is `10.0.0.0/8`)",
        ],
    );
    let all =
        "`app.trusted_proxies` would trust everybody, so each client could choose its own address (list your proxies)";
    check("[app]\ntrusted_proxies = [\"0.0.0.0/0\"]", &[&format!("insecure 2:20 {all}")]);
    check("[app]\ntrusted_proxies = [\"::/0\"]", &[&format!("insecure 2:20 {all}")]);
    check("[app]\ntrusted_proxies = [\"0.0.0.0/0\"]\ninsecure_trust_all_proxies = true", &[]);
    check(
        "[app]\nclient_address_header = \"a b\"",
        &["invalid_value 2:25 `app.client_address_header` is not a header name"],
    );

    let public = "[app]\npublic_url = \"https://a.example\"\n";
    check(&format!("{public}hosts = [\"b.example\"]"), &[]);
    check(
        &format!("{public}hosts = [\"*\"]"),
        &[
            "insecure 3:10 `app.hosts` would serve every host, so anybody could poison links made from `Host` (list the hosts)",
        ],
    );
    check(&format!("{public}hosts = [\"*\"]\ninsecure_any_host = true"), &[]);
    check(
        "[app]\nhosts = [\"b.example\"]",
        &["shadowed 2:9 `app.hosts` has no effect without `app.public_url`: every host is served"],
    );

    let keys = "`admin.listen` must be a loopback address: this version has no keys to protect it with (for example \"127.0.0.1:9901\")";
    check("[admin]\nlisten = \"0.0.0.0:9901\"", &[&format!("insecure 2:10 {keys}")]);
    check("[admin]\nlisten = \"[::1]:9901\"", &[]);
    check("[admin]\nlisten = false", &[]);
    check(
        "[admin]\nlisten = true",
        &["wrong_type 2:10 `admin.listen` is true or false; expected an address with port such as \"127.0.0.1:8080\""],
    );
    check(
        "[admin]\nlisten = \"127.0.0.1:8080\"",
        &["conflict 2:10 `admin.listen` and `app.listen` are the same address"],
    );
    check(
        "[headers.inbound]\nkeep = [\"palisade-user\"]",
        &["conflict 2:9 `headers.inbound.keep` names `palisade-user`, which no client may send"],
    );
}

#[test]
fn what_is_allowed_but_worth_knowing() {
    check("[limits]\nmode = \"report\"", &[]);
    check("[limits]\nmode = \"off\"", &["off 2:8 `limits.mode` is off"]);
    check("[limits]\nper_ip = \"off\"", &["off 2:10 `limits.per_ip` is off"]);
    check(
        "[performance]\nroutes = [\"/a/{x}\", \"/b\", \"/a/*\"]",
        &["shadowed 2:11 `/a/{x}` matches the same paths as `/a/*`, which comes first"],
    );
    check("[app.route.\"/a\"]\n[performance]\nroutes = [\"/a\"]", &[]);
    let many = |number: usize| {
        format!("[performance]\nroutes = [{}]", (0..number).map(|n| format!("\"/{n}\",")).collect::<String>())
    };
    check(&many(2_000), &[]);
    let found = problems(&many(2_001));
    assert!(
        matches!(found.as_slice(), [one] if one.ends_with("2001 patterns are more than the 2000 that a table may hold")),
        "{found:?}"
    );
}

#[test]
fn tls() {
    check("[app.tls]", &["missing_key 1:1 [app.tls] needs the keys `certificate` and `key`"]);
    check("[app.tls]\ncertificate = \"x\"", &["missing_key 2:15 `app.tls.certificate` needs `app.tls.key`"]);
    check("[app.tls]\nkey = { env = \"X\" }", &["missing_key 2:7 `app.tls.key` needs `app.tls.certificate`"]);
    check(
        "[app.tls]\nredirect = \"0.0.0.0:80\"\n[[app.tls.certificates]]\ncertificate = \"x\"",
        &[
            "conflict 2:12 `app.tls.redirect` needs an https:// `app.public_url` to send clients to",
            "missing_key 3:1 [app.tls.certificates] needs the key `key`",
        ],
    );
}

#[test]
fn syntax_errors_end_the_reading_of_their_file_only() {
    let inputs =
        Inputs::text("palisade.toml", "[app\nupstream = 1").and_text("palisade.staging.toml", "[app]\nlisten = 1");
    let report = crate::load(&inputs, SEED).err().unwrap();
    let found = list(&report);
    assert!(found.iter().any(|problem| problem.starts_with("syntax 1:")), "{found:?}");
    assert!(found.iter().any(|problem| problem.starts_with("wrong_type 2:10")), "{found:?}");
    assert!(!found.iter().any(|problem| problem.starts_with("missing_key")), "{found:?}");
}

#[test]
fn texts_that_are_no_texts() {
    let check = |bytes: Vec<u8>, expected: &[&str]| {
        let report = crate::load(&Inputs::text("palisade.toml", bytes), SEED);
        assert_eq!(report.map_or_else(|report| list(&report), |_| Vec::new()), expected);
    };
    let good = "[app]\r\nupstream = \"http://127.0.0.1:3000\"\r\n";
    check(good.into(), &[]);
    check(format!("\u{feff}{good}").into(), &[]);
    check(
        format!("\u{feff}{good}x = 1").into(),
        &[
            "unknown_key 3:1 `x` is not a key of [app] (its keys are listen, upstream, public_url, hosts, insecure_any_host, workers, protocol, host_header, forwarded, compress, engine, max_header, max_body, max_connections, max_connections_per_address, max_in_flight, timeouts, tls, route, trusted_proxies, insecure_trust_all_proxies, client_address_header, encoded_slash, method_override, watch, drain_delay, drain)",
        ],
    );
    check(b"[app]\nname = \"\xff\"".to_vec(), &["file_unreadable - palisade.toml is not UTF-8 in line 2"]);
    check(vec![b'#'; (1 << 20) + 1], &["file_unreadable - palisade.toml is longer than 1 MiB"]);
    check([good.as_bytes(), &vec![b'#'; (1 << 20) - good.len()]].concat(), &[]);
}

#[test]
fn a_file_full_of_mistakes_gives_a_hundred_problems() {
    let text: String = (0..50_000).map(|number| format!("key_{number} = 1\n")).collect();
    assert_eq!(problems(&text).len(), 100);
}

#[test]
fn a_terminal_is_not_written_to_by_the_file() {
    let report =
        crate::load(&Inputs::text("palisade.toml", "[app]\n\"a\\u001b[2J\" = 1 # \t\u{9b}2J"), SEED).err().unwrap();
    let text = report.render(Format::Human(Color::Plain));
    assert!(!text.contains(|char: char| char.is_control() && char != '\n'), "{text:?}");
}

#[test]
fn a_shared_store() {
    let check = |value: &str, expected: &[&str]| {
        let text = format!("[app]\nupstream = \"http://127.0.0.1:1\"\n[store]\ncounters = {value}\n");
        check(&text, expected);
        let report =
            crate::load(&Inputs::text("palisade.toml", text), SEED).map_or_else(|report| report, |(_, report)| report);
        assert!(!report.render(Format::Human(Color::Plain)).contains("hunter2"));
    };
    check("\"redis://cache\"", &[]);
    check("\"redis+unix:///run/valkey.sock\"", &[]);
    check(
        "\"http://:hunter2@cache\"",
        &[
            "invalid_value 4:12 `store.counters` does not begin with `redis://`, `rediss://` or `redis+unix://` (or a table: { env = … })",
        ],
    );
    check(
        "\"redis://:hunter2@cache\"",
        &[
            "invalid_value 4:12 `store.counters` holds a password: keep the whole address elsewhere, and write { env = \"REDIS_URL\" } (or a table: { env = … })",
        ],
    );
    check(
        "\"redis://:hunter2@cache:0\"",
        &[
            "invalid_value 4:12 `store.counters` has a port that is not a number from 1 to 65535 (or a table: { env = … })",
        ],
    );
    check(
        "{ env = \"PALISADE_TEST_NO_SUCH\" }",
        &["secret_missing 4:12 environment variable PALISADE_TEST_NO_SUCH is not set"],
    );
    check(
        "\"redis://cache\"\n[limits]\noutage = \"shut\"\nstore_deadline = \"2s\"",
        &[
            "invalid_value 6:10 `limits.outage` must be one of local, open, closed",
            "out_of_range 7:18 `limits.store_deadline` must be between 1ms and 1s",
        ],
    );
}
