//! All limits of a configuration by their names, for who asks about one key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use palisade_core::charge::{Fit, Outage, Standoff};
use palisade_core::identity::User;
use palisade_core::{
    Bound, Charges, Identity, Item, KeyHash, Meter as _, Mode, Overrides, Path, Stage, Target, Utc, Verdicts,
};

use super::hash::Seed;
use super::limit::Subject;
use super::meter::Limits;
use super::scope::Scope;
use super::spec::Spec;
use super::subject::SubjectError;

/// All limits of a configuration, in its order.
#[derive(Clone, Default)]
pub struct Roster(Arc<[Entry]>);

/// One limit.
pub struct Entry {
    /// Its name.
    pub name: Box<str>,
    /// When it is asked.
    pub stage: Stage,
    /// Whether its refusals count.
    pub mode: Mode,
    /// What its counters are kept by.
    pub key: Box<str>,
    /// How much it admits: for everybody, or for each plan.
    pub bounds: Vec<(Option<Box<str>>, Bound)>,
    /// What it does while its store can't be asked.
    pub outage: Outage,
    exempt: Option<Target>,
    meter: Arc<Limits>,
    place: usize,
    seed: Seed,
}

/// One counter of a limit, as it would be asked.
#[derive(Clone, Debug)]
pub struct Look {
    /// The limit, and what of it if it is a wider prefix: `api`, `api/56`.
    pub limit: Box<str>,
    /// The key as it is written.
    pub key: Box<str>,
    /// The hash over both.
    pub hash: KeyHash,
    /// What a request would spend.
    pub charges: Charges,
    /// What bounds it.
    pub items: Vec<Arc<Item>>,
    /// What may be set for the key.
    pub settable: Settable,
}

/// Whether an operator can set a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settable {
    /// Yes, of which a request takes so many units.
    Rate(u32),
    /// The limit has none for this plan.
    Nothing,
}

/// How a counter stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stands {
    /// What bounds it, each with units left.
    pub bounds: Vec<(Bound, u32)>,
    /// Until a request would be admitted; zero if it would be now.
    pub retry_after: Duration,
    /// Units that are reserved.
    pub pending: u32,
    /// How long a ban lasts yet.
    pub banned: Option<Duration>,
}

/// Whether a request is exempt from limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exemption {
    /// By this one.
    By(Target),
    /// It isn't, though it looks as if this one were meant.
    Not(Target, Miss),
    /// No exemption is near.
    None,
}

/// Why an exemption doesn't cover a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It is for another method.
    Method,
    /// The path was sent in another spelling than its normal form.
    Spelling,
    /// The path is another one for some applications.
    Path,
}

/// Why a counter can't be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// There is no such limit.
    #[error("there is no limit `{name}`; there are {known}")]
    Unknown {
        /// What was asked for.
        name: Box<str>,
        /// All there are.
        known: Box<str>,
    },
    /// It has no such counter.
    #[error(transparent)]
    Key(#[from] SubjectError),
}

impl Roster {
    pub(super) fn new(meters: &[Arc<Limits>], specs: &[Spec], seed: Seed) -> Self {
        let entry = |spec: &Spec| {
            let own = |meter: &&Arc<Limits>| meter.stage == spec.stage() && meter.mode == spec.mode;
            let meter = meters.iter().find(own)?.clone();
            let place = meter.limits.iter().position(|limit| limit.place == spec.place)?;
            let Spec { name, mode, outage, .. } = spec;
            Some(Entry {
                name: name.clone(),
                stage: spec.stage(),
                mode: *mode,
                key: spec.key.to_string().into(),
                bounds: spec.bounds(),
                outage: *outage,
                exempt: match &spec.scope {
                    Scope::Exempt(target) => Some(target.clone()),
                    Scope::On(_) | Scope::Everything | Scope::Assets | Scope::Preflight => None,
                },
                meter,
                place,
                seed,
            })
        };
        Self(specs.iter().filter_map(entry).collect())
    }

