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
    let (summary, failure) = run_steps(root, &chosen);
    println!("\n{summary}");
    failure.map_or(Ok(()), Err)
}

/// Runs steps until one fails. Gives what is printed at the end, and the failure.
fn run_steps(root: &Root, chosen: &[&Step]) -> (String, Option<Failure>) {
    let start = Instant::now();
    let mut lines = Vec::new();
    let mut passed = 0;
    for (at, step) in chosen.iter().enumerate() {
        println!("\n=== {} ({} of {}): {}", step.name, at + 1, chosen.len(), step.about);
        let began = Instant::now();
        let result = (step.run)(root);
        let took = show(began.elapsed());
        let told = match &result {
            Ok(Done::Passed) => took,
            Ok(Done::Skipped(why)) => format!("skipped: {why}"),
            Err(_) => format!("FAILED after {took}; {} not run", chosen.len() - at - 1),
        };
        lines.push(format!("  {:<12} {told}", step.name));
        match result {
            Ok(Done::Passed) => passed += 1,
            Ok(Done::Skipped(_)) => {}
            Err(failure) => {
                let again = format!("Again: cargo xtask ci --only {}", step.name);
                return (format!("{}\n\n{again}\n\n{passed} passed, 1 failed", lines.join("\n")), Some(failure));
            }
        }
    }
    lines.push(format!("  {:<12} {}", "all", show(start.elapsed())));
    (format!("{}\n\n{passed} passed, 0 failed", lines.join("\n")), None)
}

fn show(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Step = Step { name: "good", about: "", run: |_| Ok(Done::Passed) };
    const UNABLE: Step = Step { name: "unable", about: "", run: |_| Ok(Done::Skipped("no network".to_owned())) };
    const BAD: Step = Step { name: "bad", about: "", run: |_| Err(Failure::Found("broken".to_owned())) };

    fn check(steps: &[&Step], expected: &str) {
        let (summary, failure) = run_steps(&Root::find().unwrap(), steps);
        assert_eq!(summary, expected);
        assert_eq!(failure.is_some(), !expected.ends_with(" 0 failed"));
    }

    #[test]
    fn the_first_failure_ends_the_run() {
        check(
            &[&GOOD, &BAD, &GOOD, &BAD],
            "  good         0 s\n  bad          FAILED after 0 s; 2 not run\n\n\
             Again: cargo xtask ci --only bad\n\n1 passed, 1 failed",
        );
    }

    #[test]
    fn what_could_not_be_run_has_not_passed() {
        check(
            &[&GOOD, &UNABLE, &GOOD],
            "  good         0 s\n  unable       skipped: no network\n  good         0 s\n  all          0 s\n\n\
             2 passed, 0 failed",
        );
    }

    #[test]
    fn durations() {
        assert_eq!(
            [0, 59, 60, 605].map(|seconds| show(Duration::from_secs(seconds))),
            ["0 s", "59 s", "1 min 00 s", "10 min 05 s"]
        );
    }
}
