//! Limits at run time: how single keys stand, and what operators set for them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use palisade_core::charge::Outage;
use palisade_core::overrides::Until;
use palisade_core::{Bound, Mode, Now, OverrideChange, Rate, Reason, Refusal, Stage, Utc};
use palisade_policy::limits::{Look, LookError, Roster, Settable, Stands};
use palisade_store::Counters;
use palisade_store::counters::{Ask, OverrideError, Patience};
use palisade_telemetry::limits::LimitUse;
use palisade_telemetry::{Telemetry, Value};
use palisade_tower::clock;
use tokio::sync::Mutex;

use crate::keep::{Forgotten, Overrider};

/// Looks at limits and changes what is set for single keys, one change at a time.
pub(crate) struct Desk {
    roster: Box<dyn Fn() -> Roster + Send + Sync>,
    counters: Arc<Counters>,
    telemetry: Arc<Telemetry>,
    overrider: Overrider,
    turn: Mutex<()>,
}

/// A limit as it is listed.
pub(crate) struct Listed {
    pub(crate) name: Box<str>,
    pub(crate) stage: Stage,
    pub(crate) mode: Mode,
    pub(crate) key: Box<str>,
    pub(crate) bounds: Vec<(Option<Box<str>>, Bound)>,
    pub(crate) outage: Outage,
    pub(crate) store: &'static str,
    /// How it was used of late.
    pub(crate) usage: LimitUse,
}

/// How one key of a limit stands.
pub(crate) struct Seen {
    pub(crate) limit: Box<str>,
    pub(crate) key: Box<str>,
    pub(crate) stands: Stands,
    pub(crate) set: Option<Until<Rate>>,
    pub(crate) now: Utc,
    pub(crate) store: &'static str,
    /// Why a restart will forget what was set just now.
    pub(crate) forgotten: Option<Forgotten>,
}

/// Something to be set for a key. What isn't named stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Another rate, or the configured one again.
    pub(crate) rate: Option<Option<Rate>>,
    /// A ban so long, or none.
    pub(crate) ban: Option<Option<Duration>>,
    /// How long the rate counts.
    pub(crate) lasts: Duration,
}

/// A key as somebody asked for it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) limit: &'a str,
    pub(crate) key: &'a str,
    pub(crate) plan: Option<&'a str>,
}

type Done<T> = Result<T, Box<Refusal>>;

impl Desk {
    pub(crate) fn new(
        roster: impl Fn() -> Roster + Send + Sync + 'static,
        counters: Arc<Counters>,
        telemetry: Arc<Telemetry>,
        overrider: Overrider,
    ) -> Self {
        Self { roster: Box::new(roster), counters, telemetry, overrider, turn: Mutex::default() }
    }

