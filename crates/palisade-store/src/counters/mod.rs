//! Counters of limits, by backend.
//!
//! The seam is data: the charges of one step go in, one verdict for each comes out, in the same
//! order. **If one charge is refused none is made**, and the verdicts of the others then tell what
//! is left without it. A limit is known to the store only by its keys' hashes, so the same name is
//! the same counter across reloads. What was reserved is settled later; a settlement is never waited
//! for, and one that gets lost counts as spent.
//!
//! A step may be told at once or be waited for ([`Taken`]). Memory always tells at once, and nothing
//! is boxed or allocated for that.

mod beside;
mod bucket;
pub mod kept;
pub mod memory;
pub mod redis;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use palisade_core::overrides::TooMany;
use palisade_core::{Charge, Charges, Item, KeyHash, Monotonic, Now, OverrideChange, Utc, Verdicts};

use self::redis::{Miss, Redis};
use crate::overrides::{TEXT_BYTES_MAX, parts, to_text};

/// Where counters live.
#[derive(Debug)]
pub enum Counters {
    /// In this process.
    Memory(memory::Table),
    /// In a Redis or Valkey server that several gateways share.
    Redis(Arc<Redis>),
}

/// One step as it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What would be spent.
    pub charges: &'a Charges,
    /// What bounds it, by the numbers that the charges bear.
    pub items: &'a [Arc<Item>],
    /// How long the request has waited for stores already.
    pub patience: Patience,
    /// The request's own time.
    pub now: Now,
}

/// How long a request may yet wait for a store of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It has waited so long.
    Waited(Duration),
    /// The store did not answer it once, so it isn't asked again.
    Over,
}

/// How a step goes.
#[derive(Debug)]
pub enum Taken {
    /// The verdicts are there.
    Told(Receipt),
    /// They will be.
    Waits(Waiting),
}

/// What is kept of a step that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Settles what was reserved.
    pub ticket: Ticket,
    /// How long the request may yet wait.
    pub patience: Patience,
}

/// Which step a reservation was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// One in this process, at this instant.
    Here(Monotonic),
    /// One of this gateway's in the shared store.
    There {
        /// Its number.
        step: u64,
        /// When it was made, in seconds of the store's clock.
        taken_s: u64,
    },
}

/// A step that is waited for. Dropping it leaves open whether it was made.
pub struct Waiting(Pin<Box<dyn Future<Output = Box<Told>> + Send>>);

/// A step that was waited for.
#[derive(Debug)]
pub struct Told {
    /// What was asked.
    pub charges: Charges,
    /// What was said.
    pub verdicts: Verdicts,
    /// What is kept of it.
    pub receipt: Receipt,
}

/// How counters stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inspected {
    /// What a step would be told, each charge for itself and uncharged.
    pub verdicts: Verdicts,
    /// Units that are reserved of each charge's counter.
    pub pending: Vec<u32>,
}

impl Counters {
    /// What they are kept in, in a word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::Redis(_) => "redis",
        }
    }

    /// Makes all of the charges, or none of them.
    pub fn take(&self, ask: &Ask<'_>, verdicts: &mut Verdicts) -> Taken {
        match self {
            Self::Memory(table) => {
                table.take(ask.charges, ask.now, verdicts);
                Taken::Told(Receipt { ticket: Ticket::Here(ask.now.monotonic), patience: ask.patience })
            }
            Self::Redis(redis) => redis.take(ask, verdicts),
        }
    }

    /// Settles a charge that was reserved: `used` units are spent.
    pub fn settle(&self, charge: &Charge, item: Option<&Arc<Item>>, ticket: Ticket, used: u32, now: Now) {
        match (self, ticket) {
            (Self::Memory(table), Ticket::Here(taken)) => table.settle(charge, taken, used, now),
            // A ticket of another store, which nobody has: a process has one store.
            (Self::Memory(_), Ticket::There { .. }) => {}
            (Self::Redis(redis), ticket) => redis.settle(charge, item, ticket, used, now),
        }
    }

    /// How the counters stand. Changes nothing.
    ///
    /// # Errors
    ///
    /// Why the store could not say.
    pub async fn inspect(&self, ask: &Ask<'_>) -> Result<Inspected, Miss> {
        match self {
            Self::Memory(table) => {
                let mut verdicts = Verdicts::default();
                let states = table.inspect(ask.charges, ask.now, &mut verdicts);
                Ok(Inspected { verdicts, pending: states.iter().map(|state| state.pending.units()).collect() })
            }
            Self::Redis(redis) => redis.inspect(ask).await,
        }
    }

    /// Forgets what was spent, and the bans. What is reserved stays: its requests are under way.
    ///
    /// # Errors
    ///
    /// Why the store could not do it.
    pub async fn reset(&self, ask: &Ask<'_>) -> Result<(), Miss> {
        match self {
            Self::Memory(table) => {
                table.reset(ask.charges);
                Ok(())
            }
            Self::Redis(redis) => redis.reset(ask).await,
        }
    }

    /// Changes what is set for a key. It holds at once here, and within two seconds on gateways that
    /// share the store.
    ///
    /// # Errors
    ///
    /// Why nothing has changed.
    pub async fn set_override(&self, key: KeyHash, change: &OverrideChange, now: Utc) -> Result<(), OverrideError> {
        if parts(change).filter_map(|(_, set)| set).any(|set| to_text(&set).len() > TEXT_BYTES_MAX) {
            return Err(OverrideError::TooLong);
        }
        match self {
            Self::Memory(_) => {}
            Self::Redis(redis) => redis.keep_override(key, change).await?,
        }
        // Not before: what other gateways set meanwhile stays.
        Ok(self.table().overrides().change(|current| current.change(key, change, now))?)
    }

    /// The table in this process: all counters, or those that stand in for a store that is away.
    pub fn table(&self) -> &memory::Table {
        match self {
            Self::Memory(table) => table,
            Self::Redis(redis) => redis.table(),
        }
    }
}

/// Why nothing was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// There are too many.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Its limit and key are too long to be kept.
    #[error("limit and key are too long to be kept")]
    TooLong,
    /// The store did not keep it.
    #[error(transparent)]
    Store(#[from] Miss),
}

impl Default for Patience {
    fn default() -> Self {
        Self::Waited(Duration::ZERO)
    }
}

impl Patience {
    /// What is left of `deadline`; `None` if it is over.
    fn left(self, deadline: Duration) -> Option<Duration> {
        match self {
            Self::Waited(waited) => deadline.checked_sub(waited).filter(|left| !left.is_zero()),
            Self::Over => None,
        }
    }
}

impl Future for Waiting {
    type Output = Box<Told>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}
