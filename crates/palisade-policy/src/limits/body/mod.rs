//! Fields of bodies that limits are keyed on, such as the account that somebody signs in to.
//!
//! A body is read up to 64 KiB before stage `quota`'s limits are asked, and goes upstream as it
//! came. What is kept of a field is its hash, left as a fact. A field that stands twice has no value
//! on which all readers agree, so the request is refused; a body that can't be read (another type,
//! a coding, too long, broken) has no fields, and its address counts.

mod form;
pub(super) mod json;
mod multipart;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use palisade_core::decision::Fact;
use palisade_core::policy::{End, Fed};
use palisade_core::{Decision, Effects, Examination, Examine, Reason, Single, Target, View, media};

use super::hash::{Hash, Seed};
use super::scope::{Occasion, Scope};
use crate::inbound::MethodOverride;

/// How much of a body is read.
const BODY_BYTES_MAX: usize = 64 << 10;
/// A longer value is none that somebody would sign in with.
const VALUE_BYTES_MAX: usize = 256;

/// Reads the fields that limits of one mode are keyed on.
pub(super) struct Fields {
    pub(super) wanted: Vec<(Scope, Vec<Arc<str>>)>,
    pub(super) exempt: Arc<[Target]>,
    pub(super) overrides: MethodOverride,
    pub(super) seed: Seed,
}

/// What there is of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Absent,
    One(String),
    /// Readers may differ in which one they take.
    Twice,
}

/// How a body is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Json,
    UrlEncoded,
    Multipart(Box<[u8]>),
}

/// One reading.
struct Reading {
    names: Vec<Arc<str>>,
    form: Form,
    seed: Seed,
    body: Vec<u8>,
}

impl Examine for Fields {
    fn begin(&self, view: &View<'_>) -> Option<Box<dyn Examination>> {
        let occasion = Occasion::of(view, &self.exempt, self.overrides);
        let on = self.wanted.iter().filter(|(scope, _)| scope.covers(&occasion));
        let mut names: Vec<_> = on.flat_map(|(_, names)| names).cloned().collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return None;
        }
        let form = Form::of(view)?;
        Some(Box::new(Reading { names, form, seed: self.seed, body: Vec::new() }))
    }
}

impl Form {
    /// The form of a body that can be read.
    fn of(view: &View<'_>) -> Option<Self> {
        let Single::One(value) = view.head.single(&CONTENT_TYPE) else { return None };
        let coding = view.head.first(&CONTENT_ENCODING);
        if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            return None;
        }
        let text = std::str::from_utf8(value).ok()?;
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Some(Self::UrlEncoded),
            "multipart/form-data" => multipart::boundary(parameters).map(Self::Multipart),
            _ => media::is_json(value).then_some(Self::Json),
        }
    }

    /// What there is of a field, called `name`.
    fn find(&self, body: &[u8], name: &str) -> Found {
        match self {
            Self::Json => json::find(body, name),
            Self::UrlEncoded => form::find(body, name),
            Self::Multipart(boundary) => multipart::find(body, boundary, name),
        }
    }
}

impl Examination for Reading {
    fn budget(&self) -> usize {
        BODY_BYTES_MAX
    }

    fn feed(&mut self, chunk: &[u8]) -> Fed {
        self.body.extend_from_slice(chunk);
        Fed::More
    }

    fn decide(self: Box<Self>, end: End) -> Decision {
        if end == End::Part {
            return Decision::allow();
        }
        let mut facts = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let field = name.strip_prefix("body.").unwrap_or(name);
            match self.form.find(&self.body, field) {
                Found::Absent => {}
                Found::Twice => return Decision::refuse(Reason::LimitsKeyAmbiguous),
                Found::One(value) => facts.extend(fact(name, &value, &self.seed)),
            }
        }
        Decision::Allow(Effects { facts, ..Effects::none() })
    }
}

/// The hash of a value, so that blanks around it and its case make no other account.
pub(super) fn fact(name: &Arc<str>, value: &str, seed: &Seed) -> Option<Fact> {
    let value = value.trim_matches(|char: char| char.is_ascii_whitespace()).to_lowercase();
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return None;
    }
    let mut hash = Hash::new(seed, name);
    hash.take(value.as_bytes());
    Some(Fact { name: name.clone(), hash: hash.finish().0 })
}

impl Found {
    /// The same field was found once more.
    fn and(self, value: Option<String>) -> Self {
        match (self, value) {
            (Self::Absent, Some(value)) => Self::One(value),
            (found, None) => found,
            (Self::One(_) | Self::Twice, Some(_)) => Self::Twice,
        }
    }
}
