//! `cargo xtask ci`: everything that has to hold before a change is merged.
//!
//! Steps run in order and the first failure ends the run, so that the last lines say what to mend.
//! A fresh machine with Rust gets what is missing; a machine that ran before is not changed.

mod fuzz;
mod steps;
mod supply;

use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::root::Root;
use steps::{STEPS, Step};

/// How a step ended that did not fail.
pub(crate) enum Done {
    /// It ran.
    Passed,
    /// It could not be run on this machine, for the reason that is shown.
    Skipped(String),
}

/// Runs all steps, or one.
pub(crate) fn run(root: &Root, mut arguments: Arguments) -> Result<(), Failure> {
    let list = arguments.flag("--list");
    let only: Option<String> = arguments.value("--only")?;
    arguments.end()?;
    if list {
        for Step { name, about, .. } in STEPS {
            println!("{name:<12} {about}");
        }
        return Ok(());
    }
    let chosen: Vec<&Step> = STEPS.iter().filter(|step| only.as_ref().is_none_or(|only| only == step.name)).collect();
    if chosen.is_empty() {
        return Err(Failure::Usage("there is no such step; see cargo xtask ci --list".to_owned()));
    }
    run_steps(root, &chosen)
}

fn run_steps(root: &Root, chosen: &[&Step]) -> Result<(), Failure> {
    let start = Instant::now();
    let mut summary = Vec::new();
    let mut passed = 0;
    for (at, step) in chosen.iter().enumerate() {
        println!("\n=== {} ({} of {}): {}", step.name, at + 1, chosen.len(), step.about);
        let began = Instant::now();
        match (step.run)(root) {
            Ok(Done::Passed) => {
                passed += 1;
                summary.push(format!("  {:<12} {}", step.name, show(began.elapsed())));
            }
            Ok(Done::Skipped(why)) => summary.push(format!("  {:<12} skipped: {why}", step.name)),
            Err(failure) => {
                let left = chosen.len() - at - 1;
                println!("\n{}", summary.join("\n"));
                println!("  {:<12} FAILED after {}; {left} not run", step.name, show(began.elapsed()));
                println!("\nAgain: cargo xtask ci --only {}\n\n{passed} passed, 1 failed", step.name);
                return Err(failure);
            }
        }
    }
    println!("\n{}\n  {:<12} {}\n\n{passed} passed, 0 failed", summary.join("\n"), "all", show(start.elapsed()));
    Ok(())
}

fn show(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}
