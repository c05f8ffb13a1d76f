//! What we depend on: licenses, sources, bans, and known holes.

use super::Done;
use crate::command::{command, run, succeeds};
use crate::failure::Failure;
use crate::packages;
use crate::root::Root;

const TOOLS: &[&str] = &["cargo-deny", "cargo-audit"];

/// Where `cargo audit` fetches from.
const DATABASE: &str = "https://github.com/RustSec/advisory-db.git";

/// A copy of it beside the repository, for machines that can't fetch.
const COPY: &str = "../shared/advisory-db";

pub(crate) fn licenses(root: &Root) -> Result<Done, Failure> {
    packages::cargo_tools(root, TOOLS)?;
    let check = ["deny", "--workspace", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    run(&mut command(root, "cargo", check))?;
    Ok(Done::Passed)
}

/// Without a database there is nothing to compare with, and the summary says so.
pub(crate) fn advisories(root: &Root) -> Result<Done, Failure> {
    packages::cargo_tools(root, TOOLS)?;
    let mut audit = command(root, "cargo", ["audit", "--deny", "unsound", "--deny", "yanked"]);
    if !succeeds(&mut command(root, "git", ["ls-remote", DATABASE, "HEAD"])) {
        let copy = root.join(COPY);
        if !copy.is_dir() {
            return Ok(Done::Skipped(format!("{DATABASE} can't be reached")));
        }
        println!("The newest advisories can't be fetched; a copy is used, so holes found since are missed.");
        audit.arg("--no-fetch").arg("--db").arg(copy);
    }
    run(&mut audit)?;
    Ok(Done::Passed)
}
