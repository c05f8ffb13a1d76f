//! Numbers of the data path that belong to no request.
//!
//! Plain atomics, added to where something happens and read by telemetry when it is scraped. What
//! belongs to a request is in its record instead; a refusal counted here had no request yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use palisade_core::Reason;

use crate::gateway::REDIRECT;
use crate::listen::PUBLIC;

macro_rules! limits {
    ($( #[doc = $doc:literal] $name:ident = $label:literal, )+) => {
        /// A limit of the data path that acted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ConnectionLimit { $( #[doc = $doc] $name, )+ }

        impl ConnectionLimit {
            /// All limits.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The label's value.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => $label, )+ }
            }
        }
    };
}

limits! {
    /// Connections in all.
    Connections = "connections",
    /// Connections of one address.
    PerAddress = "per_address",
    /// File descriptors.
    Descriptors = "descriptors",
    /// Memory.
    Memory = "memory",
    /// No byte came.
    FirstByte = "first_byte",
    /// The TLS handshake took too long.
    Handshake = "handshake",
    /// A head took too long.
    HeadTime = "head_time",
    /// A head was too large or had too many fields.
    HeadSize = "head_size",
    /// A request target was too long.
    TargetSize = "target_size",
    /// A kept connection had no request for too long.
    Idle = "idle",
    /// A body came too slowly.
    SlowBody = "slow_body",
    /// An answer was taken too slowly.
    SlowReader = "slow_reader",
    /// Too many streams were reset.
    H2Resets = "h2_resets",
    /// Too many empty DATA frames.
    H2EmptyData = "h2_empty_data",
    /// Too many SETTINGS and PING frames wait for their acknowledgement.
    H2Control = "h2_control",
    /// Too many frames that move nothing forward.
    H2Oddities = "h2_oddities",
    /// Too many CONTINUATION frames in a header block.
    H2Continuations = "h2_continuations",
}

/// The protocol of a connection, before any request has a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// HTTP/1.0 or HTTP/1.1
    H1,
    /// HTTP/2
    H2,
}

impl Engine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::H1, Self::H2];

    /// The label's value, as ALPN spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H1 => "http/1.1",
            Self::H2 => "h2",
        }
    }
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Encrypted.
    Complete,
    /// The client spoke no TLS, or no common version, or broke it off.
    Failed,
    /// It took too long.
    Late,
}

impl Handshake {
    /// All results.
    pub const ALL: [Self; 3] = [Self::Complete, Self::Failed, Self::Late];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "ok",
            Self::Failed => "failed",
            Self::Late => "timeout",
        }
    }
}

/// The numbers of each listener that clients connect to; one for the process.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    public: Arc<Counters>,
    redirect: Arc<Counters>,
}

/// The numbers of one listener, of all workers together.
#[derive(Debug)]
pub struct Counters {
    limits: [AtomicU64; ConnectionLimit::ALL.len()],
    refusals: [AtomicU64; Reason::ALL.len()],
    handshakes: [AtomicU64; Handshake::ALL.len()],
    opened: [AtomicU64; Engine::ALL.len()],
    closed: [AtomicU64; Engine::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            limits: [const { AtomicU64::new(0) }; ConnectionLimit::ALL.len()],
            refusals: [const { AtomicU64::new(0) }; Reason::ALL.len()],
            handshakes: [const { AtomicU64::new(0) }; Handshake::ALL.len()],
            opened: [const { AtomicU64::new(0) }; Engine::ALL.len()],
            closed: [const { AtomicU64::new(0) }; Engine::ALL.len()],
        }
    }
}

impl ListenerCounters {
    /// Those of the listener with this name.
    pub(crate) fn of(&self, listener: &str) -> &Arc<Counters> {
        if listener == REDIRECT { &self.redirect } else { &self.public }
    }

