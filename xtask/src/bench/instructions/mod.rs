//! `cargo xtask bench instructions`: user instructions for one request, counted by callgrind.
//!
//! Two runs of different length are subtracted, so that starting and ending don't count. What is
//! left repeats within a percent, also on a busy machine. It does depend on the compiler, and on
//! what the machine's libc chooses for moving memory.

mod callgrind;
mod counts;
mod phases;
mod recorded;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use self::counts::Counts;
use self::recorded::{FILE, PERCENT, Verdict};
use super::load::words;
use super::machine::Cores;
use super::peers::Peer;
use super::process::{Place, Program, Running};
use super::sets::Set;
use super::stand::{Rest, Stand, build};
use crate::arguments::Arguments;
use crate::command::{command, run as run_command, succeeds};
use crate::failure::Failure;
use crate::packages;
use crate::root::Root;

const CONNECTIONS: usize = 16;
const FEW: u64 = 500;
const MANY: u64 = 2_500;

pub(crate) fn run(root: &Root, mut arguments: Arguments) -> Result<(), Failure> {
    let palisade = arguments.value("--palisade")?;
    let writes = arguments.flag("--write");
    arguments.end()?;
    if writes && palisade.is_some() {
        return Err(Failure::Usage("what is written has to be about what the repository builds".to_owned()));
    }
    install(root)?;
    if !counts(root) {
        return Err(Failure::Found("valgrind does not work here".to_owned()));
    }
    if writes {
        // What is there may be unreadable, after a merge for example.
        let recorded = recorded::recorded(root).unwrap_or(None);
        let counted = count(root, None)?;
        println!("{}", counted.beside(recorded.as_ref()));
        recorded::record(root, &counted)?;
        println!("wrote {FILE}");
        return Ok(());
    }
    compare(root, palisade)
}

/// Gets what counts.
pub(crate) fn install(root: &Root) -> Result<(), Failure> {
    packages::debian(root, &[("valgrind", "valgrind"), ("openssl", "openssl")])
}

/// Whether anything can be counted here: valgrind doesn't know every processor and kernel.
pub(crate) fn counts(root: &Root) -> bool {
    succeeds(&mut command(root, "valgrind", ["--tool=callgrind", "--callgrind-out-file=/dev/null", "true"]))
}

/// Counts what the repository builds, and compares.
pub(crate) fn check(root: &Root) -> Result<(), Failure> {
    compare(root, None)
}

/// The recorded instructions of one request.
pub(crate) fn recorded_total(root: &Root) -> Result<Option<u64>, Failure> {
    Ok(recorded::recorded(root)?.map(|counts| counts.total()))
}

fn compare(root: &Root, palisade: Option<PathBuf>) -> Result<(), Failure> {
    let recorded = recorded::recorded(root)?;
    let counted = count(root, palisade)?;
    println!("User instructions for each hardened request\n\n{}", counted.beside(recorded.as_ref()));
    let Some(recorded) = recorded else {
        return Err(Failure::Found(format!("nothing is recorded; write {FILE} with --write")));
    };
    match Verdict::of(counted.total(), recorded.total()) {
        Verdict::Above => Err(Failure::Found(format!(
            "more than {PERCENT} % above what {FILE} records: find out why, or write the new count with --write"
        ))),
        Verdict::Within => Ok(()),
        Verdict::Below => {
            println!("More than {PERCENT} % below what {FILE} records: write the new count with --write.");
            Ok(())
        }
    }
}

/// Instructions of one request.
fn count(root: &Root, palisade: Option<PathBuf>) -> Result<Counts, Failure> {
    let palisade = match palisade {
        Some(palisade) => palisade,
        None => build_with_symbols(root)?,
    };
    build(root, Some(&palisade))?;
    // Nothing is timed, so that it doesn't matter which core runs what.
    let stand = Stand::new(root, Some(palisade), Cores::any(), CONNECTIONS, Rest::Asleep)?;
    Ok(whole(&stand, MANY)?.each(&whole(&stand, FEW)?, MANY - FEW))
}

/// What is released, but with the names of its functions; in a folder of its own, so that the two
/// don't replace each other.
pub(crate) fn build_with_symbols(root: &Root) -> Result<PathBuf, Failure> {
    let folder = root.join("target/symbols");
    let mut cargo = command(root, "cargo", ["build", "--release", "-p", "palisade", "--target-dir"]);
    run_command(cargo.arg(&folder).env("CARGO_PROFILE_RELEASE_STRIP", "none"))?;
    Ok(folder.join("release/palisade"))
}

/// Large copies are one `rep movsb` in glibc, which a processor counts as one instruction and
/// callgrind as one for each byte. As loops both count the same.
const COPY_BY_LOOP: &str = "glibc.cpu.x86_rep_movsb_threshold=16777216";

/// Instructions of a whole life with so many requests.
fn whole(stand: &Stand, requests: u64) -> Result<Counts, Failure> {
    let backend = stand.backend(Rest::Asleep)?;
    let site = stand.site(Peer::Palisade, Set::Hardened, backend.address)?;
    let Program { program, arguments, mut environment, output } = stand.program(Peer::Palisade, &site)?;
    environment.push(("GLIBC_TUNABLES", COPY_BY_LOOP.to_owned()));
    let counts = site.folder.join("counts");
    let callgrind = ["--tool=callgrind".to_owned(), format!("--callgrind-out-file={}", counts.display()), program];
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
    let text = fs::read_to_string(&counts).map_err(Failure::file(&counts))?;
    let costs = callgrind::self_costs(&text);
    costs.map(Counts::of).ok_or_else(|| Failure::Found("callgrind's counts can't be read".to_owned()))
}
