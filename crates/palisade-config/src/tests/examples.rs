//! Configurations that are in use elsewhere in the repository.

use palisade_core::config::{Period, Share, Size, Text as _};
use palisade_core::{Network, Pattern, Quota, Rate, Target};

use super::{SEED, list, without_secrets};

#[test]
fn the_reference_application() {
    let text = include_str!("../../../../examples/briefly/palisade.toml");
    if let Err(report) = crate::load(&without_secrets(text), SEED) {
        panic!("{:?}", list(&report));
    }
}

/// What `docs/values.md` calls a value is read as one.
#[test]
fn the_values_of_the_page() {
    let is_read = |kind: &str, text: &str| match kind {
        "Rates" => Rate::parse(text).is_ok(),
        "Quotas" => Quota::parse(text).is_ok(),
        "Durations" => Period::<0, { 31 * 86_400_000 }>::parse(text).is_ok(),
        "Sizes" => Size::<0, { 1 << 40 }>::parse(text).is_ok(),
        "Shares" => Share::parse(text).is_ok(),
        "Patterns" => Pattern::parse(text).is_ok(),
        "Methods and patterns" => Target::parse(text).is_ok(),
        "Networks" => Network::parse(text).is_ok(),
        kind => panic!("nobody reads {kind}"),
    };
    let mut kind = "";
    let mut seen = 0;
    for line in include_str!("../../../../docs/values.md").lines() {
        kind = line.strip_prefix("## ").unwrap_or(kind);
        // The first column, `"300/m"`.
        if let Some((written, _)) = line.strip_prefix("| `\"").and_then(|row| row.split_once("\"` |")) {
            assert!(is_read(kind, written), "{kind}: {written}");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} values found");
}
