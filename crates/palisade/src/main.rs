//! The `palisade` command: from arguments to a command, and from its end to an exit code.

mod admin;
mod check;
mod cli;
#[cfg(feature = "demo")]
mod demo;
mod exit;
mod explain;
mod introduce;
mod limit;
mod print;
mod run;
mod source;
mod words;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::exit::Exit;

/// Requests allocate on workers and records are freed on the telemetry thread: this allocator is
/// made for memory that one thread takes and another gives back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        None => next_step(),
        Some(Command::Run(run)) => run::run(&run),
        #[cfg(feature = "demo")]
        Some(Command::Demo(demo)) => demo::run(&demo),
        Some(Command::Check(check)) => check::run(&check),
        Some(Command::Explain(explain)) => explain::run(&explain),
        Some(Command::Limit(limit)) => limit::run(&limit),
        Some(Command::Schema) => print::out(&format!("{:#}\n", palisade_config::schema())),
        Some(Command::Completions { shell }) => print::completions(shell),
        Some(Command::Man) => print::man(),
    };
    exit.into()
}

/// What to do next, for somebody who typed the bare command.
fn next_step() -> Exit {
    let file = palisade_config::locate(None, None);
    let next = match file {
        Some(file) => format!("palisade run          the gateway, as {} says\npalisade check", file.display()),
        None => "palisade run --upstream http://127.0.0.1:3000\n\
                 palisade demo"
            .to_owned(),
    };
    print::out(&format!("Try one of these:\n\n{next}\n\npalisade --help lists all commands.\n"))
}
