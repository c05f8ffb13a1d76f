//! `palisade run`: the gateway.

use std::error::Error;

use palisade_core::config::Severity;
use palisade_core::{Mode, Question, chain};
use palisade_server::{Ended, Process, Read, StartError};

use crate::cli::Run;
use crate::exit::Exit;
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

/// Says where it listens, what stands in front of what, and what every protection does.
fn introduce(process: &Process) {
    let snapshot = process.snapshot();
    if process.report().problems.count(Severity::Warning) > 0 {
        check::complain(process.report());
    }
    let scheme = if snapshot.app.tls.is_some() { "https" } else { "http" };
    let servers = snapshot.upstreams.iter().flat_map(|group| &group.servers);
    let servers: Vec<_> = servers.map(|server| server.address.to_string()).collect();
    eprintln!("palisade {} · {scheme}://{} → {}", env!("CARGO_PKG_VERSION"), process.public(), servers.join(", "));
    if let Some(redirect) = process.redirect() {
        eprintln!("redirect · http://{redirect} (to the public address)");
    }
    if let Some(admin) = process.admin() {
        eprintln!("admin    · http://{admin} (metrics, health, traces)");
    }
    for question in snapshot.questions.iter() {
        eprintln!("{}", describe(question));
    }
}

fn describe(question: &Question) -> String {
    let what = match question.mode {
        Mode::Enforce => "on",
        Mode::Report => "only reports what it would refuse",
        Mode::Off => "off",
    };
    format!("  {:<9} {:<9} {what}   ({})", question.stage.name(), question.name, question.place)
}