    /// Each listener's, with its name.
    pub fn each(&self) -> [(&'static str, &Counters); 2] {
        [(PUBLIC, &self.public), (REDIRECT, &self.redirect)]
    }

    /// How often a limit acted.
    pub fn limit(&self, limit: ConnectionLimit) -> u64 {
        self.sum(|counters| counters.limit(limit))
    }

    /// Refusals for this reason that were made before there was a request.
    pub fn refusal(&self, reason: Reason) -> u64 {
        self.sum(|counters| counters.refusal(reason))
    }

    /// TLS handshakes that ended so.
    pub fn handshake(&self, handshake: Handshake) -> u64 {
        self.sum(|counters| counters.handshake(handshake))
    }

    /// Connections of this protocol that are open.
    pub fn open(&self, engine: Engine) -> u64 {
        self.sum(|counters| counters.open(engine))
    }

    fn sum(&self, read: impl Fn(&Counters) -> u64) -> u64 {
        self.each().iter().map(|(_, counters)| read(counters)).sum()
    }
}

impl Counters {
    /// How often a limit acted.
    pub fn limit(&self, limit: ConnectionLimit) -> u64 {
        read(&self.limits, limit as usize)
    }

    /// Refusals for this reason that were made before there was a request.
    pub fn refusal(&self, reason: Reason) -> u64 {
        read(&self.refusals, reason as usize)
    }

    /// TLS handshakes that ended so.
    pub fn handshake(&self, handshake: Handshake) -> u64 {
        read(&self.handshakes, handshake as usize)
    }

    /// Connections of this protocol since the start.
    pub fn opened(&self, engine: Engine) -> u64 {
        read(&self.opened, engine as usize)
    }

    /// Connections of this protocol that are open.
    pub fn open(&self, engine: Engine) -> u64 {
        read(&self.opened, engine as usize).saturating_sub(read(&self.closed, engine as usize))
    }

    pub(crate) fn limit_acted(&self, limit: ConnectionLimit) {
        add(&self.limits, limit as usize);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        add(&self.refusals, reason as usize);
    }

    pub(crate) fn shook_hands(&self, handshake: Handshake) {
        add(&self.handshakes, handshake as usize);
    }

    pub(crate) fn connection_opened(&self, engine: Engine) {
        add(&self.opened, engine as usize);
    }

    pub(crate) fn connection_closed(&self, engine: Engine) {
        add(&self.closed, engine as usize);
    }
}

fn read(counters: &[AtomicU64], place: usize) -> u64 {
    counters.get(place).map_or(0, |counter| counter.load(Ordering::Relaxed))
}

fn add(counters: &[AtomicU64], place: usize) {
    if let Some(counter) = counters.get(place) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_own_place() {
        let counters = Counters::default();
        for limit in ConnectionLimit::ALL {
            counters.limit_acted(*limit);
        }
        for reason in Reason::ALL {
            counters.refused(*reason);
        }
        assert!(ConnectionLimit::ALL.iter().all(|limit| counters.limit(*limit) == 1));
        assert!(Reason::ALL.iter().all(|reason| counters.refusal(*reason) == 1));
    }

    #[test]
    fn listeners_are_counted_apart_and_summed() {
        let counters = ListenerCounters::default();
        counters.of(PUBLIC).connection_opened(Engine::H1);
        counters.of(REDIRECT).connection_opened(Engine::H1);
        counters.of(REDIRECT).connection_opened(Engine::H1);
        counters.of(REDIRECT).limit_acted(ConnectionLimit::Idle);
        assert_eq!(counters.each().map(|(name, own)| (name, own.open(Engine::H1))), [("public", 1), ("redirect", 2)]);
        assert_eq!((counters.open(Engine::H1), counters.limit(ConnectionLimit::Idle)), (3, 1));
    }

    #[test]
    fn open_connections_are_those_not_closed() {
        let counters = Counters::default();
        counters.connection_opened(Engine::H2);
        counters.connection_opened(Engine::H2);
        counters.connection_closed(Engine::H2);
        assert_eq!((counters.opened(Engine::H2), counters.open(Engine::H2), counters.open(Engine::H1)), (2, 1, 0));
    }
}
