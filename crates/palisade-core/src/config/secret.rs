//! Secrets: written as references, held without a readable form.

use std::fmt;

use super::decode::{Decode, Fault, wrong_type};
use super::place::Place;
use super::problem::Problems;
use super::shape::{KeyShape, Presence, SectionShape, Shape};
use super::tree::{Node, Value};

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file.
    File(String),
}

/// The bytes of a secret. It can't be printed, compared or turned into text by accident.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// A secret with these bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the one place that needs them.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "{{ env = {name:?} }}"),
            Self::File(path) => write!(f, "{{ file = {path:?} }}"),
        }
    }
}

impl Decode for SecretRef {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        const FORM: &str = "a secret is { env = \"NAME\" } or { file = \"/path\" }";
        let Value::Table(table) = &node.value else {
            // It may be the secret itself.
            problems.report(wrong_type(&Self::shape(), &node.value).at(place).help(FORM).masked());
            return None;
        };
        let mut entries = table.iter();
        let reference = match (entries.next(), entries.next()) {
            (Some(entry), None) => match (entry.name.as_str(), &entry.node.value) {
                ("env", Value::Text(name)) if is_variable(name) => Some(Self::Env(name.clone())),
                ("file", Value::Text(path)) if !path.is_empty() => Some(Self::File(path.clone())),
                _ => None,
            },
            _ => None,
        };
        if reference.is_none() {
            problems.report(Fault::invalid("is not a reference to a secret").at(place).help(FORM).masked());
        }
        reference
    }

    fn shape() -> Shape {
        let form = |name, doc, examples| {
            let shape = Shape::Text { syntax: name_of(name), examples };
            let keys = vec![KeyShape { name, doc, presence: Presence::Required, shape }];
            Shape::Section(SectionShape { doc: " A reference to a secret.\n", keys, named: None })
        };
        Shape::Either(vec![
            form("env", " The environment variable that holds the secret.\n", &["STRIPE_WEBHOOK_SECRET"]),
            form("file", " The file that holds the secret.\n", &["/run/credentials/palisade.service/key"]),
        ])
    }
}

fn name_of(key: &str) -> String {
    if key == "env" { "variable".to_owned() } else { "path".to_owned() }
}

/// What the environment can hold: reading any other name could fail in ways of its own.
fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
