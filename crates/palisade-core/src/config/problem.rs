//! Problems of a configuration: collected, never thrown.

use super::code::{Code, Severity};
use super::place::Place;

/// More problems than this help nobody; the rest is left out.
pub const PROBLEMS_MAX: usize = 100;

/// Something about a configuration that its author should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What kind of thing.
    pub code: Code,
    /// Where.
    pub place: Place,
    /// What is wrong, as one sentence without a full stop. Never holds a secret.
    pub message: String,
    /// A few words for the spot itself: ``did you mean `rate`?``
    pub label: Option<String>,
    /// What to do, or what to run.
    pub help: Option<String>,
    /// Whether its spot may be repeated.
    pub spot: Spot,
}

/// Whether what stands at a problem's spot may be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spot {
    /// Yes.
    #[default]
    Shown,
    /// No: it may hold a secret. Its place is.
    Masked,
}

impl Problem {
    /// A problem at a place.
    pub fn new(code: Code, place: &Place, message: impl Into<String>) -> Self {
        Self { code, place: place.clone(), message: message.into(), label: None, help: None, spot: Spot::Shown }
    }

    /// The same with a few words for the spot itself.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same about something that must not be repeated.
    pub fn masked(mut self) -> Self {
        self.spot = Spot::Masked;
        self
    }

    /// The same with what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All problems found so far, at most [`PROBLEMS_MAX`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    /// Adds one. When there are too many already, an error still takes the place of a lesser one,
    /// so that a refused configuration always names an error.
    pub fn report(&mut self, problem: Problem) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push(problem);
        } else if problem.code.severity() == Severity::Error
            && let Some(lesser) = self.found.iter_mut().rfind(|known| known.code.severity() != Severity::Error)
        {
            *lesser = problem;
        }
    }

    /// Forgets that a key is missing: it is there, under a name that was reported by itself.
    pub(super) fn forget_missing(&mut self, key: &str) {
        self.found.retain(|problem| problem.code != Code::MissingKey || &*problem.place.key != key);
    }

    /// Whether further errors would be left out, so that nobody need look for them.
    pub fn is_full(&self) -> bool {
        self.count(Severity::Error) >= PROBLEMS_MAX
    }

    /// Whether the configuration must be refused.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|problem| problem.code.severity() == Severity::Error)
    }

    /// How many there are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|problem| problem.code.severity() == severity).count()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Puts them in the order of the text they are about; those about no text come last.
    pub fn sort(&mut self) {
        self.found.sort_by_key(|problem| (problem.place.span.is_none(), problem.place.span));
    }

    /// The problems.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.found.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_never_crowded_out() {
        let mut problems = Problems::default();
        for _ in 0..PROBLEMS_MAX + 5 {
            problems.report(Problem::new(Code::Off, &Place::top(), "off"));
        }
        assert!(!problems.has_errors());
        problems.report(Problem::new(Code::Syntax, &Place::top(), "wrong"));
        assert!(problems.has_errors());
        assert_eq!(problems.iter().count(), PROBLEMS_MAX);
    }
}
