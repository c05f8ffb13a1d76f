//! The repository checks itself: what a reviewer would otherwise have to say again and again.

// All of this is test code: what can't be read is a failed test.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// A file this long holds a second idea.
const LINES_MAX: usize = 600;

/// A decision that needs more has not been made.
const ADR_LINES_MAX: usize = 60;

/// Work that was not done belongs to an issue, not to a comment.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK:")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files below a folder with this ending, but for what is built or downloaded.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "node_modules", "corpus", "artifacts"].contains(&name.as_str()) && !name.starts_with('.') {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&root(), ".rs", &mut found);
    assert!(found.len() > 100, "only {} sources found", found.len());
    found.into_iter().map(|path| (shown(&path), fs::read_to_string(&path).unwrap())).collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Unit tests are explained by the module they stand beside.
fn is_unit_test(path: &str) -> bool {
    path.contains("/src/") && (path.ends_with("/tests.rs") || path.contains("/tests/"))
}

#[test]
fn every_module_begins_with_what_it_is_for() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(path, text)| !is_unit_test(path) && !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn no_source_is_too_long() {
    let long: Vec<_> = sources().into_iter().filter(|(_, text)| text.lines().count() > LINES_MAX).collect();
    assert_eq!(long.into_iter().map(|(path, _)| path).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn no_decision_is_too_long() {
    let mut found = Vec::new();
    files(&root().join("docs/adr"), ".md", &mut found);
    assert!(!found.is_empty());
    for path in found {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= ADR_LINES_MAX, "{} has {lines} lines", shown(&path));
    }
}

#[test]
fn nothing_is_marked_as_unfinished() {
    let marked: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| UNFINISHED.iter().any(|mark| text.contains(mark)))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(marked, Vec::<String>::new());
}

/// Figures are measured once; the first page must not tell others.
#[test]
fn the_readme_has_the_figures_of_the_benchmarks() {
    let page = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let (readme, measured) = (page("README.md"), page("docs/benchmarks.md"));
    let (_, section) = readme.split_once("## How fast").unwrap();
    let rows = section.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| "));
    let mut figures = 0;
    for row in rows.skip(1) {
        let cells: Vec<_> = row.split(" | ").take(2).collect();
        let told = format!("| palisade {} |", cells.join(" | "));
        assert!(measured.contains(&told), "the benchmarks don't say {told:?}");
        figures += 1;
    }
    assert!(figures > 5, "only {figures} figures found");
    let command = readme.split('`').find(|part| part.starts_with("cargo xtask bench proxy")).unwrap();
    assert!(measured.contains(&format!("`{command}`")), "the benchmarks were not measured with {command:?}");
}

/// What a page points to is there.
#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = Vec::new();
    files(&root(), ".md", &mut pages);
    let mut broken = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let target = page.parent().unwrap().join(link.split('#').next().unwrap());
            if !target.exists() {
                broken.push(format!("{}: {link}", shown(page)));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}
