//! The count that is kept in the repository, so that a change shows what it costs.

use super::counts::Counts;
use crate::failure::Failure;
use crate::root::{Root, read, write};

pub(super) const FILE: &str = "benches/instructions.txt";

/// How far a count may be from the recorded one. Counts repeat within one percent.
pub(super) const PERCENT: u64 = 3;

const HEAD: &str = "\
# User instructions for each hardened request, by phase: cargo xtask bench instructions --write
";

/// A count beside the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Above,
    Within,
    Below,
}

impl Verdict {
    pub(super) fn of(counted: u64, recorded: u64) -> Self {
        match counted * 100 {
            counted if counted > recorded * (100 + PERCENT) => Self::Above,
            counted if counted < recorded * (100 - PERCENT) => Self::Below,
            _ => Self::Within,
        }
    }
}

/// What is recorded. `None` before the first time.
pub(super) fn recorded(root: &Root) -> Result<Option<Counts>, Failure> {
    let path = root.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let counts = Counts::from_text(&read(&path)?);
    counts.map(Some).ok_or_else(|| Failure::Found(format!("{FILE} can't be read, or does not add up")))
}

pub(super) fn record(root: &Root, counts: &Counts) -> Result<(), Failure> {
    write(&root.join(FILE), &format!("{HEAD}{}", counts.to_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_percent_are_allowed() {
        let cases = [
            (0, Verdict::Below),
            (19_399, Verdict::Below),
            (19_400, Verdict::Within),
            (20_600, Verdict::Within),
            (20_601, Verdict::Above),
        ];
        for (counted, verdict) in cases {
            assert_eq!(Verdict::of(counted, 20_000), verdict, "{counted}");
        }
    }

    #[test]
    fn the_committed_count_is_understood() {
        assert!(recorded(&Root::find().unwrap()).unwrap().is_some());
    }
}
