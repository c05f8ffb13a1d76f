//! The steps, in order: what is quick comes first.

use super::{Done, fuzz, supply};
use crate::bench::{instructions, stand};
use crate::command::{command, run};
use crate::failure::Failure;
use crate::root::Root;
use crate::{gen_docs, packages, soak};

/// One step.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Root) -> Result<Done, Failure>,
}

pub(crate) const STEPS: &[Step] = &[
    Step { name: "tools", about: "install what the tests need and the machine lacks", run: tools },
    Step { name: "format", about: "the code is formatted", run: format },
    Step { name: "generated", about: "generated pages say what the code says", run: generated },
    Step { name: "build", about: "the binary builds", run: build },
    Step { name: "lint", about: "no warning, clippy's included", run: lint },
    Step { name: "docs", about: "the documentation of every crate builds", run: docs },
    Step { name: "test", about: "unit, law, documentation, repository and end-to-end tests", run: test },
    Step { name: "instructions", about: "a request costs what is recorded, within 3 %", run: instructions },
    Step {
        name: "addresses",
        about: "two million of them neither fill the memory nor free one used up",
        run: addresses,
    },
    Step { name: "fuzz", about: "laws over arbitrary bytes, from the corpus and beyond it", run: fuzz::run },
    Step {
        name: "licenses",
        about: "what we depend on may be used, and comes from where it should",
        run: supply::licenses,
    },
    Step { name: "advisories", about: "nothing we depend on has a known hole", run: supply::advisories },
];

/// What end-to-end tests start: a browser, a real application's runtime, clients, and other proxies.
const PROGRAMS: &[packages::Debian] = &[
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("git", "git"),
    ("h2load", "nghttp2-client"),
    ("haproxy", "haproxy"),
    ("nginx", "nginx-light"),
    ("python3", "python3"),
    ("c++", "g++"),
];

fn tools(root: &Root) -> Result<Done, Failure> {
    packages::debian(root, PROGRAMS)?;
    packages::node(root)?;
    Ok(Done::Passed)
}

fn format(root: &Root) -> Result<Done, Failure> {
    cargo(root, &["fmt", "--all", "--check"])
}

fn generated(root: &Root) -> Result<Done, Failure> {
    gen_docs::check(root)?;
    Ok(Done::Passed)
}

/// End-to-end tests start this binary; cargo would not build it for them.
fn build(root: &Root) -> Result<Done, Failure> {
    cargo(root, &["build", "--package", "palisade"])
}

fn lint(root: &Root) -> Result<Done, Failure> {
    cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn docs(root: &Root) -> Result<Done, Failure> {
    run(command(root, "cargo", ["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Done::Passed)
}

fn test(root: &Root) -> Result<Done, Failure> {
    cargo(root, &["test", "--workspace", "--no-fail-fast"])
}

/// After the tests: its release build takes three minutes, and most of what is wrong shows sooner.
/// All steps together have to stay below 30 minutes.
fn instructions(root: &Root) -> Result<Done, Failure> {
    instructions::install(root)?;
    if !instructions::counts(root) {
        return Ok(Done::Skipped("valgrind does not run on this processor or kernel".to_owned()));
    }
    instructions::check(root)?;
    Ok(Done::Passed)
}

/// With the binary whose instructions were counted, so that no other is built for this.
fn addresses(root: &Root) -> Result<Done, Failure> {
    let palisade = instructions::build_with_symbols(root)?;
    stand::build(root, Some(&palisade))?;
    soak::addresses::check(root, palisade)?;
    Ok(Done::Passed)
}

fn cargo(root: &Root, arguments: &[&str]) -> Result<Done, Failure> {
    run(&mut command(root, "cargo", arguments))?;
    Ok(Done::Passed)
}
