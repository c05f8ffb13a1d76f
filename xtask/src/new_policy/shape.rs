//! What a new policy begins as, by its shape.

use std::str::FromStr;

/// What a policy looks at. The words are those of `palisade_core::Policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Inspect,
    Meter,
    Recall,
    Examine,
    Dress,
    Transform,
}

/// When it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stage(palisade_core::Stage);

impl Stage {
    /// The variant.
    pub(super) fn name(self) -> String {
        format!("{:?}", self.0)
    }
}

impl FromStr for Stage {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        palisade_core::Stage::ALL.into_iter().find(|stage| stage.name() == name).map(Self).ok_or(())
    }
}

impl FromStr for Shape {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "inspect" => Ok(Self::Inspect),
            "meter" => Ok(Self::Meter),
            "recall" => Ok(Self::Recall),
            "examine" => Ok(Self::Examine),
            "dress" => Ok(Self::Dress),
            "transform" => Ok(Self::Transform),
            _ => Err(()),
        }
    }
}

impl Shape {
    /// The variant, which is the trait as well.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inspect => "Inspect",
            Self::Meter => "Meter",
            Self::Recall => "Recall",
            Self::Examine => "Examine",
            Self::Dress => "Dress",
            Self::Transform => "Transform",
        }
    }

    /// Where most policies of this shape belong.
    pub(super) const fn usual_stage(self) -> Stage {
        Stage(match self {
            Self::Inspect => palisade_core::Stage::Integrity,
            Self::Meter => palisade_core::Stage::Quota,
            Self::Recall => palisade_core::Stage::Identify,
            Self::Examine => palisade_core::Stage::Shape,
            Self::Dress | Self::Transform => palisade_core::Stage::Dress,
        })
    }

    /// `mod.rs`
    pub(super) fn rule(self) -> String {
        let (imports, body) = match self {
            Self::Inspect => {
                ("Decision, Inspect, View", "fn decide(&self, _view: &View<'_>) -> Decision {\nDecision::allow()\n}")
            }
            Self::Meter => (
                "Charges, Decision, Item, Meter, Mode, Tally, Verdicts, View",
                "fn items(&self) -> &[std::sync::Arc<Item>] {\n&[]\n}\n\n\
                 fn charges(&self, _view: &View<'_>, _charges: &mut Charges) {}\n\n\
                 fn decide(&self, _view: &View<'_>, _charges: &Charges, _verdicts: &Verdicts) -> Decision {\n\
                 Decision::allow()\n}\n\n\
                 fn tell(&self, _mode: Mode, _charges: &Charges, _verdicts: &Verdicts, _tallies: &mut Vec<Tally>) {}",
            ),
            Self::Recall => (
                "Decision, Found, Lookup, Recall, View",
                "fn lookup(&self, _view: &View<'_>) -> Option<Lookup> {\nNone\n}\n\n\
                 fn decide(&self, _view: &View<'_>, _found: Found) -> Decision {\nDecision::allow()\n}",
            ),
            Self::Examine => (
                "Examination, Examine, View",
                "fn begin(&self, _view: &View<'_>) -> Option<Box<dyn Examination>> {\nNone\n}",
            ),
            Self::Dress => (
                "Dress, HeaderEdits, ResponseView, View",
                "fn dress(&self, _view: &View<'_>, _response: &ResponseView<'_>, _edits: &mut HeaderEdits) {}",
            ),
            Self::Transform => (
                "HeaderEdits, ResponseView, Transform, Transformation, View",
                "fn begin(&self, _view: &View<'_>, _response: &ResponseView<'_>, _edits: &mut HeaderEdits) \
                 -> Option<Box<dyn Transformation>> {\nNone\n}",
            ),
        };
        RULE.replace("<imports>", imports).replace("<body>", body)
    }

    /// `tests.rs`
    pub(super) const fn test(self) -> &'static str {
        match self {
            Self::Inspect => INSPECT,
            Self::Meter => METER,
            Self::Recall => RECALL,
            Self::Examine => EXAMINE,
            Self::Dress => DRESS,
            Self::Transform => TRANSFORM,
        }
    }
}

const RULE: &str = "\
//! What {name} protects, in one line.
//!
//! **Threat.** Who does what to whom, and why an application alone doesn't stop it.
//!
//! **Rule.**
//! 1. Nothing is refused yet.
//!
//! **Limits.** What it deliberately does not do, and what happens when its store is down.

pub mod config;
#[cfg(test)]
mod tests;

use palisade_core::{<imports>};

/// The rule.
#[derive(Clone, Copy, Debug)]
pub struct {Name};

impl {Shape} for {Name} {
<body>
}
";

pub(super) const CONFIG: &str = "\
//! `[{name}]`

use std::sync::Arc;

use palisade_core::config::{Problems, Setting};
use palisade_core::{Mode, Policy, Question, Stage};

use super::{Name};
use crate::Context;
use crate::catalog::{defaults, report_off};

palisade_core::section! {
    /// What {name} protects, in one line.
    pub struct Raw{Name} {
        /// Whether it acts, only records what it would do, or is not asked.
        mode: Setting<Mode> = \"enforce\",
    }
}

