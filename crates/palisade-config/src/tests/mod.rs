mod examples;
mod newcomer;
mod outputs;
mod overlay;
mod problems;
mod properties;
mod secrets;
mod store;

use crate::{Inputs, Report, Secrets, Seed, Snapshot};

const SEED: Seed = Seed([7; 16]);

/// A configuration of this text alone, on top of the one key that is needed.
fn load(text: &str) -> Result<(Snapshot, Report), Report> {
    crate::load(&Inputs::text("palisade.toml", text).upstream("--upstream", "http://127.0.0.1:3000"), SEED)
}

/// Every problem as `code line:column message (label)`.
fn list(report: &Report) -> Vec<String> {
    let show = |problem: &palisade_core::config::Problem| {
        let at = problem.place.span.and_then(|span| Some((report.files.find(span.file)?, span)));
        let at = at.map_or_else(
            || "-".to_owned(),
            |(file, span)| {
                let position = file.position(span.start);
                format!("{}:{}", position.line, position.column)
            },
        );
        let label = problem.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        format!("{} {at} {}{label}", problem.code.code().trim_start_matches("config."), problem.message)
    };
    report.problems.iter().map(show).collect()
}

/// The problems of a text that is refused, warnings and notices of one that is accepted.
fn problems(text: &str) -> Vec<String> {
    match load(text) {
        Ok((_, report)) | Err(report) => list(&report),
    }
}

/// The snapshot of a text that is accepted.
fn snapshot(text: &str) -> Snapshot {
    match load(text) {
        Ok((snapshot, _)) => snapshot,
        Err(report) => panic!("{}", report.render(crate::Format::Human(crate::Color::Plain))),
    }
}

fn without_secrets(text: &str) -> Inputs {
    Inputs::text("palisade.toml", text).secrets(Secrets::Skip)
}
