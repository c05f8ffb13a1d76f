//! What is claimed, and whether a run reached it.
//!
//! The bounds are those of the first engine, hyper at both ends.

use super::peers::Peer::{Haproxy, Nginx, Palisade};
use super::results::{Results, show};
use super::sets::{Measure, Set};

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) measured: String,
    pub(crate) must: String,
    pub(crate) reached: bool,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

struct Claim {
    what: &'static str,
    unit: &'static str,
    bound: Bound,
    value: fn(&Results) -> Option<f64>,
}

use Bound::{AtLeast, AtMost};
use Measure::{CpuUs, FirstAnswerMs, LoadedKb, PerConnectionKb, PerSecond};

const CLAIMS: &[Claim] = &[
    Claim {
        what: "CPU per request, hardened, beside nginx hardened",
        unit: "",
        bound: AtMost(1.1),
        value: |results| results.ratio(CpuUs, Set::Hardened, Nginx, Set::Hardened),
    },
    Claim {
        what: "CPU per request, hardened, beside nginx plain",
        unit: "",
        bound: AtMost(1.35),
        value: |results| results.ratio(CpuUs, Set::Hardened, Nginx, Set::Plain),
    },
    Claim {
        what: "cost of all policies over our own plain proxy",
        unit: " %",
        bound: AtMost(20.0),
        value: |results| Some((results.ratio(CpuUs, Set::Hardened, Palisade, Set::Plain)? - 1.0) * 100.0),
    },
    Claim {
        what: "HTTP/2, hardened, beside nginx",
        unit: "",
        bound: AtMost(0.95),
        value: |results| results.ratio(CpuUs, Set::H2, Nginx, Set::H2),
    },
    Claim {
        what: "HTTP/2, hardened, beside HAProxy",
        unit: "",
        bound: AtMost(1.0),
        value: |results| results.ratio(CpuUs, Set::H2, Haproxy, Set::H2),
    },
    Claim {
        what: "TLS 1.3, kept connections, beside nginx",
        unit: "",
        bound: AtMost(0.85),
        value: |results| results.ratio(CpuUs, Set::Tls, Nginx, Set::Tls),
    },
    Claim {
        what: "10 MB down, beside nginx unbuffered",
        unit: "",
        bound: AtMost(0.3),
        value: |results| results.ratio(CpuUs, Set::Down, Nginx, Set::Down),
    },
    Claim {
        what: "10 MB up, beside nginx unbuffered",
        unit: "",
        bound: AtMost(0.3),
        value: |results| results.ratio(CpuUs, Set::Up, Nginx, Set::Up),
    },
    Claim {
        what: "throughput of one core, hardened, beside nginx",
        unit: "",
        bound: AtLeast(0.95),
        value: |results| results.ratio(PerSecond, Set::Hardened, Nginx, Set::Hardened),
    },
    Claim {
        what: "memory for each idle kept connection",
        unit: " KB",
        bound: AtMost(16.0),
        value: |results| results.median(Set::Idle, Palisade, PerConnectionKb),
    },
    Claim {
        what: "memory after load",
        unit: " MB",
        bound: AtMost(40.0),
        value: |results| Some(results.median(Set::Idle, Palisade, LoadedKb)? / 1_024.0),
    },
    Claim {
        what: "size of the binary",
        unit: " MB",
        bound: AtMost(25.0),
        value: |results| Some(results.binary_bytes? as f64 / 1_048_576.0),
    },
    Claim {
        what: "start to first answer, reference config",
        unit: " ms",
        bound: AtMost(50.0),
        value: |results| results.median(Set::Start, Palisade, FirstAnswerMs),
    },
];

/// Those that this run measured.
pub(crate) fn rows(results: &Results) -> Vec<Row> {
    let row = |claim: &Claim| {
        let Claim { what, unit, bound, value } = claim;
        let value = value(results)?;
        let (sign, limit, reached) = match *bound {
            AtMost(limit) => ("≤", limit, value <= limit),
            AtLeast(limit) => ("≥", limit, value >= limit),
        };
        let must = format!("{sign} {}{unit}", show(limit));
        Some(Row { what, measured: format!("{}{unit}", show(value)), must, reached })
    };
    CLAIMS.iter().filter_map(row).collect()
}
