//! Configurations that are in use elsewhere in the repository.

use super::{SEED, list, without_secrets};

#[test]
fn the_reference_application() {
    let text = include_str!("../../../../examples/briefly/palisade.toml");
    if let Err(report) = crate::load(&without_secrets(text), SEED) {
        panic!("{:?}", list(&report));
    }
}
