//! Charges in, verdicts out: how a policy reaches counters.
//!
//! What a request would spend is data: [`Charges`], one step that is made whole or not at all. What
//! a backend says is data too: [`Verdicts`]. The arithmetic between them is [`step`](step()), a pure
//! function over [`State`]s, so that every backend decides alike and none of them knows a limit.
//!
//! A charge is made at once, or *reserved*: then it stands in others' way until it is settled, when
//! what was used is known, or until its life is over and it counts as spent.

mod ban;
mod cell;
mod known;
mod outage;
mod pending;
mod quota;
mod rate;
mod step;
mod table;
mod wall;

use std::fmt;
use std::time::Duration;

use arrayvec::ArrayVec;

pub use ban::{AFTER_MAX, BanRule, LENGTHS_MAX, Standing};
pub use cell::Cell;
pub use outage::Outage;
pub use pending::Pending;
pub use quota::{Calendar, Quota};
pub use rate::Rate;
pub use step::{State, Step, settle, step};
pub use table::TableSize;
pub use wall::Shift;

/// At most this many charges are made in one step: sixteen limits with all they may consist of, and
/// room for requests that read in more ways than one.
pub const CHARGES_MAX: usize = 128;

/// At most this many bans are asked in one step.
pub const BANS_MAX: usize = 16;

/// What one request would spend in one step: all of it, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Charges {
    /// Amounts to be spent.
    pub list: ArrayVec<Charge, CHARGES_MAX>,
    /// Bans that refuse whatever the amounts are.
    pub bans: ArrayVec<Ban, BANS_MAX>,
    /// A ban by an operator: the step need not be asked, it is refused.
    pub bar: Option<Bar>,
    overflow: Overflow,
}

/// Whether everything found its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Overflow {
    #[default]
    Fits,
    TooMany,
}

/// A counter's key: a hash over the limit's name and the length-prefixed parts of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub u128);

/// One amount to be spent from one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Which of its policy's items it is: the policy's own number, to tell verdicts apart.
    pub item: u16,
    /// Which counter.
    pub key: KeyHash,
    /// What the counter holds.
    pub bound: Bound,
    /// Units to spend, at most what the bound holds.
    pub amount: u32,
    /// When they are spent.
    pub spend: Spend,
}

/// What a counter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A bucket that refills evenly.
    Rate(Rate),
    /// A count per calendar window.
    Quota(Quota),
    /// So many at once. Always reserved, and nothing is left of it when it is settled.
    Slots(u32),
}

/// When a charge is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// At once.
    Now,
    /// When it is settled.
    Reserve {
        /// How long that may take, in nanoseconds. Beyond it is spent.
        life: u64,
        /// What becomes of it if the request is over and nobody said what it used.
        unsettled: Unsettled,
    },
}

/// What becomes of a reservation of which nobody said what was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// It is spent.
    Spend,
    /// It is given back.
    Release,
}

/// A ban to be asked about, and what leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Which of its policy's items it is.
    pub item: u16,
    /// Whose ban.
    pub key: KeyHash,
    /// The first of the charges whose refusal counts towards it, by its place in the list.
    pub first: u8,
    /// The place behind the last of them.
    pub end: u8,
    /// When a ban begins, and how long it lasts.
    pub rule: BanRule,
}

/// A ban by an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The item whose limit it is of.
    pub item: u16,
    /// Whose: the hash over the limit's name and the key.
    pub key: KeyHash,
    /// How long it lasts yet.
    pub left: Duration,
}

/// What the store says about one step: one verdict for each charge and for each ban, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdicts {
    /// About the charges.
    pub list: ArrayVec<Verdict, CHARGES_MAX>,
    /// About the bans.
    pub bans: ArrayVec<Standoff, BANS_MAX>,
}

/// What the store says about one charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether this charge alone would fit.
    pub fit: Fit,
    /// Units left after the decision.
    pub remaining: u32,
    /// Until one more unit is there, or the window ends; `None` when the bucket is full, and for
    /// slots.
    pub next_unit: Option<Duration>,
    /// Until this cost fits; zero when it does.
    pub retry_after: Duration,
}

