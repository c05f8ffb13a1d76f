//! Limits as they are asked for, and the questions that they come to.

use std::sync::Arc;
use std::time::Duration;

use palisade_core::charge::{BanRule, Outage};
use palisade_core::{Bound, Mode, Policy, Question, Quota, Rate, Stage, Target};

use super::announce::Announce;
use super::body;
use super::count::Count;
use super::hash::Seed;
use super::key::{Key, Part};
use super::ladder::Ladder;
use super::limit::{Items, Limit};
use super::meter::Limits;
use super::plan::ByPlan;
use super::roster::Roster;
use super::scope::Scope;
use super::tokens::{self, Estimates, Reserve, Tokens};
use super::{Style, about};
use crate::inbound::MethodOverride;

/// One limit as it is asked for.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name. The same name is the same counters.
    pub name: Box<str>,
    /// Its place among all limits, as the config has them.
    pub place: u16,
    /// Which requests it is on.
    pub scope: Scope,
    /// Whose requests count together.
    pub key: Key,
    /// Units that one request costs.
    pub cost: u32,
    /// How fast.
    pub rate: Option<ByPlan<Rate>>,
    /// How many in a calendar window.
    pub quota: Option<ByPlan<Quota>>,
    /// How many at a time.
    pub concurrent: Option<ByPlan<u32>>,
    /// Which answers count; without it every request does.
    pub count: Option<Count>,
    /// Counts tokens in place of requests.
    pub tokens: Option<Tokens>,
    /// How long an answer may take before its request counts.
    pub hold: Duration,
    /// When refusals lead to a ban.
    pub ban: Option<BanRule>,
    /// Whether its refusals count.
    pub mode: Mode,
    /// What it does while its store can't be asked.
    pub outage: Outage,
}

/// What all limits share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How addresses are told apart.
    pub ladder: Ladder,
    /// What clients are told.
    pub style: Style,
    /// Whether fields may ask for another method.
    pub overrides: MethodOverride,
    /// What keys are hashed with.
    pub seed: Seed,
    /// Where the config says so.
    pub place: Arc<str>,
}

/// A rate that the ladder's widest prefix can't have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the rate of limit {limit} is too fast for the ladder of address prefixes, of which one has {factor} times as much"
)]
pub struct TooFast {
    /// The limit.
    pub limit: Box<str>,
    /// Its rate.
    pub rate: Rate,
    /// The ladder's largest factor.
    pub factor: u32,
}

impl Spec {
    /// Whether a rate of it can't be counted on every rung of the ladder, if it is kept by address.
    pub(super) fn too_fast(&self, ladder: &Ladder) -> Option<TooFast> {
        let rates = self.rate.iter().flat_map(ByPlan::values).filter(|_| self.key.may_be_addressed());
        let rate = rates.into_iter().find(|rate| !ladder.holds(**rate))?;
        Some(TooFast { limit: self.name.clone(), rate: *rate, factor: ladder.widest() })
    }

    /// How long an answer of a language model may take.
    pub const HOLD_TOKENS: Duration = Duration::from_secs(900);
    /// How long an answer may take, unless somebody knows better: longer than applications do.
    pub const HOLD: Duration = Duration::from_secs(60);

    /// A rate for each address on everything.
    pub fn per_ip(rate: Rate, mode: Mode) -> Self {
        let rate = Some(ByPlan::everybody(Some(rate)));
        Self { rate, ..Self::new("per_ip", Scope::Everything, mode) }
    }

    /// A limit by address that bounds nothing yet. Its place is known when all of them are.
    pub(super) fn new(name: impl Into<Box<str>>, scope: Scope, mode: Mode) -> Self {
        Self {
            name: name.into(),
            place: 0,
            scope,
            key: Key::new([Part::Ip]),
            cost: 1,
            rate: None,
            quota: None,
            concurrent: None,
            count: None,
            tokens: None,
            hold: Self::HOLD,
            ban: None,
            mode,
            outage: Outage::default(),
        }
    }

    /// How much it admits: for everybody, or for each plan.
    pub(super) fn bounds(&self) -> Vec<(Option<Box<str>>, Bound)> {
        fn each<T: Copy>(by_plan: Option<&ByPlan<T>>, bound: fn(T) -> Bound) -> Vec<(Option<Box<str>>, Bound)> {
            let each = by_plan.map(ByPlan::each).unwrap_or_default();
            each.into_iter().filter_map(|(plan, value)| Some((plan.map(Box::from), bound(*value?)))).collect()
        }
        let rates = each(self.rate.as_ref(), Bound::Rate);
        let quotas = each(self.quota.as_ref(), Bound::Quota);
        [rates, quotas, each(self.concurrent.as_ref(), Bound::Slots)].concat()
    }

