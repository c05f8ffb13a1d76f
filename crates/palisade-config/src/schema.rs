//! The JSON Schema of the file, for editors.

use palisade_core::config::{Decode as _, KeyShape, Presence, SectionShape, Shape};
use serde_json::{Map, Value, json};

use crate::root::RawConfig;

/// The schema of `palisade.toml`, draft 2020-12.
///
/// Nothing is required in it: an overlay holds only what differs.
pub fn schema() -> Value {
    let mut schema = of(&RawConfig::shape());
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("palisade.toml"));
    }
    schema
}

fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Boolean => json!({ "type": "boolean" }),
        // TOML's integers end there too.
        Shape::Integer { min, max } => {
            json!({ "type": "integer", "minimum": min, "maximum": max.min(&(i64::MAX as u64)) })
        }
        Shape::Text { syntax: _, examples: [] } => json!({ "type": "string" }),
        Shape::Text { syntax, examples } => json!({ "type": "string", "title": syntax, "examples": examples }),
        Shape::Words(words) => json!({ "enum": words }),
        Shape::False => json!({ "const": false }),
        Shape::List(item) => json!({ "type": "array", "items": of(item) }),
        Shape::Map { key: _, value } => json!({ "type": "object", "additionalProperties": of(value) }),
        Shape::Section(section) => of_section(section),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(of).collect::<Vec<_>>() }),
    }
}

fn of_section(section: &SectionShape) -> Value {
    let properties: Map<String, Value> = section.keys.iter().map(|key| (key.name.to_owned(), of_key(key))).collect();
    let further = match section.named.as_deref() {
        Some(Shape::Map { value, .. }) => of(value),
        _ => json!(false),
    };
    json!({
        "type": "object",
        "description": prose(section.doc),
        "properties": properties,
        "additionalProperties": further,
    })
}

fn of_key(key: &KeyShape) -> Value {
    let mut schema = of(&key.shape);
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".to_owned(), json!(prose(key.doc)));
        if let Presence::Default(default) = &key.presence {
            object.insert("default".to_owned(), to_json(default));
        }
    }
    schema
}

fn to_json(value: &palisade_core::config::Value) -> Value {
    use palisade_core::config::Value as Written;
    match value {
        Written::Boolean(value) => json!(value),
        Written::Integer(value) => json!(value),
        Written::Text(text) => json!(text),
        Written::List(items) => items.iter().map(|item| to_json(&item.value)).collect(),
        Written::Table(table) => {
            Value::Object(table.iter().map(|entry| (entry.name.clone(), to_json(&entry.node.value))).collect())
        }
        Written::Unusable(_) => Value::Null,
    }
}

/// A doc comment as one paragraph.
pub(crate) fn prose(doc: &str) -> String {
    doc.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}
