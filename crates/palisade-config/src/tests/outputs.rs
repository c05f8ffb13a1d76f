//! What else follows from the declarations: schema, reference page, a key's own text.

use palisade_core::config::{Decode as _, Shape};

use super::{SEED, without_secrets};
use crate::root::RawConfig;
use crate::{key_doc, reference, schema};

const EXAMPLE: &str = include_str!("../../../../palisade.example.toml");

/// Every key with the path of its table, `*` for names that the author chooses.
fn keys(shape: &Shape, path: &str, all: &mut Vec<String>) {
    match shape {
        Shape::Section(section) => {
            for key in &section.keys {
                let path = palisade_core::config::join(path, key.name);
                all.push(path.clone());
                keys(&key.shape, &path, all);
            }
        }
        Shape::Map { value, .. } => keys(value, &format!("{path}.any"), all),
        Shape::List(item) => keys(item, path, all),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| keys(shape, path, all)),
        _ => {}
    }
}

#[test]
fn the_example_holds_every_key() {
    let mut all = Vec::new();
    keys(&RawConfig::shape(), "", &mut all);
    assert!(all.len() > 60, "{all:?}");
    for path in all {
        let name = path.rsplit('.').next().unwrap();
        // Keys of references to secrets, and `off`, are for overlays and not worth a line.
        let is_named = EXAMPLE.contains(&format!("{name} =")) || EXAMPLE.contains(&format!("{name}]"));
        let is_told = EXAMPLE.contains(&format!("{name}.")) || EXAMPLE.contains(&format!(", {name}"));
        assert!(is_named || is_told || matches!(name, "env" | "off"), "{path}");
    }
}

#[test]
fn the_example_is_accepted_and_shows_the_defaults() {
    let (example, report) = crate::load(&without_secrets(EXAMPLE), SEED).unwrap_or_else(|report| {
        panic!("{}", report.render(crate::Format::Human(crate::Color::Plain)));
    });
    assert!(report.problems.is_empty(), "{report:?}");
    let bare = without_secrets("[app]\nupstream = \"http://127.0.0.1:3000\"\n[limits]\n[headers]");
    let (bare, _) = crate::load(&bare, SEED).unwrap();
    let changed: Vec<_> = crate::diff(&bare, &example).into_iter().map(|change| change.key).collect();
    let chat = "app.route.\"/api/chat\"";
    let expected = ["app.public_url", &format!("{chat}.max_body"), &format!("{chat}.timeouts.response")];
    assert_eq!(changed, expected);
}

#[test]
fn the_schema_knows_every_key_of_the_example() {
    fn check(tree: &palisade_core::config::Node, schema: &serde_json::Value, path: &str) {
        let Some(table) = tree.as_table() else { return };
        let object = std::iter::once(schema)
            .chain(schema["anyOf"].as_array().into_iter().flatten())
            .find(|schema| schema["type"] == "object")
            .unwrap_or_else(|| panic!("{path} is a table"));
        for entry in table {
            let path = format!("{path}.{}", entry.name);
            let inner = match &object["properties"][&entry.name] {
                serde_json::Value::Null => &object["additionalProperties"],
                known => known,
            };
            assert!(inner.is_object(), "{path} is not in the schema");
            check(&entry.node, inner, &path);
        }
    }
    let (example, _) = crate::load(&without_secrets(EXAMPLE), SEED).unwrap_or_else(|_| panic!("accepted"));
    let schema = schema();
    check(&example.document.root, &schema, "");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["limits"]["properties"]["per_ip"]["default"], "300/m");
    assert_eq!(schema["properties"]["app"]["properties"]["workers"]["maximum"], 1_024);
    assert_eq!(schema["properties"]["log"]["properties"]["only"]["enum"], serde_json::json!(["all", "notable"]));
}

#[test]
fn every_key_has_a_text() {
    let mut all = Vec::new();
    keys(&RawConfig::shape(), "", &mut all);
    for path in all {
        let doc = key_doc(&path).unwrap_or_else(|| panic!("{path}"));
        assert!(doc.doc.ends_with('.'), "{path}: {}", doc.doc);
    }
}

#[test]
fn the_text_of_a_key() {
    let check = |key: &str, syntax: &str, presence: &str| {
        let doc = key_doc(key).unwrap_or_else(|| panic!("{key}"));
        assert_eq!((doc.syntax.as_str(), doc.presence.as_str()), (syntax, presence), "{key}");
    };
    check("limits.per_ip", "rate | `\"off\"`", "default `\"300/m\"`");
    check("app.upstream", "address | table | list of address | table", "required");
    check("app.public_url", "origin", "optional");
    check("app.timeouts", "table", "default `{}`");
    check("app.route.\"/api/chat\"", "table", "optional");
    check("app.route.\"/api/chat\".timeouts.response", "duration, 10ms to 1d", "optional");
    check("log.access.rotate", "size, 1MiB to 1024GiB", "default `\"100MiB\"`");
    for key in ["", "nosuch", "app.", "app.nosuch", "app.listen.x", "app.route.\"", "app..listen"] {
        assert_eq!(key_doc(key), None, "{key}");
    }
}

#[test]
fn the_reference_page_has_every_table() {
    let page = reference();
    for heading in [
        "## `[app]`",
        "## `[app.timeouts]`",
        "## `[app.tls]`",
        "## `[app.route.<",
        "## `[limits]`",
        "## `[headers.inbound]`",
    ] {
        assert!(page.contains(&format!("\n{heading}")), "{heading}\n{page}");
    }
    assert!(page.contains("\n### `per_ip`\n\nrate | `\"off\"` · default `\"300/m\"`\n"), "{page}");
    assert!(page.contains("\n### `config.unknown_key`\n\nError. There is no such key"), "{page}");
}