    /// All limits, in the order of the configuration.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let (store, now) = (self.counters.name(), clock::monotonic());
        let listed = |entry: &palisade_policy::limits::Entry| Listed {
            name: entry.name.clone(),
            stage: entry.stage,
            mode: entry.mode,
            key: entry.key.clone(),
            bounds: entry.bounds.clone(),
            outage: entry.outage,
            store,
            usage: self.telemetry.limit_use(&entry.name, now),
        };
        (self.roster)().iter().map(listed).collect()
    }

    /// One limit.
    pub(crate) fn find(&self, name: &str) -> Done<Listed> {
        let roster = (self.roster)();
        let found = roster.find(name).map_err(refuse_look)?;
        let found = self.list().into_iter().find(|listed| listed.name == found.name);
        found.ok_or_else(|| Box::new(Refusal::new(Reason::LimitsUnknownLimit)))
    }

    /// How a key stands. Changes nothing.
    pub(crate) async fn show(&self, asked: Asked<'_>) -> Done<Seen> {
        let now = clock::now();
        let look = self.look(asked, now)?;
        let overrides = self.counters.table().overrides().all();
        let inspected = self.counters.inspect(&ask(&look, now)).await.map_err(|miss| unavailable(&miss))?;
        let stands = look.stands(&inspected.verdicts, &inspected.pending, Some(&overrides), now.utc);
        let set = overrides.find(look.hash).and_then(|set| set.rate).filter(|rate| rate.at(now.utc).is_some());
        let store = self.counters.name();
        Ok(Seen { limit: look.limit, key: look.key, stands, set, now: now.utc, store, forgotten: None })
    }

    /// Forgets what a key has spent and its ban. What is reserved and slots in use stay.
    pub(crate) async fn reset(&self, asked: Asked<'_>) -> Done<Seen> {
        let turn = self.turn.lock().await;
        let now = clock::now();
        let look = self.look(asked, now)?;
        self.counters.reset(&ask(&look, now)).await.map_err(|miss| unavailable(&miss))?;
        let forgotten = self.set(&look, Change { ban: Some(None), ..Change::default() }, now).await?;
        self.tell("reset", &look);
        drop(turn);
        Ok(Seen { forgotten, ..self.show(asked).await? })
    }

    /// Sets something for a key.
    pub(crate) async fn change(&self, asked: Asked<'_>, change: Change) -> Done<Seen> {
        let turn = self.turn.lock().await;
        let now = clock::now();
        let look = self.look(asked, now)?;
        if let Some(Some(rate)) = change.rate {
            check(&look, rate)?;
        }
        if change.ban == Some(None) {
            // One that the limit itself began ends, too.
            let mut bans = look.clone();
            bans.charges.list.clear();
            self.counters.reset(&ask(&bans, now)).await.map_err(|miss| unavailable(&miss))?;
        }
        let forgotten = self.set(&look, change, now).await?;
        self.tell(&change.to_string(), &look);
        drop(turn);
        Ok(Seen { forgotten, ..self.show(asked).await? })
    }

    fn look(&self, asked: Asked<'_>, now: Now) -> Done<Look> {
        let overrides = self.counters.table().overrides().all();
        (self.roster)().look(asked.limit, asked.key, asked.plan, Some(&overrides), now.utc).map_err(refuse_look)
    }

    /// Gives why a restart will forget it, if it will.
    async fn set(&self, look: &Look, change: Change, now: Now) -> Done<Option<Forgotten>> {
        let end = |lasts: Duration| {
            let nanos = u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX);
            Utc::from_nanos(now.utc.as_nanos().saturating_add(nanos))
        };
        let change = OverrideChange {
            limit: look.limit.clone(),
            key: look.key.clone(),
            rate: change.rate.map(|rate| rate.map(|value| Until { value, end: end(change.lasts) })),
            ban: change.ban.map(|ban| ban.map(|lasts| Until { value: (), end: end(lasts) })),
        };
        let current = self.counters.table().overrides();
        let before = current.all().find(look.hash).cloned();
        let taken = self.counters.set_override(look.hash, &change, now.utc).await;
        taken.map_err(|error| match error {
            OverrideError::TooMany(error) => refuse(Reason::LimitsTooManyOverrides, error.to_string()),
            OverrideError::TooLong => refuse(Reason::LimitsBadKey, error.to_string()),
            OverrideError::Store(miss) => unavailable(&miss),
        })?;
        let set = current.all().find(look.hash).cloned();
        Ok(if set == before { None } else { self.overrider.keep(look.hash, set).await.err() })
    }

    fn tell(&self, change: &str, look: &Look) {
        let fields =
            [("limit", Value::Text(&look.limit)), ("key", Value::Text(&look.key)), ("change", Value::Text(change))];
        self.telemetry.events().emit("limits.changed", &fields);
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.rate.map(|rate| match rate {
            Some(rate) => format!("rate {rate} for {:?}", self.lasts),
            None => "configured rate".to_owned(),
        });
        let ban = self.ban.map(|ban| match ban {
            Some(lasts) => format!("ban for {lasts:?}"),
            None => "no ban".to_owned(),
        });
        f.write_str(&rate.into_iter().chain(ban).collect::<Vec<_>>().join(", "))
    }
}

fn ask(look: &Look, now: Now) -> Ask<'_> {
    Ask { charges: &look.charges, items: &look.items, patience: Patience::default(), now }
}

/// A rate that a request could never meet helps nobody.
fn check(look: &Look, rate: Rate) -> Done<()> {
    match look.settable {
        Settable::Nothing => {
            Err(refuse(Reason::LimitsBadRate, format!("`{}` has no rate in whose place one could be set", look.limit)))
        }
        Settable::Rate(cost) if cost > rate.burst() => {
            let message = format!("a request costs {cost}, and `{rate}` admits {} at once", rate.burst());
            Err(refuse(Reason::LimitsBadRate, message))
        }
        Settable::Rate(_) => Ok(()),
    }
}

fn refuse_look(error: LookError) -> Box<Refusal> {
    let reason = match error {
        LookError::Unknown { .. } => Reason::LimitsUnknownLimit,
        LookError::Key(_) => Reason::LimitsBadKey,
    };
    refuse(reason, error.to_string())
}

fn unavailable(miss: &dyn std::error::Error) -> Box<Refusal> {
    Box::new(Refusal::new(Reason::LimitsUnavailable).retry_after(Duration::from_secs(1)).detail(miss.to_string()))
}

pub(crate) fn refuse(reason: Reason, detail: impl Into<Box<str>>) -> Box<Refusal> {
    Box::new(Refusal::new(reason).detail(detail))
}
