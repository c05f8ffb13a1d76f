//! Several texts, one configuration, and what changes between two.

use palisade_core::Path;
use palisade_core::path::EncodedSlash;

use super::{SEED, list, snapshot};
use crate::{Environment, Inputs, Snapshot, diff, restart_keys};

const BASE: &str = r#"
[app]
upstream = "http://127.0.0.1:3000"
listen = "127.0.0.1:8080"
trusted_proxies = ["10.0.0.0/8"]
[app.timeouts]
header = "5s"
idle = "30s"
[app.route."/api/chat"]
max_body = "1MiB"
[limits]
per_ip = "300/m"
"#;

fn overlaid(over: &str) -> Snapshot {
    let inputs = Inputs::text("palisade.toml", BASE).and_text("palisade.staging.toml", over);
    crate::load(&inputs, SEED).map_or_else(|report| panic!("{:?}", list(&report)), |(snapshot, _)| snapshot)
}

fn bare(rest: &str) -> Snapshot {
    let inputs = Inputs::text("palisade.toml", format!("[app]\nupstream = \"http://127.0.0.1:3000\"\n{rest}"));
    crate::load(&inputs, SEED).map_or_else(|report| panic!("{:?}", list(&report)), |(snapshot, _)| snapshot)
}

fn changes(over: &str) -> Vec<String> {
    diff(&overlaid(""), &overlaid(over)).iter().map(ToString::to_string).collect()
}

#[test]
fn tables_merge_and_values_replace() {
    assert_eq!(changes(""), Vec::<String>::new());
    assert_eq!(changes("[limits]\nper_ip = \"600/m\""), ["limits.per_ip: 300/m → 600/m"]);
    assert_eq!(changes("[app.timeouts]\nheader = \"6s\""), ["app.timeouts.header: 5s → 6s"]);
    assert_eq!(changes("[app]\ntrusted_proxies = []"), ["app.trusted_proxies: [\"10.0.0.0/8\"] → []"]);
    let chat = "[app.route.\"/api/chat\"]\n";
    assert_eq!(changes(&format!("{chat}off = true")), ["app.route.\"/api/chat\".max_body: 1MiB → –"]);
    assert_eq!(changes(&format!("{chat}off = false")), Vec::<String>::new());
    let timeouts = changes(&format!("{chat}timeouts.response = \"9s\""));
    assert_eq!(timeouts, ["app.route.\"/api/chat\".timeouts.response: – → 9s"]);
}

#[test]
fn each_value_knows_its_place() {
    let snapshot = overlaid("# comment\n[limits]\nper_ip = \"600/m\"\n");
    let check = |key: &str, expected: &str| assert_eq!(snapshot.place(key).as_ref(), expected, "{key}");
    check("limits.per_ip", "palisade.staging.toml:3");
    check("limits.mode", "default");
    check("app.listen", "palisade.toml:4");
    check("app.route.\"/api/chat\".max_body", "palisade.toml:10");
    check("no.such.key", "default");
    check("app.route.\"", "default");
    let question = snapshot.questions.iter().find(|question| question.name == "limits").unwrap();
    assert_eq!(question.place.as_ref(), "palisade.toml:11", "where its table is");
}

#[test]
fn single_values_win_over_files() {
    let inputs = Inputs::text("palisade.toml", BASE).listen("PALISADE_LISTEN", "0.0.0.0:80");
    let (snapshot, _) = crate::load(&inputs, SEED).unwrap_or_else(|report| panic!("{:?}", list(&report)));
    assert_eq!(snapshot.app.listen.to_string(), "0.0.0.0:80");
    assert_eq!(snapshot.place("app.listen").as_ref(), "PALISADE_LISTEN");
    let report = crate::load(&Inputs::text("palisade.toml", BASE).listen("PALISADE_LISTEN", "80"), SEED).err().unwrap();
    let text = report.render(crate::Format::Human(crate::Color::Plain));
    assert!(text.contains("\n  PALISADE_LISTEN (app.listen)\n"), "{text}");
}

