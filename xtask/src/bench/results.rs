//! What was measured: every round, medians, ratios, tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::claims::{self, Row};
use super::peers::Peer;
use super::sets::{Measure, Set};

/// All rounds of all sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    rounds: BTreeMap<(Set, Peer, Measure), Vec<f64>>,
    /// Size of the release binary.
    pub(super) binary_bytes: Option<u64>,
    /// For one hardened request, as the repository records them.
    pub(super) instructions: Option<u64>,
}

impl Results {
    pub(crate) fn new(binary_bytes: Option<u64>, instructions: Option<u64>) -> Self {
        Self { rounds: BTreeMap::new(), binary_bytes, instructions }
    }

    pub(crate) fn add(&mut self, set: Set, peer: Peer, measure: Measure, value: f64) {
        self.rounds.entry((set, peer, measure)).or_default().push(value);
    }

    /// The median over all rounds.
    pub(crate) fn median(&self, set: Set, peer: Peer, measure: Measure) -> Option<f64> {
        let mut values = self.rounds.get(&(set, peer, measure))?.clone();
        values.sort_by(f64::total_cmp);
        let (low, high) = (values.get((values.len() - 1) / 2)?, values.get(values.len() / 2)?);
        Some((low + high) / 2.0)
    }

    /// One peer in one set, over another (or the same) in another (or the same).
    pub(crate) fn ratio(&self, measure: Measure, one: (Set, Peer), other: (Set, Peer)) -> Option<f64> {
        Some(self.median(one.0, one.1, measure)? / self.median(other.0, other.1, measure)?)
    }

    pub(crate) fn to_json(&self) -> Value {
        let rounds = self.rounds.iter().map(|((set, peer, measure), values)| {
            json!({ "set": set.name(), "peer": peer.name(), "measure": measure.name(), "rounds": values })
        });
        json!({ "binary_bytes": self.binary_bytes, "instructions": self.instructions, "results": rounds.collect::<Vec<_>>() })
    }

    /// What is claimed, then a table for each set.
    pub(crate) fn to_markdown(&self) -> String {
        let mut page = String::new();
        let rows = claims::rows(self);
        if !rows.is_empty() {
            page.push_str("| | Measure | Measured | Must | Aim | |\n|---|---|--:|--:|--:|---|\n");
        }
        for Row { peer, what, measured, must, aim, outcome } in rows {
            let (peer, outcome) = (peer.name(), outcome.name());
            // Writing into a String can't fail.
            let _ = writeln!(page, "| {peer} | {what} | {measured} | {must} | {aim} | {outcome} |");
        }
        for set in Set::ALL {
            page.push_str(&self.table(set));
        }
        page
    }

    fn table(&self, set: Set) -> String {
        let of_set = || self.rounds.keys().filter(|(found, ..)| *found == set);
        let mut peers: Vec<Peer> = of_set().map(|(_, peer, _)| *peer).collect();
        let mut measures: Vec<Measure> = of_set().map(|(.., measure)| *measure).collect();
        peers.dedup();
        measures.sort_unstable();
        measures.dedup();
        let (Some(first), false) = (measures.first().copied(), peers.is_empty()) else { return String::new() };
        let rank = |peer: &Peer| self.median(set, *peer, first).unwrap_or(f64::MAX);
        peers.sort_by(|one, other| rank(one).total_cmp(&rank(other)));

        let mut table = format!("\n**{}**: {}\n\n| |", set.name(), set.about());
        measures.iter().for_each(|measure| {
            let _ = write!(table, " {} |", measure.name());
        });
        let is_compared = self.median(set, Peer::Nginx, first).is_some();
        let _ = writeln!(table, "{}", if is_compared { " beside nginx |" } else { "" });
        let _ = writeln!(table, "|---|{}{}", "--:|".repeat(measures.len()), if is_compared { "--:|" } else { "" });
        for peer in peers {
            let _ = write!(table, "| {} |", peer.name());
            for measure in &measures {
                let _ = write!(table, " {} |", self.median(set, peer, *measure).map_or("–".to_owned(), show));
            }
            if let Some(nginx) = self.median(set, Peer::Nginx, first) {
                let _ = write!(table, " {:.2} |", rank(&peer) / nginx);
            }
            table.push('\n');
        }
        table
    }
}

/// Three digits that matter.
pub(crate) fn show(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "–".to_owned(),
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        let mut results = Results::default();
        for value in [9.0, 1.0, 3.0] {
            results.add(Set::Hardened, Peer::Palisade, Measure::CpuUs, value);
        }
        for value in [1.0, 2.0, 100.0, 1.0] {
            results.add(Set::Plain, Peer::Nginx, Measure::CpuUs, value);
        }
        assert_eq!(results.median(Set::Hardened, Peer::Palisade, Measure::CpuUs), Some(3.0));
        assert_eq!(results.median(Set::Plain, Peer::Nginx, Measure::CpuUs), Some(1.5));
        let ours = (Set::Hardened, Peer::Palisade);
        assert_eq!(results.ratio(Measure::CpuUs, ours, (Set::Plain, Peer::Nginx)), Some(2.0));
        assert_eq!(results.ratio(Measure::CpuUs, ours, (Set::Hardened, Peer::Nginx)), None);
    }

    #[test]
    fn the_page() {
        let mut results = Results::default();
        for (peer, cpu) in
            [(Peer::Nginx, 20.0), (Peer::Palisade, 15.0), (Peer::PalisadeHyper, 24.0), (Peer::Haproxy, 30.0)]
        {
            results.add(Set::Hardened, peer, Measure::CpuUs, cpu);
        }
        let expected = "\
| | Measure | Measured | Must | Aim | |
|---|---|--:|--:|--:|---|
| palisade | CPU per request, hardened, beside nginx hardened | 0.75 | ≤ 0.80 | ≤ 0.70 | reached |
| palisade-hyper | CPU per request, hardened, beside nginx hardened | 1.20 | ≤ 1.10 | – | missed |

**hardened**: hardened, HTTP/1.1, kept connections, as fast as one core goes

| | CPU µs/request | beside nginx |
|---|--:|--:|
| palisade | 15.0 | 0.75 |
| nginx | 20.0 | 1.00 |
| palisade-hyper | 24.0 | 1.20 |
| haproxy | 30.0 | 1.50 |
";
        assert_eq!(results.to_markdown(), expected);
    }
}
