//! `cargo xtask gen`: pages and schema that are written by the code they describe.

use std::fmt::Write as _;

use palisade_core::Reason;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::root::{Root, write};

struct Page {
    path: &'static str,
    text: fn() -> String,
}

const PAGES: &[Page] = &[
    Page { path: "docs/reference/config.md", text: palisade_config::reference },
    Page { path: "docs/reference/reasons.md", text: reasons },
    Page { path: "docs/reference/metrics.md", text: palisade_telemetry::metrics::catalog::reference },
    Page { path: "palisade.schema.json", text: schema },
];

/// Writes every page, or with `--check` says which would change.
pub(crate) fn run(root: &Root, mut arguments: Arguments) -> Result<(), Failure> {
    let only_check = arguments.flag("--check");
    arguments.end()?;
    if only_check { check(root) } else { generate(root) }
}

/// Fails if a page is not what the code says.
pub(crate) fn check(root: &Root) -> Result<(), Failure> {
    let names: Vec<_> = stale(root).iter().map(|page| page.path).collect();
    match &names[..] {
        [] => Ok(()),
        names => Err(Failure::Found(format!("not what the code says: {}; type: cargo xtask gen", names.join(", ")))),
    }
}

fn generate(root: &Root) -> Result<(), Failure> {
    for page in stale(root) {
        write(&root.join(page.path), &(page.text)())?;
        println!("wrote {}", page.path);
    }
    Ok(())
}

fn stale(root: &Root) -> Vec<&'static Page> {
    let differs = |page: &&Page| std::fs::read_to_string(root.join(page.path)).ok() != Some((page.text)());
    PAGES.iter().filter(differs).collect()
}

fn schema() -> String {
    format!("{:#}\n", palisade_config::schema())
}

/// Every reason: what a client is told, and what an operator can do.
fn reasons() -> String {
    let mut page = String::from(
        "# Reasons\n\n\
         Why a request was refused or not answered. The code is in the problem document, the access log, the \
         metrics and `palisade explain CODE`.\n\n\
         | Code | Status | Title |\n|---|---|---|\n",
    );
    for reason in Reason::ALL {
        // Writing into a String can't fail.
        let _ = writeln!(
            page,
            "| [`{0}`](#{1}) | {2} | {3} |",
            reason.code(),
            anchor(*reason),
            reason.status().as_u16(),
            reason.title()
        );
    }
    for reason in Reason::ALL {
        let text = reason.page().split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let _ = write!(page, "\n## `{}`\n\n{} · {}\n\n{text}\n", reason.code(), reason.status(), reason.title());
    }
    page
}

/// As Markdown makes it of a heading: letters, digits, `_` and `-` stay.
fn anchor(reason: Reason) -> String {
    reason.code().replace('.', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_row_and_a_section() {
        let page = reasons();
        for reason in Reason::ALL {
            assert_eq!(page.matches(&format!("\n## `{}`\n", reason.code())).count(), 1, "{}", reason.code());
            assert_eq!(page.matches(&format!("| [`{}`](#", reason.code())).count(), 1, "{}", reason.code());
        }
    }
}
