//! Tables whose keys the author chooses.

use std::fmt;

use super::decode::{Decode, Fault, Setting, Text, wrong_type};
use super::place::Place;
use super::problem::Problems;
use super::section::Further;
use super::shape::{KeyShape, Presence, SectionShape, Shape};
use super::tree::{Entry, Node, Table, Value};

/// Keys of one form and a value for each, in the order they were written.
#[derive(Clone, Debug, PartialEq)]
pub struct Map<K, V>(Vec<(Setting<K>, Setting<V>)>);

/// The same for tables: `off = true` in one takes it away again, as an overlay may want to.
#[derive(Clone, Debug, PartialEq)]
pub struct Named<K, T>(Map<K, T>);

/// The name of a named table: a letter, then letters, digits and `_`, at most 32, all lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl<K, V> Map<K, V> {
    /// Keys and values, in the order they were written.
    pub fn iter(&self) -> std::slice::Iter<'_, (Setting<K>, Setting<V>)> {
        self.0.iter()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (Setting<K>, Setting<V>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Text, T: Decode> Named<K, T> {
    fn entry(entry: &Entry, parent: &Place, problems: &mut Problems) -> Option<(Setting<K>, Setting<T>)> {
        let Value::Table(table) = &entry.node.value else {
            return map_entry(entry, parent, problems);
        };
        let Some(switch) = table.find("off") else {
            return map_entry(entry, parent, problems);
        };
        let place = parent.child(&entry.name, entry.name_span).child("off", switch.node.span);
        match bool::decode(&switch.node, &place, problems) {
            Some(true) | None => None,
            Some(false) => {
                let rest = table.iter().filter(|inner| inner.name != "off").cloned().collect();
                let node = Node { value: Value::Table(Table::new(rest)), span: entry.node.span };
                map_entry(&Entry { node, ..entry.clone() }, parent, problems)
            }
        }
    }

    /// Names and tables, in the order they were written.
    pub fn iter(&self) -> std::slice::Iter<'_, (Setting<K>, Setting<T>)> {
        self.0.iter()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Text, T: Decode> Further for Named<K, T> {
    fn others(table: &Table, own: &[&'static str], section: &Place, problems: &mut Problems) -> Option<Self> {
        let is_other = |entry: &&Entry| !own.contains(&entry.name.as_str()) && entry.node.as_table().is_some();
        let entries = table.iter().filter(is_other).filter_map(|entry| Self::entry(entry, section, problems));
        Some(Self(Map(entries.collect())))
    }

    fn extend(section: &mut SectionShape) {
        section.named = Some(Box::new(<Self as Decode>::shape()));
    }
}

impl<K, T> IntoIterator for Named<K, T> {
    type Item = (Setting<K>, Setting<T>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Text, V: Decode> Decode for Map<K, V> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            problems.report(wrong_type(&Self::shape(), &node.value).at(place));
            return None;
        };
        Some(Self(table.iter().filter_map(|entry| map_entry(entry, place, problems)).collect()))
    }

    fn shape() -> Shape {
        Shape::Map { key: <K as Text>::shape().syntax(), value: Box::new(V::shape()) }
    }
}

impl<K: Text, T: Decode> Decode for Named<K, T> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            problems.report(wrong_type(&<Self as Decode>::shape(), &node.value).at(place));
            return None;
        };
        Some(Self(Map(table.iter().filter_map(|entry| Self::entry(entry, place, problems)).collect())))
    }

    fn shape() -> Shape {
        let mut value = T::shape();
        if let Shape::Section(section) = &mut value {
            section.keys.push(KeyShape {
                name: "off",
                doc: " `true` takes the table away, as if it were not written. For overlays.\n",
                presence: Presence::Default(Value::Boolean(false)),
                shape: Shape::Boolean,
            });
        }
        Shape::Map { key: <K as Text>::shape().syntax(), value: Box::new(value) }
    }
}

fn map_entry<K: Text, V: Decode>(
    entry: &Entry,
    parent: &Place,
    problems: &mut Problems,
) -> Option<(Setting<K>, Setting<V>)> {
    let key_place = parent.child(&entry.name, entry.name_span);
    let key = K::parse(&entry.name).map_err(|fault| problems.report(fault.at(&key_place))).ok();
    let value_place = key_place.spanning(entry.node.span);
    let value = V::decode(&entry.node, &value_place, problems);
    Some((Setting { value: key?, place: key_place }, Setting { value: value?, place: value_place }))
}

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for Name {
    fn parse(text: &str) -> Result<Self, Fault> {
        let begins = text.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
        let goes_on = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if begins && goes_on && text.len() <= 32 {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault::invalid("is not a name").label("a letter, then letters, digits and _, at most 32, lower case"))
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "name".to_owned(), examples: &["chat", "sign_in"] }
    }
}
