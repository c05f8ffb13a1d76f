//! Fuzzing: the corpus always, new inputs where there is a nightly compiler.

use std::fs::File;
use std::process::Command;
use std::thread;

use super::Done;
use crate::command::{command, output, run as call, succeeds};
use crate::failure::Failure;
use crate::packages;
use crate::root::{Root, create_folder, read};

const SECONDS_EACH: u32 = 60;
const AT_ONCE: usize = 2;

/// Runs the laws over the corpus, then every target for a minute, two at a time.
pub(crate) fn run(root: &Root) -> Result<Done, Failure> {
    call(&mut command(root, "cargo", ["test", "--manifest-path", "fuzz/Cargo.toml"]))?;
    if !succeeds(&mut command(root, "rustc", ["+nightly", "--version"])) {
        println!("No nightly compiler, so nothing beyond the corpus; `rustup toolchain install nightly` adds one.");
        return Ok(Done::Passed);
    }
    packages::cargo_tools(root, &["cargo-fuzz"])?;
    call(&mut cargo_fuzz(root, "build"))?;
    let targets = output(&mut cargo_fuzz(root, "list"))?;
    let targets: Vec<&str> = targets.lines().collect();
    targets.chunks(AT_ONCE).try_for_each(|targets| fuzz_together(root, targets))?;
    Ok(Done::Passed)
}

fn fuzz_together(root: &Root, targets: &[&str]) -> Result<(), Failure> {
    let results = thread::scope(|scope| {
        let running: Vec<_> = targets.iter().map(|target| scope.spawn(move || fuzz(root, target))).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(crashed()))).collect::<Vec<_>>()
    });
    results.into_iter().collect()
}

fn crashed() -> Failure {
    Failure::Found("the thread that fuzzes panicked".to_owned())
}

/// New inputs go to a folder of the machine's own, so that a run changes nothing in the repository;
/// the committed corpus is only read.
fn fuzz(root: &Root, target: &str) -> Result<(), Failure> {
    let found = root.join("target/fuzz-corpus").join(target);
    let committed = root.join("fuzz/corpus").join(target);
    create_folder(&found)?;
    create_folder(&committed)?;
    let mut command = cargo_fuzz(root, "run");
    command.arg(target).arg(&found).arg(committed).arg("--").arg(format!("-max_total_time={SECONDS_EACH}"));
    println!("{target} for {SECONDS_EACH} s");
    // It prints hundreds of lines, of which the last ones matter, and those if it failed.
    let log = found.with_extension("log");
    let said = File::create(&log).map_err(Failure::file(&log))?;
    let errors = said.try_clone().map_err(Failure::file(&log))?;
    call(command.stdout(said).stderr(errors)).inspect_err(|_| {
        let lines = read(&log).unwrap_or_default();
        let lines: Vec<&str> = lines.lines().collect();
        println!("{}", lines.get(lines.len().saturating_sub(60)..).unwrap_or_default().join("\n"));
    })
}

fn cargo_fuzz(root: &Root, what: &str) -> Command {
    command(root, "cargo", ["+nightly", "fuzz", what])
}