/// Whether a charge fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Fits,
    /// So much was spent, or is in use, that it doesn't.
    Spent,
    /// It would, but for reservations that may yet be released.
    Reserved,
    /// The store could not say, and the limit is open then.
    Waived,
    /// The store could not say, and the limit is closed then.
    Unavailable,
}

/// What the store says about one ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standoff {
    /// There is none.
    Clear,
    /// It began with this refusal, and lasts so long.
    Begins(Duration),
    /// It goes on for so long.
    Lasts(Duration),
}

/// How long to wait for reservations and slots, which may be free at any time.
pub(crate) const HELD_WAIT: Duration = Duration::from_secs(1);

impl Charge {
    /// Whether it has to be settled.
    pub const fn is_reserved(&self) -> bool {
        matches!(self.bound, Bound::Slots(_)) || matches!(self.spend, Spend::Reserve { .. })
    }
}

impl Bound {
    /// How many units it holds: of a rate those of its window.
    pub const fn units(self) -> u32 {
        match self {
            Self::Rate(rate) => rate.count(),
            Self::Quota(quota) => quota.count(),
            Self::Slots(slots) => slots,
        }
    }
}

impl fmt::Display for Bound {
    /// As the configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => rate.fmt(f),
            Self::Quota(quota) => quota.fmt(f),
            Self::Slots(slots) => write!(f, "{slots} at a time"),
        }
    }
}

impl Charges {
    /// Adds a charge.
    pub fn push(&mut self, charge: Charge) {
        if self.list.try_push(charge).is_err() {
            self.overflow = Overflow::TooMany;
        }
    }

    /// Adds a ban.
    pub fn ban(&mut self, ban: Ban) {
        if self.bans.try_push(ban).is_err() {
            self.overflow = Overflow::TooMany;
        }
    }

    /// Adds a ban by an operator. Of several the longest counts.
    pub fn bar(&mut self, bar: Bar) {
        if self.bar.is_none_or(|known| known.left < bar.left) {
            self.bar = Some(bar);
        }
    }

    /// Whether nothing is asked.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty() && self.bans.is_empty() && self.bar.is_none()
    }

    /// Whether more was asked than a step holds. Such a request can't be admitted: what was left out
    /// would be a limit that it walked around.
    pub fn is_too_much(&self) -> bool {
        self.overflow == Overflow::TooMany
    }

    /// The place of the first charge of the same counter, which is its own unless one step charges
    /// a counter twice.
    pub fn first_of(&self, place: usize) -> usize {
        let Some(charge) = self.list.get(place) else { return place };
        self.list.iter().take(place).position(|other| other.key == charge.key).unwrap_or(place)
    }
}

impl Verdicts {
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.bans.clear();
    }

    /// Whether any charge would fit by itself.
    pub fn any_fits(&self) -> bool {
        self.list.iter().any(|verdict| verdict.fit == Fit::Fits)
    }

    /// Whether the whole step is made.
    pub fn admit(&self) -> bool {
        self.list.iter().all(|verdict| verdict.fit.admits()) && self.bans.iter().all(|ban| *ban == Standoff::Clear)
    }
}

impl Fit {
    /// Whether nothing stands against the request.
    pub const fn admits(self) -> bool {
        match self {
            Self::Fits | Self::Waived => true,
            Self::Spent | Self::Reserved | Self::Unavailable => false,
        }
    }
}

impl Verdict {
    /// What is said when the store could not say: nothing is left to tell of it.
    pub const fn unknown(outage: Outage) -> Self {
        let (fit, retry_after) = match outage {
            Outage::Open | Outage::Local => (Fit::Waived, Duration::ZERO),
            Outage::Closed => (Fit::Unavailable, HELD_WAIT),
        };
        Self { fit, remaining: 0, next_unit: None, retry_after }
    }
}

impl KeyHash {
    /// The key of another counter for the same parts: `kind` is different for each.
    pub const fn of_kind(self, kind: u128) -> Self {
        Self(self.0 ^ kind)
    }
}

#[cfg(test)]
mod tests;
