//! The six shapes of policy, and the order in which they are asked.
//!
//! A shape says what a policy may touch. None of them awaits, logs, reads a clock, draws a random
//! number or opens anything: what a question needs is fetched by the guard and passed in, what it
//! wants done comes back as data. A seventh shape needs an ADR.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use crate::charge::{Charge, Charges, Verdicts};
use crate::decision::{Decision, Fact, Facts};
use crate::edit::HeaderEdits;
use crate::reason::Reason;
use crate::tally::{Item, Tally};
use crate::view::{ResponseView, View};

/// A protection, by what it looks at.
#[derive(Clone)]
pub enum Policy {
    /// Looks at the request's head.
    Inspect(Arc<dyn Inspect>),
    /// Spends counters.
    Meter(Arc<dyn Meter>),
    /// Loads one record.
    Recall(Arc<dyn Recall>),
    /// Reads the request's body.
    Examine(Arc<dyn Examine>),
    /// Edits the answer's head.
    Dress(Arc<dyn Dress>),
    /// Sees or rewrites the answer's body as it streams.
    Transform(Arc<dyn Transform>),
}

impl Policy {
    /// The shape's name, as `explain` prints it.
    pub const fn shape(&self) -> &'static str {
        match self {
            Self::Inspect(_) => "inspect",
            Self::Meter(_) => "meter",
            Self::Recall(_) => "recall",
            Self::Examine(_) => "examine",
            Self::Dress(_) => "dress",
            Self::Transform(_) => "transform",
        }
    }
}

/// Looks at the request's head.
pub trait Inspect: Send + Sync {
    /// Answers from the head alone.
    fn decide(&self, view: &View<'_>) -> Decision;
}

/// Spends counters.
pub trait Meter: Send + Sync {
    /// What it bounds, by the numbers that its charges bear.
    fn items(&self) -> &[Arc<Item>];

