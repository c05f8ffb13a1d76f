//! `cargo xtask bench limits`: decisions of limits beside `governor`, in the same run.
//!
//! Each case runs in a process of its own (`benches/src/bin/limits.rs`), so that its memory is its
//! own. Subjects alternate, and the table shows medians. Ratios count, not times: this is memory's
//! speed as much as ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::machine::{self, Cores};
use super::page::Page;
use crate::arguments::Arguments;
use crate::command::{command, output, run as run_command};
use crate::failure::Failure;
use crate::root::Root;

const SUBJECTS: [&str; 2] = ["palisade", "governor"];

/// Cases on one core, with what each of them is.
const CASES: [(&str, &str); 7] = [
    ("hot", "one address"),
    ("1m", "1 M addresses"),
    ("10m", "10 M addresses"),
    ("three", "10 M addresses, three limits at once"),
    ("apart", "two threads, addresses of their own"),
    ("same", "two threads, one address"),
    ("flood", "100 M addresses, each once, default table"),
];

/// Medians of one subject in one case.
#[derive(Clone, Copy, Default)]
struct Measured {
    ns: f64,
    grown_kb: f64,
    live: f64,
    wrong: f64,
}

type Results = BTreeMap<(&'static str, &'static str), Measured>;

/// A line of what is claimed.
struct Claim {
    what: &'static str,
    must: &'static str,
    value: fn(&Results) -> Option<f64>,
    is_reached: fn(f64) -> bool,
}

const CLAIMS: [Claim; 10] = [
    Claim {
        what: "decisions per second, one hot key, beside governor",
        must: "≥ 3",
        value: |results| faster(results, "hot"),
        is_reached: |value| value >= 3.0,
    },
    Claim {
        what: "the same with 1 M keys",
        must: "≥ 3",
        value: |results| faster(results, "1m"),
        is_reached: |value| value >= 3.0,
    },
    Claim {
        what: "the same with 10 M keys",
        must: "≥ 2",
        value: |results| faster(results, "10m"),
        is_reached: |value| value >= 2.0,
    },
    Claim {
        what: "three limits at 10 M keys, over one",
        must: "≤ 1.4",
        value: |results| Some(ours(results, "three")?.ns / ours(results, "10m")?.ns),
        is_reached: |value| value <= 1.4,
    },
    Claim {
        what: "two threads with keys of their own, over one",
        must: "≥ 1.9",
        value: |results| Some(ours(results, "1m")?.ns / ours(results, "apart")?.ns),
        is_reached: |value| value >= 1.9,
    },
    Claim {
        what: "two threads on one key: decisions that were wrong",
        must: "0",
        value: |results| Some(ours(results, "same")?.wrong),
        is_reached: |value| value == 0.0,
    },
    Claim {
        what: "bytes for each live key at 1 M",
        must: "≤ 22",
        value: |results| ours(results, "1m").map(bytes_per_key),
        is_reached: |value| value <= 22.0,
    },
    Claim {
        what: "bytes for each live key at 10 M",
        must: "≤ 22",
        value: |results| ours(results, "10m").map(bytes_per_key),
        is_reached: |value| value <= 22.0,
    },
    Claim {
        what: "memory after 100 M addresses, over the table's 64 MiB",
        must: "≤ 1.05",
        value: |results| Some(ours(results, "flood")?.grown_kb / f64::from(64 << 10)),
        is_reached: |value| value <= 1.05,
    },
    Claim {
        what: "in that flood: an exhausted address admitted, or an honest one refused",
        must: "0",
        value: |results| Some(ours(results, "flood")?.wrong),
        is_reached: |value| value == 0.0,
    },
];

const PAGE: Page = Page { begin: "<!-- limits: begin -->\n", end: "<!-- limits: end -->" };

