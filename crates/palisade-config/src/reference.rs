//! The reference page, and the page of a single key.

use std::fmt::Write as _;

use palisade_core::config::{Code, Decode as _, KeyShape, Presence, SectionShape, Shape, join};

use crate::document::{show_nested, split_key};
use crate::root::RawConfig;
use crate::schema::prose;

/// What is known about a key without any configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// The key.
    pub key: String,
    /// What may be written: `rate | "off"`.
    pub syntax: String,
    /// `default "300/m"`, `required`, or `optional`.
    pub presence: String,
    /// What it does.
    pub doc: String,
    /// The keys of a table, each with what may be written.
    pub keys: Vec<(String, String)>,
}

/// `docs/reference/config.md`: every table, every key, every problem.
pub fn reference() -> String {
    let mut page = String::from("# Configuration\n\n<!-- Generated from the code. -->\n");
    if let Some(root) = RawConfig::shape().as_section() {
        let _ = write!(page, "\n{}\n", prose(root.doc));
        page.push_str("\nHow rates, durations, sizes, patterns and the like are written: [values](../values.md).\n");
        for table in &root.keys {
            write_table(&mut page, table, table.name);
        }
    }
    page.push_str("\n## Problems\n");
    for code in Code::ALL {
        let _ =
            write!(page, "\n### `{}`\n\n{}. {}\n", code.code(), capital(code.severity().name()), prose(code.page()));
    }
    page
}

/// What a key or table is for, `limits.per_ip`; `None` if there is none such. Names that the
/// author chooses may be any.
pub fn key_doc(key: &str) -> Option<KeyDoc> {
    let root = RawConfig::shape();
    let path = split_key(key)?;
    let (last, parents) = path.split_last()?;
    let section = parents.iter().try_fold(root, |shape, name| descend(&shape, name))?;
    match find(&section, last) {
        Some(found) => Some(KeyDoc {
            key: key.to_owned(),
            syntax: found.shape.syntax(),
            presence: presence(&found),
            doc: prose(found.doc),
            keys: keys_of(&found.shape, key),
        }),
        None => {
            let named = descend(&section, last)?;
            let doc = named.as_section().map(|section| prose(section.doc)).unwrap_or_default();
            let keys = keys_of(&named, key);
            Some(KeyDoc { key: key.to_owned(), syntax: named.syntax(), presence: "optional".to_owned(), doc, keys })
        }
    }
}

/// The keys of a table, with what may be written; for one whose names the author chooses, those of
/// any of its tables.
fn keys_of(shape: &Shape, path: &str) -> Vec<(String, String)> {
    match shape {
        Shape::Section(section) => section.keys.iter().map(|key| (join(path, key.name), key.shape.syntax())).collect(),
        Shape::Map { key, value } => keys_of(value, &format!("{path}.<{key}>")),
        Shape::List(item) => keys_of(item, path),
        Shape::Either(shapes) => shapes.iter().flat_map(|shape| keys_of(shape, path)).collect(),
        _ => Vec::new(),
    }
}

/// The names that a table has of itself.
pub(crate) fn known_keys(shape: &Shape) -> Vec<String> {
    match shape {
        Shape::Section(section) => section.keys.iter().map(|key| key.name.to_owned()).collect(),
        Shape::List(item) => known_keys(item),
        Shape::Either(shapes) => shapes.iter().flat_map(known_keys).collect(),
        _ => Vec::new(),
    }
}

/// The key of that name, in whichever form of the table has it.
fn find(shape: &Shape, name: &str) -> Option<KeyShape> {
    match shape {
        Shape::Section(section) => section.find(name).cloned(),
        Shape::List(item) => find(item, name),
        Shape::Either(shapes) => shapes.iter().find_map(|shape| find(shape, name)),
        _ => None,
    }
}

/// The shape below a name: a key's, or that of any table that the author may name.
pub(crate) fn descend(shape: &Shape, name: &str) -> Option<Shape> {
    match shape {
        Shape::Section(section) => match (section.find(name), section.named.as_deref()) {
            (Some(key), _) => Some(key.shape.clone()),
            (None, Some(named)) => descend(named, name),
            (None, None) => None,
        },
        Shape::Map { value, .. } => Some(value.as_ref().clone()),
        Shape::List(item) => descend(item, name),
        Shape::Either(shapes) => shapes.iter().find_map(|shape| descend(shape, name)),
        _ => None,
    }
}

fn write_table(page: &mut String, table: &KeyShape, path: &str) {
    let (section, path) = match &table.shape {
        Shape::Map { key, value } => (value.as_section(), format!("{path}.<{key}>")),
        shape => (shape.as_section(), path.to_owned()),
    };
    if let Some(section) = section {
        let _ = write!(page, "\n## `[{path}]`\n\n{}\n", prose(table.doc));
        write_keys(page, section, &path);
    }
}

fn write_keys(page: &mut String, section: &SectionShape, path: &str) {
    let is_table = |key: &&KeyShape| table_of(&key.shape).is_some();
    for key in section.keys.iter().filter(|key| !is_table(key)) {
        let _ =
            write!(page, "\n### `{}`\n\n{} · {}\n\n{}\n", key.name, key.shape.syntax(), presence(key), prose(key.doc));
        // A table as one of several forms is told with the key itself.
        let tables = key.shape.sections();
        match tables.len() {
            0 => {}
            1 => page.push_str("\nIts table has:\n\n"),
            _ => page.push_str("\nIts table has one of:\n\n"),
        }
        for key in tables.into_iter().flat_map(|table| &table.keys) {
            let _ = writeln!(page, "- `{}`: {} · {}. {}", key.name, key.shape.syntax(), presence(key), prose(key.doc));
        }
    }
    for key in section.keys.iter().filter(is_table) {
        write_table(page, key, &join(path, key.name));
    }
    if let Some(Shape::Map { key, value }) = section.named.as_deref()
        && let Some(inner) = value.as_section()
    {
        let path = format!("{path}.<{key}>");
        let _ = write!(page, "\n## `[{path}]`\n\n{}\n", prose(inner.doc));
        write_keys(page, inner, &path);
    }
}

/// The table that a key always is, with known keys or with tables of names the author chooses.
fn table_of(shape: &Shape) -> Option<&SectionShape> {
    match shape {
        Shape::Section(section) => Some(section),
        Shape::Map { value, .. } => table_of(value),
        _ => None,
    }
}

fn presence(key: &KeyShape) -> String {
    match &key.presence {
        Presence::Default(value) => format!("default `{}`", show_nested(value)),
        Presence::Optional => "optional".to_owned(),
        Presence::Required => "required".to_owned(),
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}
