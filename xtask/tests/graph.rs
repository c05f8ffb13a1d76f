//! The workspace table of `ARCHITECTURE.md`, held against what cargo knows.
//!
//! An edge between our crates that the table doesn't name fails, and so does a pure crate that
//! reaches a runtime, a socket, an HTTP server or client, a database or a logging crate. The table
//! is read from the page, so page and check can't disagree.

// All of this is test code: what can't be read is a failed test.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What no pure crate may reach, by what it is.
const IMPURE: &[(&str, &[&str])] = &[
    ("a runtime", &["tokio", "tokio-util", "async-std", "smol", "async-io", "monoio", "compio", "futures-executor"]),
    ("a socket", &["mio", "polling", "socket2", "rustls", "tokio-rustls", "openssl", "native-tls", "quinn"]),
    ("an HTTP server or client", &["hyper", "hyper-util", "h2", "h3", "axum", "tower-http", "reqwest", "ureq", "curl"]),
    ("a database", &["rusqlite", "libsqlite3-sys", "redis", "fred", "tokio-postgres", "postgres", "sqlx", "diesel"]),
    ("a logging crate", &["log", "tracing", "tracing-core", "env_logger", "slog", "fern", "opentelemetry"]),
];

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    is_pure: bool,
    may_use: BTreeSet<String>,
}

type Table = BTreeMap<String, Row>;

/// A package of the workspace: its folder and the packages of ours that its code uses.
#[derive(Debug, PartialEq, Eq)]
struct Package {
    folder: String,
    uses: BTreeSet<String>,
    /// Everything it reaches, ours and others', without development dependencies.
    reaches: BTreeSet<String>,
}

/// Reads the rows between the table's head and the next empty line.
fn table(page: &str) -> Table {
    let rows = page.lines().skip_while(|line| !line.starts_with("| Crate (")).skip(2);
    let mut table = Table::new();
    for line in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, pure, may_use] = cells[..] else { panic!("a row has four cells: {line}") };
        let may_use = match may_use {
            "–" => BTreeSet::new(),
            "all above" => table.keys().cloned().collect(),
            names => names.split(", ").map(full_name).collect(),
        };
        let row = Row { is_pure: pure == "yes", may_use };
        assert!(table.insert(name.trim_matches('`').to_owned(), row).is_none(), "twice: {name}");
    }
    table
}

/// `core` is `palisade-core`; a name in backquotes is written in full.
fn full_name(name: &str) -> String {
    match name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) {
        Some(full) => full.to_owned(),
        None => format!("palisade-{name}"),
    }
}

/// What cargo says about the packages of the workspace.
fn packages(metadata: &Value) -> BTreeMap<String, Package> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = list(&metadata["packages"]);
    let names: BTreeMap<String, String> = all.iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let members: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(text).collect();
    let is_code = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
    let edges: BTreeMap<String, BTreeSet<String>> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let deps = list(&node["deps"]);
            (text(&node["id"]), deps.iter().filter(|dep| is_code(dep)).map(|dep| text(&dep["pkg"])).collect())
        })
        .collect();
    let name = |id: &String| names[id].clone();
    let package = |package: &Value| {
        let id = text(&package["id"]);
        let folder = Path::new(&text(&package["manifest_path"])).parent().unwrap().to_owned();
        let folder = folder.strip_prefix(text(&metadata["workspace_root"])).unwrap().display().to_string();
        let uses = edges[&id].iter().filter(|id| members.contains(*id)).map(name).collect();
        let mut reached = BTreeSet::new();
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            waiting.extend(edges[&id].iter().filter(|id| reached.insert((*id).clone())).cloned());
        }
        (text(&package["name"]), Package { folder, uses, reaches: reached.iter().map(name).collect() })
    };
    all.iter().filter(|p| members.contains(&text(&p["id"]))).map(package).collect()
}

