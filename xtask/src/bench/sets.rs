//! What can be measured.

use std::str::FromStr;

use super::peers::Peer;
use super::site::{Bodies, Front, Profile};

/// One set of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Set {
    Hardened,
    Plain,
    H2,
    Tls,
    Down,
    Up,
    Rate,
    Idle,
    Start,
}

impl Set {
    pub(crate) const ALL: [Self; 9] =
        [Self::Hardened, Self::Plain, Self::H2, Self::Tls, Self::Down, Self::Up, Self::Rate, Self::Idle, Self::Start];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hardened => "hardened",
            Self::Plain => "plain",
            Self::H2 => "h2",
            Self::Tls => "tls",
            Self::Down => "down",
            Self::Up => "up",
            Self::Rate => "rate",
            Self::Idle => "idle",
            Self::Start => "start",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Hardened => "hardened, HTTP/1.1, kept connections, as fast as one core goes",
            Self::Plain => "plain, HTTP/1.1, kept connections, as fast as one core goes",
            Self::H2 => "hardened, HTTP/2 from the client, HTTP/1.1 to the application",
            Self::Tls => "plain, HTTP/1.1 in TLS 1.3, kept connections",
            Self::Down => "plain, answers of 10 MB, unbuffered",
            Self::Up => "plain, requests of 10 MB, unbuffered",
            Self::Rate => "hardened, a fixed rate; latency from when each request was due",
            Self::Idle => "hardened, memory: started, after load, and for each kept connection",
            Self::Start => "hardened, from start to the first answer",
        }
    }

    pub(crate) const fn profile(self) -> Profile {
        match self {
            Self::Plain | Self::Tls | Self::Down | Self::Up => Profile::Plain,
            Self::Hardened | Self::H2 | Self::Rate | Self::Idle | Self::Start => Profile::Hardened,
        }
    }

    pub(crate) const fn front(self) -> Front {
        match self {
            Self::H2 => Front::Http2,
            Self::Tls => Front::Tls,
            _ => Front::Http1,
        }
    }

    /// Whether the peer takes part. The second engine stays away where it makes no difference that is
    /// worth the time.
    pub(crate) fn has(self, peer: Peer) -> bool {
        peer != Peer::PalisadeHyper || !matches!(self, Self::H2 | Self::Rate | Self::Start)
    }

    pub(crate) const fn bodies(self) -> Bodies {
        match self {
            Self::Down | Self::Up => Bodies::Large,
            _ => Bodies::Small,
        }
    }
}

impl FromStr for Set {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|set| set.name() == name).ok_or(())
    }
}

/// A number that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// CPU time of the proxy for one request.
    CpuUs,
    PerSecond,
    P50Us,
    P99Us,
    /// Answers that were not 200, and broken connections.
    Bad,
    StartKb,
    LoadedKb,
    PerConnectionKb,
    FirstAnswerMs,
}

impl Measure {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CpuUs => "CPU µs/request",
            Self::PerSecond => "requests/s",
            Self::P50Us => "p50 µs",
            Self::P99Us => "p99 µs",
            Self::Bad => "bad",
            Self::StartKb => "started, KB",
            Self::LoadedKb => "after load, KB",
            Self::PerConnectionKb => "per kept connection, KB",
            Self::FirstAnswerMs => "first answer, ms",
        }
    }
}
