//! `cargo xtask bench instructions`: user instructions for one request, counted by callgrind.
//!
//! Two runs of different length are subtracted, so that starting and ending don't count. What is
//! left repeats within a percent, also on a busy machine.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::claims::INSTRUCTIONS_MAX;
use super::load::words;
use super::peers::Peer;
use super::process::{Place, Program, Running};
use super::sets::Set;
use super::stand::{Rest, Stand, build};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::packages;
use crate::root::Root;

const CONNECTIONS: usize = 16;
const FEW: u64 = 500;
const MANY: u64 = 2_500;

pub(crate) fn run(root: &Root, mut arguments: Arguments) -> Result<(), Failure> {
    let palisade = arguments.value("--palisade")?;
    arguments.end()?;
    packages::debian(root, &[("valgrind", "valgrind"), ("openssl", "openssl")])?;
    build(root, palisade.as_deref())?;
    let stand = Stand::new(root, palisade, CONNECTIONS, Rest::Asleep)?;
    let counted = count(&stand, MANY)?.saturating_sub(count(&stand, FEW)?) / (MANY - FEW);
    println!("{counted} user instructions for each hardened request; must be at most {INSTRUCTIONS_MAX}");
    if counted <= INSTRUCTIONS_MAX { Ok(()) } else { Err(Failure::Found("more than that".to_owned())) }
}

/// Instructions of a whole life with so many requests.
fn count(stand: &Stand, requests: u64) -> Result<u64, Failure> {
    let backend = stand.backend(Rest::Asleep)?;
    let site = stand.site(Peer::Palisade, Set::Hardened, backend.address)?;
    let Program { program, arguments, environment, output } = stand.program(Peer::Palisade, &site)?;
    let counts = site.path("counts.%p");
    let callgrind = ["--tool=callgrind".to_owned(), format!("--callgrind-out-file={counts}"), program];
    let valgrind = Program {
        program: "valgrind".to_owned(),
        arguments: callgrind.into_iter().chain(arguments).collect(),
        environment,
        output,
    };
    let mut running = Running::start(valgrind, &Place(Vec::new()), &site.folder)?;
    running.listens(site.listen, Duration::from_secs(60))?;
    let line = format!("closed --connections {CONNECTIONS} --seconds 60 --requests {requests}");
    let sample = stand.load.own(site.listen, &words(&line))?;
    if sample.bad > 0.0 || sample.done < requests as f64 {
        return Err(Failure::Found(format!("not every request was answered: {sample:?}")));
    }
    running.stop(Signal::TERM);
    let entries = fs::read_dir(&site.folder).map_err(Failure::file(&site.folder))?.flatten();
    let total = |path: std::path::PathBuf| {
        let counts = fs::read_to_string(path).ok()?;
        counts.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse::<u64>().ok())
    };
    Ok(entries.filter_map(|entry| total(entry.path())).sum())
}