/// The question. Without the table it has its defaults.
pub fn compile(
    raw: Option<Setting<Raw{Name}>>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Vec<Question> {
    let Some(Raw{Name} { mode }) = raw.map(|raw| raw.value).or_else(|| defaults(\"{name}\", problems)) else {
        return Vec::new();
    };
    if mode.value == Mode::Off {
        report_off(&mode.place, problems);
    }
    vec![Question {
        name: \"{name}\",
        stage: Stage::{Stage},
        mode: mode.value,
        place: context.describe(&mode.place),
        about: \"what {name} does, in a few words\".into(),
        policy: Policy::{Shape}(Arc::new({Name})),
    }]
}

#[cfg(test)]
mod tests {
    use palisade_core::config::{Decode, Entry, Files, Node, Place, Table, Value};

    use super::*;
    use crate::catalog::RawPolicies;

    fn table(name: &str, value: Value) -> Value {
        let entry = Entry { name: name.to_owned(), name_span: None, node: Node::unplaced(value) };
        Value::Table(Table::new(vec![entry]))
    }

    #[test]
    fn modes() {
        let check = |written: &str, expected: Mode, reported: &[&str]| {
            let (files, mut problems) = (Files::default(), Problems::default());
            let context = Context { files: &files, public: None, hosts: Vec::new(), demo: crate::demo::Demo::Never, seed: [0; 16].into() };
            let root = Node::unplaced(table(\"{name}\", table(\"mode\", Value::from(written))));
            let raw = RawPolicies::decode(&root, &Place::top(), &mut problems).unwrap().{name};
            let questions = compile(raw, &context, &mut problems);
            assert_eq!(questions.iter().map(|question| question.mode).collect::<Vec<_>>(), [expected], \"{written}\");
            assert_eq!(problems.iter().map(|problem| problem.code.code()).collect::<Vec<_>>(), reported, \"{written}\");
        };
        check(\"enforce\", Mode::Enforce, &[]);
        check(\"report\", Mode::Report, &[]);
        check(\"off\", Mode::Off, &[\"config.off\"]);
    }
}
";

const INSPECT: &str = "\
use super::*;
use crate::testing::{decision, with};

#[test]
fn decisions() {
    let check = |request: &str, expected: &str| {
        assert_eq!(with(request, |view| decision(&{Name}.decide(view))), expected, \"{request}\");
    };
    check(\"GET / HTTP/1.1\\nHost: briefly.example\", \"allow\");
    check(\"POST / HTTP/1.1\\nHost: briefly.example\", \"refuse {name}.reason 403\");
}
";

const METER: &str = "\
use super::*;
use crate::testing::with;

#[test]
fn charges() {
    let check = |request: &str, expected: usize| {
        let mut charges = Charges::default();
        with(request, |view| {Name}.charges(view, &mut charges));
        assert_eq!(charges.list.len(), expected, \"{request}\");
    };
    check(\"GET / HTTP/1.1\\nHost: briefly.example\", 1);
}
";

const RECALL: &str = "\
use super::*;
use crate::testing::with;

#[test]
fn lookups() {
    let check = |request: &str, expected: Option<&str>| {
        let lookup = with(request, |view| {Name}.lookup(view));
        assert_eq!(lookup.map(|lookup| lookup.collection), expected, \"{request}\");
    };
    check(\"GET / HTTP/1.1\\nHost: briefly.example\", None);
    check(\"GET / HTTP/1.1\\nHost: briefly.example\\nCookie: id=1\", Some(\"{name}\"));
}
";

const EXAMINE: &str = "\
use super::*;
use crate::testing::with;

#[test]
fn examined_requests() {
    let check = |request: &str, expected: bool| {
        assert_eq!(with(request, |view| {Name}.begin(view).is_some()), expected, \"{request}\");
    };
    check(\"GET / HTTP/1.1\\nHost: briefly.example\", false);
    check(\"POST / HTTP/1.1\\nHost: briefly.example\\nContent-Length: 2\", true);
}
";

const DRESS: &str = "\
use http::{HeaderMap, StatusCode};

use super::*;
use crate::testing::{edits, with};

#[test]
fn edits_of_answers() {
    let check = |status: u16, expected: &str| {
        let response = ResponseView { status: StatusCode::from_u16(status).unwrap(), head: &HeaderMap::new(), length: None };
        let mut found = HeaderEdits::none();
        with(\"GET / HTTP/1.1\", |view| {Name}.dress(view, &response, &mut found));
        assert_eq!(edits(\"response\", &found), expected, \"{status}\");
    };
    check(200, \", response x-{name} = 1\");
}
";

const TRANSFORM: &str = "\
use http::{HeaderMap, StatusCode};

use super::*;
use crate::testing::with;

#[test]
fn transformed_answers() {
    let check = |status: u16, expected: bool| {
        let response = ResponseView { status: StatusCode::from_u16(status).unwrap(), head: &HeaderMap::new(), length: None };
        let mut edits = HeaderEdits::none();
        let begun = with(\"GET / HTTP/1.1\", |view| {Name}.begin(view, &response, &mut edits).is_some());
        assert_eq!(begun, expected, \"{status}\");
    };
    check(200, true);
}
";
