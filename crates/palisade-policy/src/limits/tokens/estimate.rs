//! What a request's body says about the tokens that it will take.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use palisade_core::policy::{End, Fed};
use palisade_core::{Decision, Effects, Examination, Examine, Target, View, media};

use super::super::body::{Found, json};
use super::super::scope::{Occasion, Scope};
use super::{INPUT, OUTPUT, named};
use crate::inbound::MethodOverride;

/// How much of a body is read.
const BODY_BYTES_MAX: usize = 256 << 10;

/// Where a request says how long its answer may be; the first positive one counts.
const OUTPUTS: [&str; 3] = ["max_completion_tokens", "max_output_tokens", "max_tokens"];

/// Reads bodies of requests whose tokens are estimated.
pub(in crate::limits) struct Estimates {
    pub(in crate::limits) scopes: Vec<Scope>,
    pub(in crate::limits) exempt: Arc<[Target]>,
    pub(in crate::limits) overrides: MethodOverride,
}

struct Reading {
    declared: Option<u64>,
    form: Form,
    body: Vec<u8>,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Other,
}

impl Examine for Estimates {
    fn begin(&self, view: &View<'_>) -> Option<Box<dyn Examination>> {
        let occasion = Occasion::of(view, &self.exempt, self.overrides);
        if !self.scopes.iter().any(|scope| scope.covers(&occasion)) {
            return None;
        }
        let text = |name| std::str::from_utf8(view.head.first(name)?).ok();
        let is_json = view.head.first(&CONTENT_TYPE).is_some_and(media::is_json);
        let declared = text(&CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let form = if is_json { Form::Json } else { Form::Other };
        Some(Box::new(Reading { declared, form, body: Vec::new(), bytes: 0 }))
    }
}

impl Examination for Reading {
    fn budget(&self) -> usize {
        BODY_BYTES_MAX
    }

    fn feed(&mut self, chunk: &[u8]) -> Fed {
        self.bytes += chunk.len() as u64;
        if self.form == Form::Json {
            self.body.extend_from_slice(chunk);
        }
        Fed::More
    }

    fn decide(self: Box<Self>, end: End) -> Decision {
        let bytes = match end {
            End::Whole => self.bytes,
            End::Part => self.declared.unwrap_or(self.bytes).max(self.bytes),
        };
        let mut facts = vec![named(INPUT, bytes.div_ceil(4))];
        if end == End::Whole && self.form == Form::Json {
            let found = json::find_each(&self.body, OUTPUTS);
            let output = found.iter().find_map(wish);
            facts.extend(output.map(|output| named(OUTPUT, output)));
        }
        Decision::Allow(Effects { facts, ..Effects::none() })
    }
}

/// How long an answer may be by one member, if that is a positive whole number in any spelling. What
/// is there twice is read by nobody knows whom: it may be anything.
fn wish(found: &Found) -> Option<u64> {
    match found {
        Found::Absent => None,
        Found::Twice => Some(u64::MAX),
        Found::One(text) => {
            let tokens: f64 = text.trim().parse().ok()?;
            let is_whole = tokens.fract() == 0.0 || tokens.is_infinite();
            // A number too large for 64 bits is cut to them.
            (tokens >= 1.0 && is_whole).then_some(tokens as u64)
        }
    }
}