    /// All limits, in the order of the configuration.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.0.iter()
    }

    /// Whether a request is exempt, or which exemption it comes near to. Fields that ask for another
    /// method are not looked at.
    pub fn exemption(&self, method: &Method, path: &Path<'_>) -> Exemption {
        let targets = || self.0.iter().filter_map(|entry| entry.exempt.as_ref());
        if let Some(target) = targets().find(|target| target.matches_exactly(method, path)) {
            return Exemption::By(target.clone());
        }
        let near = targets().find(|target| target.pattern().matches_broadly(path));
        near.map_or(Exemption::None, |target| {
            let miss = match () {
                () if !target.methods().contains(method) => Miss::Method,
                () if !path.as_sent() => Miss::Spelling,
                () => Miss::Path,
            };
            Exemption::Not(target.clone(), miss)
        })
    }

    /// Limits that tell users, plans, API keys or claims apart.
    pub fn of_users(&self) -> impl Iterator<Item = &Entry> {
        let needs = |part: &str| matches!(part, "user" | "api_key") || part.starts_with("claim.");
        self.0.iter().filter(move |entry| {
            entry.key.split(" + ").any(needs) || entry.bounds.iter().any(|(plan, _)| plan.is_some())
        })
    }

    /// The limit of this name; of `api/56` the limit `api`.
    ///
    /// # Errors
    ///
    /// Which limits there are.
    pub fn find(&self, name: &str) -> Result<&Entry, LookError> {
        let entry = |name: &str| self.0.iter().find(|entry| *entry.name == *name);
        // Clients are told of `api/quota`, which is a part of the limit, and of `api/56`.
        let wider = || {
            let (limit, part) = name.rsplit_once('/')?;
            let is_part = |entry: &&Entry| {
                matches!(part, "quota" | "concurrent")
                    || part.parse().is_ok_and(|bits| entry.meter.has_rung(entry.place, bits))
            };
            entry(limit).filter(is_part)
        };
        entry(name).or_else(wider).ok_or_else(|| {
            let known: Vec<_> = self.0.iter().map(|entry| format!("`{}`", entry.name)).collect();
            LookError::Unknown { name: name.into(), known: known.join(", ").into() }
        })
    }

    /// The counter of a limit that a key names, as it would be asked of someone on this plan.
    ///
    /// # Errors
    ///
    /// Which limits there are, or how their counters are named.
    pub fn look(
        &self,
        name: &str,
        key: &str,
        plan: Option<&str>,
        overrides: Option<&Overrides>,
        now: Utc,
    ) -> Result<Look, LookError> {
        let entry = self.find(name)?;
        let bits = name.strip_prefix(&*entry.name).and_then(|rest| rest.strip_prefix('/'));
        let bits = bits.and_then(|bits| bits.parse().ok());
        let identity = identity(key, &entry.key, plan);
        let mut charges = Charges::default();
        let subject = Subject { text: key, bits, identity: &identity, overrides, now, seed: &entry.seed };
        let (named, cost) = entry.meter.look(entry.place, &subject, &mut charges)?;
        let has_rate = charges.list.iter().any(|charge| matches!(charge.bound, Bound::Rate(_)));
        let settable = if has_rate && bits.is_none() { Settable::Rate(cost) } else { Settable::Nothing };
        Ok(Look {
            limit: if bits.is_some() { name.into() } else { entry.name.clone() },
            key: named.text,
            hash: named.hash,
            charges,
            items: entry.meter.items().to_vec(),
            settable,
        })
    }
}

/// Whoever has a key that only somebody known has is known; on which plan, only a request tells.
fn identity(text: &str, key: &str, plan: Option<&str>) -> Identity {
    let parts = if text.starts_with('#') { key } else { text };
    let kinds = parts.split('+').map(|part| part.split(':').next().unwrap_or_default().trim());
    let is_known = kinds.into_iter().any(|kind| matches!(kind, "user" | "api_key") || kind.starts_with("claim."));
    match plan {
        Some("anon") => Identity::Anonymous,
        None if !is_known => Identity::Anonymous,
        plan => Identity::User(Arc::new(User { plan: plan.map(str::to_owned), ..User::default() })),
    }
}

impl Look {
    /// How the counter stands, by what the store says of it.
    pub fn stands(&self, verdicts: &Verdicts, pending: &[u32], overrides: Option<&Overrides>, now: Utc) -> Stands {
        let refuses = verdicts.list.iter().filter(|verdict| !verdict.fit.admits());
        let ban = verdicts.bans.iter().filter_map(|standoff| match standoff {
            Standoff::Clear => None,
            Standoff::Begins(left) | Standoff::Lasts(left) => Some(*left),
        });
        let set = overrides.and_then(|overrides| overrides.find(self.hash)).and_then(|set| set.ban(now));
        let banned = ban.chain(set).max();
        let wait = refuses.map(|verdict| match verdict.fit {
            Fit::Fits | Fit::Waived => Duration::ZERO,
            Fit::Spent | Fit::Reserved | Fit::Unavailable => verdict.retry_after,
        });
        Stands {
            bounds: self
                .charges
                .list
                .iter()
                .zip(&verdicts.list)
                .map(|(charge, verdict)| (charge.bound, verdict.remaining))
                .collect(),
            retry_after: wait.chain(banned).max().unwrap_or_default(),
            pending: pending.iter().copied().max().unwrap_or_default(),
            banned,
        }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|entry| &entry.name)).finish()
    }
}
