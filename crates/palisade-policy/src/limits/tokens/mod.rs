//! Token budgets of language models: reserved when a request arrives, settled by what it used.
//!
//! Nobody knows beforehand how many tokens an answer takes. A request reserves an estimate; when its
//! answer is over, the rest is given back, or what went beyond is charged. Bodies of requests and of
//! answers go on unchanged and as they come.

mod estimate;
#[cfg(test)]
mod tests;
mod usage;
mod watch;

use std::sync::Arc;

use palisade_core::{HeaderEdits, ResponseView, Said, Shown, Transform, Transformation, View, Watch};

pub(super) use estimate::Estimates;
pub(super) use usage::USED_FIELD;
use watch::Watching;

/// How tokens are budgeted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// What a request reserves.
    pub reserve: Reserve,
    /// How long an answer is taken to be that the request says nothing of.
    pub default_output: u32,
}

/// What a request reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// The same for each request.
    Fixed(u32),
    /// A quarter of its body's bytes, and what it says its answer may take.
    Auto,
}

/// The name of the fact that an estimate leaves about the body's own tokens.
const INPUT: &str = "tokens.input";
/// The same about those of the answer, if the request says how many there may be.
const OUTPUT: &str = "tokens.output";
/// The name of the fact that is left of an answer.
const USED: &str = "tokens.used";

impl Tokens {
    /// What a request without a body reserves.
    pub(super) const fn usual(self) -> u32 {
        match self.reserve {
            Reserve::Fixed(tokens) => tokens,
            Reserve::Auto => self.default_output,
        }
    }

    /// What `view` reserves.
    pub(super) fn estimate(self, view: &View<'_>) -> u32 {
        match self.reserve {
            Reserve::Fixed(tokens) => tokens,
            Reserve::Auto => {
                let input = view.facts.find(INPUT).unwrap_or(0);
                let output = view.facts.find(OUTPUT).unwrap_or(self.default_output.into());
                u32::try_from(input.saturating_add(output)).unwrap_or(u32::MAX)
            }
        }
    }

    /// What was used, as it was found out.
    pub(super) fn used(facts: &palisade_core::decision::Facts) -> Option<u32> {
        facts.find(USED).map(|used| u32::try_from(used).unwrap_or(u32::MAX))
    }
}

/// Watches the answers of requests that reserved tokens.
pub(super) struct Meters;

impl Transform for Meters {
    fn begin(
        &self,
        _view: &View<'_>,
        _response: &ResponseView<'_>,
        _edits: &mut HeaderEdits,
    ) -> Option<Box<dyn Transformation>> {
        None
    }

    fn watch(&self, view: &View<'_>, response: &ResponseView<'_>, edits: &mut HeaderEdits) -> Option<Box<dyn Watch>> {
        if response.head.has(&USED_FIELD) {
            // It is between application and gateway.
            edits.remove(USED_FIELD.clone());
        }
        let reserved = |tally: &palisade_core::Tally| tally.item.shown == Shown::Tokens && tally.said == Said::Admit;
        view.limits.iter().any(reserved).then(|| Box::new(Watching::new(response)) as Box<dyn Watch>)
    }
}

fn named(name: &str, number: u64) -> palisade_core::decision::Fact {
    palisade_core::decision::Fact { name: Arc::from(name), hash: number.into() }
}
