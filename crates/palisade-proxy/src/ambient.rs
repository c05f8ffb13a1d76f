//! What the worker lends: its clock and its entropy.

use std::fmt;

use palisade_core::{Monotonic, SpanId};

/// The clock and the source of random bits of one worker. Whoever assembles the worker decides
/// what they are; a test passes a clock that it moves.
pub struct Ambient {
    now: Box<dyn Fn() -> Monotonic>,
    entropy: Box<dyn Fn() -> u64>,
}

impl Ambient {
    /// Lends `now` and `entropy`.
    pub fn new(now: impl Fn() -> Monotonic + 'static, entropy: impl Fn() -> u64 + 'static) -> Self {
        Self { now: Box::new(now), entropy: Box::new(entropy) }
    }

    pub(crate) fn now(&self) -> Monotonic {
        (self.now)()
    }

    pub(crate) fn entropy(&self) -> u64 {
        (self.entropy)()
    }

    pub(crate) fn span_id(&self) -> SpanId {
        SpanId::from_entropy(self.entropy())
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient")
    }
}
