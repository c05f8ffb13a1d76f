//! `cargo xtask new-policy`, run in a copy of the workspace: one policy of each shape.
//!
//! What it writes has to compile without a warning, its table has to be known, and its test has to
//! fail until there is a rule.

// All of this is test code.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const SHAPES: [&str; 6] = ["inspect", "meter", "recall", "examine", "dress", "transform"];

/// Sources alone, without what is built or downloaded.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.path().is_dir() {
            let is_made = ["target", "node_modules", ".git", ".next", "corpus"].iter().any(|made| name == *made);
            if !is_made {
                copy(&entry.path(), &to.join(name));
            }
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

fn xtask(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).current_dir(root).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn each_shape_compiles_and_its_test_fails() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // Always the same folder: cargo tells builds apart by path and would keep every one of them.
    let folder = root.join("target/new-policy");
    let copied = &folder.join("copy");
    if copied.exists() {
        fs::remove_dir_all(copied).unwrap();
    }
    copy(root, copied);
    for shape in SHAPES {
        let made = xtask(copied, &["new-policy", &format!("new_{shape}"), "--shape", shape]);
        assert!(made.status.success(), "{}", text(&made));
    }
    let again = xtask(copied, &["new-policy", "new_inspect"]);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));

    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(arguments).current_dir(copied).env("CARGO_TARGET_DIR", folder.join("build")).output().unwrap()
    };
    let formatted = cargo(&["fmt", "--package", "palisade-policy", "--check"]);
    assert!(formatted.status.success(), "{}", text(&formatted));

    let tested = cargo(&["test", "--offline", "--package", "palisade-policy", "--lib", "--no-fail-fast"]);
    let said = text(&tested);
    assert!(!said.contains("warning") && !said.contains("could not compile"), "{said}");
    for shape in SHAPES {
        let known = format!("test new_{shape}::config::tests::modes ... ok");
        assert!(said.contains(&known), "{said}");
    }
    let failed: BTreeSet<_> =
        said.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED")).collect();
    let modules: BTreeSet<_> =
        failed.iter().filter_map(|test| test.split_once("::tests::")).map(|(module, _)| module).collect();
    let expected: Vec<_> = SHAPES.iter().map(|shape| format!("new_{shape}")).collect();
    let expected: BTreeSet<_> = expected.iter().map(String::as_str).collect();
    assert_eq!((modules, failed.len()), (expected, SHAPES.len()), "{said}");
}
