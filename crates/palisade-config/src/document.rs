//! The merged configuration as it was written, for questions about it: where did this come from?

use std::hash::Hasher as _;
use std::sync::Arc;

use palisade_core::config::{Decode as _, Entry, Files, KeyShape, Node, Place, Presence, Shape, Span, Value, join};
use siphasher::sip::SipHasher13;

use crate::root::RawConfig;

/// The merged tree and the texts it came from.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) files: Files,
    pub(crate) root: Node,
}

/// A key with its effective value, and where that came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The key, `limits.per_ip`.
    pub key: String,
    /// Its value as it would be written; a secret shows as its reference.
    pub value: String,
    /// `palisade.toml:12`, `PALISADE_LISTEN`, or `default`.
    pub place: Arc<str>,
}

/// A key with its effective value.
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: String,
    span: Option<Span>,
}

impl Document {
    /// Where a key's effective value came from.
    pub(crate) fn place(&self, key: &str) -> Arc<str> {
        self.files.describe(&self.spot(key))
    }

    /// The same for a report.
    pub(crate) fn spot(&self, key: &str) -> Place {
        Place { key: Arc::from(key), span: self.find(key).and_then(|node| node.span) }
    }

    fn find(&self, key: &str) -> Option<&Node> {
        let path = split_key(key)?;
        self.root.at(&path.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Every key that has a value, in the order of the reference, defaults included.
    pub(crate) fn values(&self) -> Vec<KeyValue> {
        let mut all = Vec::new();
        collect(&RawConfig::shape(), Some(&self.root), "", &mut all);
        all
    }

    /// The same with their places.
    pub(crate) fn effective(&self) -> Vec<Effective> {
        let locate = |KeyValue { key, value, span }: KeyValue| {
            let place = self.files.describe(&Place { key: Arc::from(key.as_str()), span });
            Effective { key, value, place }
        };
        self.values().into_iter().map(locate).collect()
    }

    /// Equal for equal effective values, on every machine.
    pub(crate) fn hash(&self) -> u64 {
        // The key is public on purpose: gateways compare their hashes.
        let mut hasher = SipHasher13::new();
        for KeyValue { key, value, span: _ } in self.values() {
            for part in [key, value] {
                hasher.write(&(part.len() as u64).to_le_bytes());
                hasher.write(part.as_bytes());
            }
        }
        hasher.finish()
    }
}

fn collect(shape: &Shape, node: Option<&Node>, key: &str, all: &mut Vec<KeyValue>) {
    let table = node.and_then(Node::as_table);
    if table.and_then(|table| table.find("off")).is_some_and(|off| off.node.value == Value::Boolean(true)) {
        return;
    }
    match shape {
        Shape::Section(section) => {
            for inner in section.keys.iter().filter(|inner| inner.name != "off") {
                collect_key(inner, table.and_then(|table| table.find(inner.name)), key, all);
            }
            let is_own = |name: &str| section.find(name).is_some();
            if let Some(Shape::Map { value, .. }) = section.named.as_deref() {
                for entry in table.into_iter().flatten().filter(|entry| !is_own(&entry.name)) {
                    collect(value, Some(&entry.node), &join(key, &entry.name), all);
                }
            }
        }
        Shape::Map { value, .. } => {
            for entry in table.into_iter().flatten() {
                collect(value, Some(&entry.node), &join(key, &entry.name), all);
            }
        }
        _ => {
            if let Some(Node { value, span }) = node {
                all.push(KeyValue { key: key.to_owned(), value: show(value), span: *span });
            }
        }
    }
}

fn collect_key(inner: &KeyShape, written: Option<&Entry>, parent: &str, all: &mut Vec<KeyValue>) {
    let key = join(parent, inner.name);
    match (written, &inner.presence) {
        (Some(entry), _) => collect(&inner.shape, Some(&entry.node), &key, all),
        (None, Presence::Default(default)) => {
            collect(&inner.shape, Some(&Node::unplaced(default.clone())), &key, all);
        }
        (None, Presence::Optional | Presence::Required) => {}
    }
}

/// The value that a key has unless it is written. `None` if it then has none.
pub(crate) fn default_of(key: &str) -> Option<String> {
    let mut shape = RawConfig::shape();
    let mut default = None;
    for name in split_key(key)? {
        let Shape::Section(section) = shape else { return None };
        let inner = section.keys.into_iter().find(|inner| inner.name == name)?;
        (shape, default) = (inner.shape, Some(inner.presence));
    }
    match default? {
        Presence::Default(value) => Some(show(&value)),
        Presence::Optional | Presence::Required => None,
    }
}

/// A value as it would be written, text without quotes when it stands alone.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => show_nested(other),
    }
}

pub(crate) fn show_nested(value: &Value) -> String {
    match value {
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(items) => {
            format!("[{}]", items.iter().map(|item| show_nested(&item.value)).collect::<Vec<_>>().join(", "))
        }
        Value::Table(table) if table.is_empty() => "{}".to_owned(),
        Value::Table(table) => {
            let entry = |entry: &Entry| format!("{} = {}", join("", &entry.name), show_nested(&entry.node.value));
            format!("{{ {} }}", table.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Unusable(kind) => (*kind).to_owned(),
    }
}

/// The parts of `app.route."/api/chat".max_body`. `None` if a quote is not closed.
pub(crate) fn split_key(key: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = key;
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        parts.push(part.to_owned());
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(parts),
        }
    }
}