/// Every contradiction, as a sentence.
fn contradictions(table: &Table, packages: &BTreeMap<String, Package>) -> Vec<String> {
    let mut found: Vec<String> =
        table.keys().filter(|name| !packages.contains_key(*name)).map(|name| format!("no crate {name}")).collect();
    for (name, package) in packages {
        let Some(row) = table.get(name) else {
            // Examples, end-to-end tests and load tools stand around the workspace's table.
            if package.folder.starts_with("crates") || package.folder == "xtask" {
                found.push(format!("{name} has no row"));
            }
            continue;
        };
        found.extend(package.uses.difference(&row.may_use).map(|used| format!("{name} uses {used}")));
        for (what, crates) in IMPURE.iter().filter(|_| row.is_pure) {
            let impure = crates.iter().filter(|used| package.reaches.contains(**used));
            found.extend(impure.map(|used| format!("{name} is pure and reaches {used}, {what}")));
        }
    }
    found
}

#[test]
fn the_workspace_is_what_the_architecture_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let table = table(&std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features", "--locked"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let packages = packages(&serde_json::from_slice(&cargo.stdout).unwrap());
    let pure = table.values().filter(|row| row.is_pure).count();
    assert!(table.len() > 8 && pure >= 3, "the table was not found: {table:?}");
    assert_eq!(contradictions(&table, &packages), Vec::<String>::new());
}

const PAGE: &str = "\
text
| Crate (`crates/…`) | One line | Pure | May use (ours) |
|---|---|:-:|---|
| `palisade-core` | the vocabulary | yes | – |
| `palisade-policy` | rules | yes | core |
| `palisade-server` | assembly | | all above |
| `palisade` | the binary | | server, `briefly` |

| `no-row` | below the table | | – |
";

fn package(folder: &str, uses: &[&str], reaches: &[&str]) -> Package {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Package { folder: folder.to_owned(), uses: set(uses), reaches: set(reaches) }
}

#[test]
fn the_table_is_read_from_the_page() {
    let table = table(PAGE);
    let names = |name: &str| table[name].may_use.iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(table.len(), 4);
    assert!(table["palisade-policy"].is_pure && !table["palisade-server"].is_pure);
    assert_eq!(names("palisade-core"), Vec::<&str>::new());
    assert_eq!(names("palisade-policy"), ["palisade-core"]);
    assert_eq!(names("palisade-server"), ["palisade-core", "palisade-policy"]);
    assert_eq!(names("palisade"), ["briefly", "palisade-server"]);
}

#[test]
fn contradictions_are_found() {
    let packages = BTreeMap::from([
        ("palisade-core".to_owned(), package("crates/palisade-core", &[], &["http", "bytes"])),
        (
            "palisade-policy".to_owned(),
            package("crates/palisade-policy", &["palisade-core"], &["palisade-core", "mio"]),
        ),
        ("palisade".to_owned(), package("crates/palisade", &["palisade-core", "briefly"], &["tokio"])),
        ("palisade-new".to_owned(), package("crates/palisade-new", &[], &[])),
        ("e2e".to_owned(), package("e2e", &["palisade-core"], &["tokio"])),
    ]);
    assert_eq!(
        contradictions(&table(PAGE), &packages),
        [
            "no crate palisade-server",
            "palisade uses palisade-core",
            "palisade-new has no row",
            "palisade-policy is pure and reaches mio, a socket",
        ]
    );
}

#[test]
fn development_dependencies_are_no_edges() {
    let metadata = serde_json::json!({
        "workspace_root": "/w",
        "workspace_members": ["a", "b", "c"],
        "packages": [
            { "id": "a", "name": "palisade-a", "manifest_path": "/w/crates/a/Cargo.toml" },
            { "id": "b", "name": "palisade-b", "manifest_path": "/w/crates/b/Cargo.toml" },
            { "id": "c", "name": "palisade-c", "manifest_path": "/w/crates/c/Cargo.toml" },
            { "id": "d", "name": "tokio", "manifest_path": "/registry/tokio/Cargo.toml" },
        ],
        "resolve": { "nodes": [
            { "id": "a", "deps": [
                { "pkg": "b", "dep_kinds": [{ "kind": null }] },
                { "pkg": "c", "dep_kinds": [{ "kind": "dev" }] },
            ] },
            { "id": "b", "deps": [{ "pkg": "d", "dep_kinds": [{ "kind": "dev" }, { "kind": null }] }] },
            { "id": "c", "deps": [] },
            { "id": "d", "deps": [] },
        ] },
    });
    let packages = packages(&metadata);
    assert_eq!(packages["palisade-a"], package("crates/a", &["palisade-b"], &["palisade-b", "tokio"]));
    assert_eq!(packages["palisade-c"], package("crates/c", &[], &[]));
}
