//! `[app] compress`

use std::sync::Arc;

use palisade_core::config::{Code, Problem, Problems, Setting};
use palisade_core::{Mode, Policy, Question, Stage};

use super::{Coding, Compress};
use crate::Context;

/// The list as it is written, in order of preference.
pub type RawCompress = Setting<Vec<Setting<Coding>>>;

/// Compiles the list. Without codings there is no question.
pub fn compile(raw: RawCompress, context: &Context<'_>, problems: &mut Problems) -> Vec<Question> {
    let mut offered = Vec::new();
    for Setting { value: coding, place } in raw.value {
        if offered.contains(&coding) {
            let message = format!("`{}` names {} once more", place.key, coding.token());
            problems.report(Problem::new(Code::Shadowed, &place, message));
        } else {
            offered.push(coding);
        }
    }
    if offered.is_empty() {
        return Vec::new();
    }
    let tokens: Vec<_> = offered.iter().map(|coding| coding.token()).collect();
    vec![Question {
        name: "compress",
        stage: Stage::Dress,
        mode: Mode::Enforce,
        place: context.describe(&raw.place),
        about: format!("text that comes plain is compressed: {}", tokens.join(", ")).into(),
        policy: Policy::Transform(Arc::new(Compress::offering(offered))),
    }]
}