pub(crate) fn run(root: &Root, mut arguments: Arguments) -> Result<(), Failure> {
    let rounds: usize = arguments.value("--rounds")?.unwrap_or(3);
    let writes = arguments.flag("--write");
    arguments.end()?;
    if rounds == 0 {
        return Err(Failure::Usage("rounds must be more than nothing".to_owned()));
    }
    run_command(&mut command(root, "cargo", ["build", "--release", "-p", "benches"]))?;
    let cores = Cores::divide()?;
    let mut results = Results::new();
    for (case, about) in CASES {
        eprintln!("{case}: {about}");
        let mut samples: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
        for round in 0..rounds {
            for subject in SUBJECTS.iter().cycle().skip(round).take(SUBJECTS.len()) {
                samples.entry(subject).or_default().push(measure(root, &cores, subject, case)?);
            }
        }
        for (subject, samples) in samples {
            results.insert((case, subject), median(&samples));
        }
    }
    let typed = if rounds == 3 { String::new() } else { format!(" --rounds {rounds}") };
    let text = format!("`cargo xtask bench limits{typed}`\n\n{}\n\n{}", machine::describe(root), to_markdown(&results));
    if writes {
        return PAGE.write(root, &text);
    }
    println!("{text}");
    Ok(())
}

/// One process. Two threads need both cores.
fn measure(root: &Root, cores: &Cores, subject: &str, case: &str) -> Result<Measured, Failure> {
    let program = root.join("target/release/limits").display().to_string();
    let place = if matches!(case, "apart" | "same") { &Cores::any().proxy } else { &cores.proxy };
    let words: Vec<&str> = place.0.iter().map(String::as_str).chain([program.as_str(), subject, case]).collect();
    let Some((first, rest)) = words.split_first() else { return Err(Failure::Found("no program".to_owned())) };
    let said = output(&mut command(root, first, rest))?;
    let line: Value = serde_json::from_str(said.trim()).unwrap_or_default();
    let number = |name: &str| line.get(name).and_then(Value::as_f64);
    let measured = || {
        let ns = number("seconds")? * 1e9 / number("decisions").filter(|decisions| *decisions > 0.0)?;
        Some(Measured { ns, grown_kb: number("grown_kb")?, live: number("live")?, wrong: number("wrong")? })
    };
    measured().ok_or_else(|| Failure::Found(format!("{subject} {case} said nothing that can be counted:\n{said}")))
}

/// The middle one by time; of what was wrong the most.
fn median(samples: &[Measured]) -> Measured {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|one, other| one.ns.total_cmp(&other.ns));
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    Measured { wrong: samples.iter().map(|sample| sample.wrong).fold(0.0, f64::max), ..middle }
}

fn ours(results: &Results, case: &'static str) -> Option<Measured> {
    results.get(&(case, "palisade")).copied()
}

fn faster(results: &Results, case: &'static str) -> Option<f64> {
    Some(results.get(&(case, "governor"))?.ns / ours(results, case)?.ns)
}

fn bytes_per_key(measured: Measured) -> f64 {
    measured.grown_kb * 1_024.0 / measured.live.max(1.0)
}

fn to_markdown(results: &Results) -> String {
    let mut page = String::from("| Measure | Measured | Must | |\n|---|--:|--:|---|\n");
    for Claim { what, must, value, is_reached } in CLAIMS {
        let Some(value) = value(results) else { continue };
        let outcome = if is_reached(value) { "reached" } else { "missed" };
        // Writing into a String can't fail.
        let _ = writeln!(page, "| {what} | {value:.2} | {must} | {outcome} |");
    }
    page.push_str("\n| | | ns for each decision | memory, KB | live keys | bytes each |\n|---|---|--:|--:|--:|--:|\n");
    for (case, about) in CASES {
        for subject in SUBJECTS {
            let Some(measured) = results.get(&(case, subject)) else { continue };
            let Measured { ns, grown_kb, live, .. } = *measured;
            let bytes = bytes_per_key(*measured);
            let _ = writeln!(page, "| {about} | {subject} | {ns:.0} | {grown_kb:.0} | {live:.0} | {bytes:.1} |");
        }
    }
    page
}