    /// A flood must not pay for signatures, sessions or bodies, so limits that need only the head are
    /// asked first.
    pub fn stage(&self) -> Stage {
        let by_plan = self.rate.as_ref().is_some_and(ByPlan::needs_identity)
            || self.quota.as_ref().is_some_and(ByPlan::needs_identity)
            || self.concurrent.as_ref().is_some_and(ByPlan::needs_identity);
        if self.key.is_late() || by_plan || self.tokens.is_some() { Stage::Quota } else { Stage::Shed }
    }
}

/// The questions of all limits, in the order in which they were written: for each stage one of those
/// that are enforced and one of those that are only reported, and what clients are told. Beside them
/// the limits by their names.
///
/// # Errors
///
/// A limit that can't be counted.
pub fn build(specs: &[Spec], settings: &Settings) -> Result<(Vec<Question>, Roster), TooFast> {
    let Settings { ladder, style, overrides, seed, place } = settings;
    let exempt: Arc<[Target]> = specs
        .iter()
        .filter_map(|spec| match &spec.scope {
            Scope::Exempt(target) => Some(target.clone()),
            Scope::On(_) | Scope::Everything | Scope::Assets | Scope::Preflight => None,
        })
        .collect();
    let question =
        |stage, mode, policy| Question { name: "limits", stage, mode, place: place.clone(), about: "".into(), policy };
    let (mut questions, mut meters) = (Vec::new(), Vec::new());
    let mut is_enforced = false;
    for stage in [Stage::Shed, Stage::Quota] {
        for mode in [Mode::Enforce, Mode::Report] {
            let mut items = Items::default();
            let is_own = |spec: &&Spec| spec.stage() == stage && spec.mode == mode;
            let own = specs.iter().filter(is_own);
            let limits: Vec<_> = (0..)
                .zip(own.cloned())
                .map(|placed| Limit::new(placed, ladder, seed, &mut items))
                .collect::<Result<_, _>>()?;
            if limits.is_empty() {
                continue;
            }
            // Read before its limits are asked.
            if let Some(fields) = fields(specs.iter().filter(is_own), &exempt, settings) {
                questions.push(question(stage, mode, Policy::Examine(Arc::new(fields))));
            }
            let is_estimated = |spec: &&Spec| spec.tokens.is_some_and(|tokens| tokens.reserve == Reserve::Auto);
            let estimated = specs.iter().filter(is_own).filter(is_estimated);
            let scopes: Vec<_> = estimated.map(|spec| spec.scope.clone()).collect();
            if !scopes.is_empty() {
                let estimates = Estimates { scopes, exempt: exempt.clone(), overrides: *overrides };
                questions.push(question(stage, mode, Policy::Examine(Arc::new(estimates))));
            }
            if specs.iter().filter(is_own).any(|spec| spec.tokens.is_some()) {
                questions.push(question(Stage::Dress, mode, Policy::Transform(Arc::new(tokens::Meters))));
            }
            is_enforced |= mode == Mode::Enforce;
            let (ladder, exempt, overrides) = (ladder.clone(), exempt.clone(), *overrides);
            let meter = Arc::new(Limits { stage, mode, limits, items, ladder, exempt, overrides });
            meters.push(meter.clone());
            questions.push(question(stage, mode, Policy::Meter(meter)));
        }
    }
    if is_enforced && *style != Style::Off {
        questions.push(question(Stage::Dress, Mode::Enforce, Policy::Dress(Arc::new(Announce::new(*style)))));
    }
    for mode in [Mode::Enforce, Mode::Report] {
        if let Some(first) = questions.iter_mut().find(|question| question.mode == mode) {
            first.about = about::of(specs.iter().filter(|spec| spec.mode == mode)).into();
        }
    }
    let roster = Roster::new(&meters, specs, *seed);
    Ok((questions, roster))
}

/// What is to be read of bodies for these limits; `None`: nothing is.
fn fields<'a>(
    specs: impl Iterator<Item = &'a Spec>,
    exempt: &Arc<[Target]>,
    settings: &Settings,
) -> Option<body::Fields> {
    let wanted: Vec<_> = specs
        .map(|spec| (spec.scope.clone(), spec.key.fields().cloned().collect::<Vec<_>>()))
        .filter(|(_, names)| !names.is_empty())
        .collect();
    let (overrides, seed) = (settings.overrides, settings.seed);
    (!wanted.is_empty()).then(|| body::Fields { wanted, exempt: exempt.clone(), overrides, seed })
}