#[test]
fn the_hash_is_that_of_the_effective_values() {
    let hash = overlaid("").hash();
    assert_eq!(hash, overlaid("# nothing\n[app]\nwatch = false").hash());
    assert_ne!(hash, overlaid("[app]\nwatch = true").hash());
}

#[test]
fn some_keys_need_a_start() {
    let check = |over: &str, expected: &[&str]| {
        let changes = diff(&overlaid(""), &overlaid(over));
        let keys: Vec<_> = restart_keys(&changes).into_iter().map(|change| change.key.as_str()).collect();
        assert_eq!(keys, expected, "{over}");
    };
    check("[limits]\nper_ip = \"600/m\"", &[]);
    check("[limits]\ntable = \"1MiB\"", &["limits.table"]);
    check("[app]\nworkers = 3\nlisten = \"127.0.0.1:0\"", &["app.listen", "app.workers"]);
    check("[admin]\nlisten = false", &["admin.listen"]);
    check("[admin]\nhosts = [\"ops.example\"]", &["admin.hosts"]);
    let changes = diff(&bare(""), &bare("[limits]\nper_ip = \"5/m\""));
    assert!(restart_keys(&changes).is_empty(), "the table has the size that it would have had anyway: {changes:?}");
    let changes = diff(&bare("[limits]\ntable = \"1MiB\""), &bare(""));
    assert_eq!(restart_keys(&changes).len(), 1);
    check("[performance]\nqueue = \"1MiB\"\nmax_series = 100", &["performance.max_series", "performance.queue"]);
}

#[test]
fn an_overlay_lies_beside_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("palisade.toml");
    std::fs::write(&path, BASE).unwrap();
    std::fs::write(directory.path().join("palisade.staging.toml"), "[app]\nwatch = true").unwrap();
    let load = |name: &str| crate::load(&Inputs::file(&path, Environment::new(name).as_ref()), SEED);
    let (snapshot, _) = load("staging").unwrap_or_else(|report| panic!("{:?}", list(&report)));
    assert!(snapshot.app.watch);
    // Named but absent.
    let found = list(&load("nosuch").err().unwrap());
    assert!(
        matches!(found.as_slice(), [problem] if problem.contains("palisade.nosuch.toml can't be read")),
        "{found:?}"
    );
    for name in ["", "../x", "a.b", "A", &"a".repeat(33)] {
        assert_eq!(Environment::new(name), None, "{name}");
    }
    assert!(Environment::new(&"a".repeat(32)).is_some());
    let found = list(&crate::load(&Inputs::file(directory.path(), None), SEED).err().unwrap());
    assert!(matches!(found.as_slice(), [problem] if problem.contains("is no regular file")), "{found:?}");
}

#[test]
fn settings_of_routes() {
    let text = r#"
[app]
max_body = "10MiB"
[app.timeouts]
response = "7s"
[app.route."/api/**"]
timeouts.response = "8s"
upstream = "http://127.0.0.1:3001"
[app.route."/api/chat"]
max_body = "1MiB"
upstream = "http://127.0.0.1:3001"
[performance]
routes = ["/api/users/{id}", "/other"]
"#;
    let snapshot = snapshot(text);
    let check = |path: &str, expected: (&str, u64, u64, usize)| {
        let route = snapshot.routes.find(&Path::parse(path, EncodedSlash::Keep).unwrap());
        let forwarding = snapshot.forwarding.of(route);
        let found =
            (route.label.as_ref(), forwarding.response.as_secs(), forwarding.body_bytes_max >> 20, forwarding.upstream);
        assert_eq!(found, expected, "{path}");
    };
    check("/", ("unmatched", 7, 10, 0));
    check("/other", ("/other", 7, 10, 0));
    check("/api/x", ("/api/**", 8, 10, 1));
    check("/api/users/7", ("/api/users/{id}", 8, 10, 1));
    check("/api/chat", ("/api/chat", 7, 1, 1));
    assert_eq!(snapshot.upstreams.len(), 2);
}
