//! Instructions by phase: subtracted, written, read, and laid side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::phases::Phase;

/// The name of the sum.
const ALL: &str = "all";

/// Instructions by phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts(BTreeMap<Phase, u64>);

impl Counts {
    pub(super) fn of<'f>(functions: impl IntoIterator<Item = (&'f str, u64)>) -> Self {
        let mut counts = Self::default();
        for (function, count) in functions {
            *counts.0.entry(Phase::of(function)).or_default() += count;
        }
        counts
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn get(&self, phase: Phase) -> u64 {
        self.0.get(&phase).copied().unwrap_or(0)
    }

    /// What each of so many requests cost that `shorter` did without.
    pub(super) fn each(&self, shorter: &Self, requests: u64) -> Self {
        let each = |phase| (phase, self.get(phase).saturating_sub(shorter.get(phase)) / requests);
        Self(Phase::ALL.map(each).into())
    }

    /// A line for all, then one for each phase: the number and its name.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{:>6} {ALL}\n", self.total());
        for phase in Phase::ALL {
            // Writing into a String can't fail.
            let _ = writeln!(text, "{:>6} {}", self.get(phase), phase.name());
        }
        text
    }

    /// Reads what [`Counts::to_text`] wrote. `None` if it doesn't add up.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut counts = Self::default();
        let mut total = None;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (count, name) = line.trim_start().split_once(' ')?;
            let count = count.parse().ok()?;
            match Phase::ALL.into_iter().find(|phase| phase.name() == name) {
                Some(phase) => drop(counts.0.insert(phase, count)),
                None if name == ALL => total = Some(count),
                None => return None,
            }
        }
        (total == Some(counts.total())).then_some(counts)
    }

    /// For people: each phase beside what is recorded.
    pub(super) fn beside(&self, recorded: Option<&Self>) -> String {
        let mut table = format!("{:<26}{:>8}{:>10}\n", "", "counted", "recorded");
        let mut row = |name: &str, count: u64, recorded: Option<u64>| {
            let recorded = recorded.map_or("–".to_owned(), |count| count.to_string());
            let _ = writeln!(table, "{name:<26}{count:>8}{recorded:>10}");
        };
        for phase in Phase::ALL {
            row(phase.name(), self.get(phase), recorded.map(|counts| counts.get(phase)));
        }
        row(ALL, self.total(), recorded.map(Self::total));
        table
    }
}

#[cfg(test)]
mod tests {
    use super::super::callgrind::{self_costs, tests::SAMPLE};
    use super::*;

    #[test]
    fn two_runs_are_subtracted_in_each_phase() {
        let long = Counts::of(self_costs(SAMPLE).unwrap());
        let short = Counts::of([("memcpy", 200), ("palisade_http1::section::Field::parse", 500)]);
        let each = long.each(&short, 100);
        assert_eq!(
            (each.get(Phase::Client), each.get(Phase::BothSides), each.get(Phase::Moves), each.total()),
            (3, 0, 10, 13)
        );
    }

    #[test]
    fn counts_are_read_as_they_were_written() {
        let counts = Counts(Phase::ALL.into_iter().zip(1_000..).collect());
        let text = counts.to_text();
        assert_eq!(Counts::from_text(&format!("# By phase.\n{text}")), Some(counts));
        assert_eq!(Counts::from_text(&text.replace(" 1000 ", " 1001 ")), None);
        assert_eq!(Counts::from_text(&text.replace("gateway", "gate")), None);
        assert_eq!(Counts::from_text(""), None);
    }
}