    /// Adds what this request would spend. Nothing: the policy has nothing to say about it.
    fn charges(&self, view: &View<'_>, charges: &mut Charges);

    /// Answers from what the store said.
    fn decide(&self, view: &View<'_>, charges: &Charges, verdicts: &Verdicts) -> Decision;

    /// Notes what was said, for the answer's fields, the record and the metrics.
    fn tell(&self, mode: Mode, charges: &Charges, verdicts: &Verdicts, tallies: &mut Vec<Tally>);

    /// What was used of a charge that it reserved, as far as the answer's head says. `reason` is why
    /// the application did not make the answer.
    fn settle(&self, _charge: &Charge, _response: &ResponseView<'_>, _reason: Option<Reason>) -> Settlement {
        Settlement::Later
    }

    /// What was used of a charge that it reserved, by what is known when the answer is over. `None`:
    /// the charge itself says what becomes of it.
    fn conclude(&self, _charge: &Charge, _facts: &Facts) -> Option<u32> {
        None
    }
}

/// What was used of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// So many units; the rest is released.
    Spend(u32),
    /// That is known when the answer has ended.
    Later,
}

/// Loads one record.
pub trait Recall: Send + Sync {
    /// The record it needs; `None`: the policy has nothing to say about this request.
    fn lookup(&self, view: &View<'_>) -> Option<Lookup>;

    /// Answers from what was found.
    fn decide(&self, view: &View<'_>, found: Found) -> Decision;
}

/// Reads the request's body.
pub trait Examine: Send + Sync {
    /// Starts reading; `None`: the policy has nothing to say about this request.
    fn begin(&self, view: &View<'_>) -> Option<Box<dyn Examination>>;
}

/// One reading of one body.
pub trait Examination: Send {
    /// How many bytes of the body may be held back for it. The guard stops feeding there.
    fn budget(&self) -> usize;

    /// Takes the next bytes.
    fn feed(&mut self, chunk: &[u8]) -> Fed;

    /// Answers. `end` says whether the whole body was seen.
    fn decide(self: Box<Self>, end: End) -> Decision;
}

/// Edits the answer's head, refusals included.
pub trait Dress: Send + Sync {
    /// Says what should change.
    fn dress(&self, view: &View<'_>, response: &ResponseView<'_>, edits: &mut HeaderEdits);
}

/// Sees or rewrites the answer's body as it streams.
pub trait Transform: Send + Sync {
    /// Starts; `None`: this answer passes untouched. Edits go to the answer's head first.
    fn begin(
        &self,
        view: &View<'_>,
        response: &ResponseView<'_>,
        edits: &mut HeaderEdits,
    ) -> Option<Box<dyn Transformation>>;

    /// Starts to watch; `None`: it has nothing to see in this answer. Edits go to the answer's head.
    fn watch(
        &self,
        _view: &View<'_>,
        _response: &ResponseView<'_>,
        _edits: &mut HeaderEdits,
    ) -> Option<Box<dyn Watch>> {
        None
    }
}

/// One watching of one body, which changes nothing of it.
pub trait Watch: Send {
    /// Sees the next bytes, as the application sent them.
    fn see(&mut self, chunk: &[u8]);

    /// Sees what follows the body, and takes out what is for the gateway alone.
    fn trailers(&mut self, trailers: &mut HeaderMap);

    /// What it found out, when the body has ended or broke off after a request of so many bytes.
    fn found(&self, bytes_in: u64) -> Fact;
}

/// One rewriting of one body.
pub trait Transformation: Send {
    /// Takes the next bytes and gives those that may go on now.
    fn feed(&mut self, chunk: Bytes) -> Bytes;

    /// The body has ended: what was held back.
    fn end(&mut self) -> Bytes;
}

/// What an examination says after each piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// It needs the next piece.
    More,
    /// It has seen enough.
    Enough,
}

/// How the reading of a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything was seen.
    Whole,
    /// The examination had enough, or its budget was used up.
    Part,
}

/// A record that a policy needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Which collection, such as `sessions`.
    pub collection: &'static str,
    /// The hash that the record is kept under; never the secret itself.
    pub key: [u8; 32],
}

/// What the store had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The record's bytes.
    Record(Bytes),
    /// There is none.
    Absent,
    /// The store could not say in time.
    Unavailable,
}

/// Whether a policy's refusals count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refusals are sent.
    #[default]
    Enforce,
    /// Decided and recorded, then let pass.
    Report,
    /// Not asked.
    Off,
}

impl Mode {
    /// The word in config, records and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Report => "report",
            Self::Off => "off",
        }
    }
}

/// When a policy is asked. The order of the variants is the order of the questions; each is
/// where it is for a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// First: a flood must not pay for signatures, sessions or bodies.
    Shed,
    /// Then who it is, since everything below may ask.
    Identify,
    /// May they? Before anything is spent on the request.
    Authorize,
    /// Was it forged? Signatures and tokens are bound to the identity.
    Integrity,
    /// Budgets of known users and plans, charged only for requests that may proceed.
    Quota,
    /// Is the body well formed? Last, because it is the most expensive question.
    Shape,
    /// The answer's head, refusals included.
    Dress,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 7] =
        [Self::Shed, Self::Identify, Self::Authorize, Self::Integrity, Self::Quota, Self::Shape, Self::Dress];

    /// The word in traces and in `explain`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shed => "shed",
            Self::Identify => "identify",
            Self::Authorize => "authorize",
            Self::Integrity => "integrity",
            Self::Quota => "quota",
            Self::Shape => "shape",
            Self::Dress => "dress",
        }
    }
}

/// A policy in its place: what the guard asks.
#[derive(Clone)]
pub struct Question {
    /// The policy's name in config, records, labels and `explain`.
    pub name: &'static str,
    /// When it is asked.
    pub stage: Stage,
    /// Whether its refusals count.
    pub mode: Mode,
    /// Where the config says so: `palisade.toml:12`, or `default`.
    pub place: Arc<str>,
    /// What the policy does, in a few words for whoever starts the gateway. Empty where another of
    /// its questions says it.
    pub about: Arc<str>,
    /// The rule.
    pub policy: Policy,
}
