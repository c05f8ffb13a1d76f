//! `palisade check`: every mistake of the configuration at once.

use std::io::{self, IsTerminal as _};

use palisade_config::{Color, Report, Secrets, Seed};

use crate::cli::{Check, Format};
use crate::exit::Exit;
use crate::{print, source};

/// Runs the command.
pub(crate) fn run(check: &Check) -> Exit {
    let inputs = match source::inputs(&check.source, None) {
        Ok(inputs) => inputs.secrets(if check.no_secrets { Secrets::Skip } else { Secrets::Resolve }),
        Err(error) => return error.complain("palisade check --config FILE"),
    };
    let load = if check.no_secrets { palisade_config::load } else { palisade_server::load };
    let (Ok((_, report)) | Err(report)) = load(&inputs, Seed([0; 16]));
    let exit = if report.problems.has_errors() { Exit::Config } else { Exit::Good };
    print::out(&report.render(format(check.format, color(io::stdout().is_terminal()))));
    exit
}

/// Shows a report that stands in the way of a command, on standard error.
pub(crate) fn complain(report: &Report) {
    let color = color(io::stderr().is_terminal());
    eprint!("{}", report.render(palisade_config::Format::Human(color)));
}

fn format(format: Format, color: Color) -> palisade_config::Format {
    match format {
        Format::Human => palisade_config::Format::Human(color),
        Format::Json => palisade_config::Format::Json,
    }
}

/// Escape sequences only on a terminal, and never against `NO_COLOR`.
fn color(is_terminal: bool) -> Color {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if is_terminal && !forbidden { Color::Ansi } else { Color::Plain }
}
