//! `palisade run`: the gateway.

use std::error::Error;

use palisade_core::chain;
use palisade_core::config::Severity;
use palisade_server::{Ended, Process, Read, StartError};

use crate::cli::Run;
use crate::exit::Exit;
use crate::introduce::introduce;
use crate::{check, source};

/// Runs the command.
pub(crate) fn run(run: &Run) -> Exit {
    // Found once and read at every reload: a file that is gone by then is a problem, and the old
    // configuration stays.
    let found = match source::find(&run.source, run.upstream.as_deref()) {
        Ok(found) => found,
        Err(error) => {
            return error.complain("palisade run --upstream http://127.0.0.1:3000, which needs no file");
        }
    };
    let read: Read = Box::new(move || found.read());
    match Process::start(read) {
        Ok(process) => {
            if process.report().problems.count(Severity::Warning) > 0 {
                check::complain(process.report());
            }
            introduce(&process);
            serve(process)
        }
        Err(error) => refuse(&error),
    }
}

/// Serves until a signal ends it.
fn serve(process: Process) -> Exit {
    match process.run() {
        Ended::Complete => Exit::Good,
        Ended::Cut => {
            eprintln!("palisade: the time was up; what was still under way was cut");
            Exit::TimeLimit
        }
        Ended::Interrupted => Exit::Interrupted,
    }
}

/// Says why the gateway does not run.
pub(crate) fn refuse(error: &StartError) -> Exit {
    match error {
        StartError::Config(report) => check::complain(report),
        other => eprintln!("palisade: {}", chain(other as &dyn Error)),
    }
    if let Some(help) = error.help() {
        eprintln!("  help: {help}");
    }
    Exit::Config
}
