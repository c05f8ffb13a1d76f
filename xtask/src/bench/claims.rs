//! What is claimed, and whether a run reached it.
//!
//! Palisade has to reach what its own engine makes possible, and aims further. On hyper, its second
//! engine, it has to stay where it was before.

use super::peers::Peer::{self, Haproxy, Nginx, Palisade, PalisadeHyper};
use super::results::{Results, show};
use super::sets::{Measure, Set};

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) peer: Peer,
    pub(crate) what: &'static str,
    pub(crate) measured: String,
    pub(crate) must: String,
    pub(crate) aim: String,
    pub(crate) outcome: Outcome,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    AimReached,
    Reached,
    Missed,
}

impl Outcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AimReached => "aim reached",
            Self::Reached => "reached",
            Self::Missed => "missed",
        }
    }
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// It can't be seen from what is measured.
    Told(&'static str),
}

impl Bound {
    fn is_reached(self, value: f64) -> bool {
        match self {
            AtMost(limit) => value <= limit,
            AtLeast(limit) => value >= limit,
            Told(_) => false,
        }
    }

    fn show(self, unit: &str) -> String {
        match self {
            AtMost(limit) => format!("≤ {}{unit}", show(limit)),
            AtLeast(limit) => format!("≥ {}{unit}", show(limit)),
            Told(what) => what.to_owned(),
        }
    }
}

struct Claim {
    what: &'static str,
    unit: &'static str,
    /// For hyper at both ends.
    hyper: Bound,
    /// For our own engine.
    must: Bound,
    aim: Bound,
    /// Of one of the two engines. `None` if this run, or any, doesn't measure it.
    value: fn(&Results, Peer) -> Option<f64>,
}

use Bound::{AtLeast, AtMost, Told};
use Measure::{CpuUs, FirstAnswerMs, LoadedKb, PerConnectionKb, PerSecond};

const RELAY: Bound = Told("a bare relay × 1.05, not measured");

const CLAIMS: &[Claim] = &[
    Claim {
        what: "CPU per request, hardened, beside nginx hardened",
        unit: "",
        hyper: AtMost(1.1),
        must: AtMost(0.8),
        aim: AtMost(0.7),
        value: |results, ours| results.ratio(CpuUs, (Set::Hardened, ours), (Set::Hardened, Nginx)),
    },
    Claim {
        what: "CPU per request, hardened, beside nginx plain",
        unit: "",
        hyper: AtMost(1.35),
        must: AtMost(1.0),
        aim: AtMost(0.85),
        value: |results, ours| results.ratio(CpuUs, (Set::Hardened, ours), (Set::Plain, Nginx)),
    },
    Claim {
        what: "cost of all policies over our own plain proxy",
        unit: " %",
        hyper: AtMost(20.0),
        must: AtMost(12.0),
        aim: AtMost(10.0),
        value: |results, ours| Some((results.ratio(CpuUs, (Set::Hardened, ours), (Set::Plain, ours))? - 1.0) * 100.0),
    },
    Claim {
        what: "user instructions per request, hardened, as recorded",
        unit: "",
        hyper: AtMost(40_000.0),
        must: AtMost(20_000.0),
        aim: AtMost(14_000.0),
        value: |results, ours| Some(results.instructions.filter(|_| ours == Palisade)? as f64),
    },
    Claim {
        what: "HTTP/2, hardened, beside nginx",
        unit: "",
        hyper: AtMost(0.95),
        must: AtMost(0.95),
        aim: AtMost(0.75),
        value: |results, ours| results.ratio(CpuUs, (Set::H2, ours), (Set::H2, Nginx)),
    },
    Claim {
        what: "HTTP/2, hardened, beside HAProxy",
        unit: "",
        hyper: AtMost(1.0),
        must: AtMost(1.0),
        aim: AtMost(0.8),
        value: |results, ours| results.ratio(CpuUs, (Set::H2, ours), (Set::H2, Haproxy)),
    },
    Claim {
        what: "TLS 1.3, kept connections, beside nginx",
        unit: "",
        hyper: AtMost(0.85),
        must: AtMost(0.7),
        aim: AtMost(0.6),
        value: |results, ours| results.ratio(CpuUs, (Set::Tls, ours), (Set::Tls, Nginx)),
    },
    Claim {
        what: "10 MB down, beside nginx unbuffered",
        unit: "",
        hyper: AtMost(0.3),
        must: AtMost(0.3),
        aim: RELAY,
        value: |results, ours| results.ratio(CpuUs, (Set::Down, ours), (Set::Down, Nginx)),
    },
    Claim {
        what: "10 MB up, beside nginx unbuffered",
        unit: "",
        hyper: AtMost(0.3),
        must: AtMost(0.3),
        aim: RELAY,
        value: |results, ours| results.ratio(CpuUs, (Set::Up, ours), (Set::Up, Nginx)),
    },
    Claim {
        what: "throughput of one core, hardened, beside nginx",
        unit: "",
        hyper: AtLeast(0.95),
        must: AtLeast(1.25),
        aim: AtLeast(1.4),
        value: |results, ours| results.ratio(PerSecond, (Set::Hardened, ours), (Set::Hardened, Nginx)),
    },
    Claim {
        what: "memory for each idle kept connection",
        unit: " KB",
        hyper: AtMost(16.0),
        must: AtMost(2.0),
        aim: AtMost(1.0),
        value: |results, ours| results.median(Set::Idle, ours, PerConnectionKb),
    },
    Claim {
        what: "memory after load",
        unit: " MB",
        hyper: AtMost(40.0),
        must: AtMost(25.0),
        aim: AtMost(13.0),
        value: |results, ours| Some(results.median(Set::Idle, ours, LoadedKb)? / 1_024.0),
    },
    Claim {
        what: "size of the binary",
        unit: " MB",
        hyper: AtMost(25.0),
        must: AtMost(25.0),
        aim: AtMost(15.0),
        value: |results, ours| Some(results.binary_bytes.filter(|_| ours == Palisade)? as f64 / 1_048_576.0),
    },
    Claim {
        what: "start to first answer, reference config",
        unit: " ms",
        hyper: AtMost(50.0),
        must: AtMost(50.0),
        aim: AtMost(20.0),
        value: |results, ours| results.median(Set::Start, ours, FirstAnswerMs),
    },
];

impl Claim {
    fn row(&self, results: &Results, peer: Peer, must: Bound, aim: Option<Bound>) -> Option<Row> {
        let value = (self.value)(results, peer)?;
        let outcome = match (must.is_reached(value), aim) {
            (true, Some(aim)) if aim.is_reached(value) => Outcome::AimReached,
            (true, _) => Outcome::Reached,
            (false, _) => Outcome::Missed,
        };
        Some(Row {
            peer,
            what: self.what,
            measured: format!("{}{}", show(value), self.unit),
            must: must.show(self.unit),
            aim: aim.map_or("–".to_owned(), |aim| aim.show(self.unit)),
            outcome,
        })
    }
}

/// Those that this run measured, one engine after the other.
pub(crate) fn rows(results: &Results) -> Vec<Row> {
    let own = CLAIMS.iter().filter_map(|claim| claim.row(results, Palisade, claim.must, Some(claim.aim)));
    let hyper = CLAIMS.iter().filter_map(|claim| claim.row(results, PalisadeHyper, claim.hyper, None));
    own.chain(hyper).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ours: Peer, cpu: f64, expected: Outcome) {
        let mut results = Results::default();
        results.add(Set::Hardened, ours, CpuUs, cpu);
        results.add(Set::Hardened, Nginx, CpuUs, 100.0);
        let outcomes: Vec<_> = rows(&results).into_iter().map(|row| (row.peer, row.outcome)).collect();
        assert_eq!(outcomes, [(ours, expected)], "{cpu}");
    }

    #[test]
    fn each_engine_has_its_own_bounds() {
        check(Palisade, 70.0, Outcome::AimReached);
        check(Palisade, 71.0, Outcome::Reached);
        check(Palisade, 80.0, Outcome::Reached);
        check(Palisade, 81.0, Outcome::Missed);
        check(PalisadeHyper, 70.0, Outcome::Reached);
        check(PalisadeHyper, 110.0, Outcome::Reached);
        check(PalisadeHyper, 111.0, Outcome::Missed);
    }

    #[test]
    fn what_all_must_stays_short_of_the_aim() {
        for Claim { what, must, aim, .. } in CLAIMS {
            let is_short = match (*must, *aim) {
                (AtMost(must), AtMost(aim)) => aim < must,
                (AtLeast(must), AtLeast(aim)) => aim > must,
                (_, Told(_)) => true,
                _ => false,
            };
            assert!(is_short, "{what}");
        }
    }

    #[test]
    fn one_binary_is_told_once() {
        let rows = rows(&Results::new(Some(15 << 20), Some(20_001)));
        let shown: Vec<_> = rows.iter().map(|row| (row.peer, row.measured.as_str(), row.outcome)).collect();
        assert_eq!(shown, [(Palisade, "20001", Outcome::Missed), (Palisade, "15.0 MB", Outcome::AimReached)]);
    }
}
