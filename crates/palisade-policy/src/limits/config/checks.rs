//! What is wrong with limits that are each well formed.

use palisade_core::charge::{BanRule, CHARGES_MAX, LENGTHS_MAX, Quota};
use palisade_core::config::{Code, Map, Name, Named, OrOff, Period, Problem, Problems, Setting, Whole};
use palisade_core::path::EncodedSlash;
use palisade_core::{Path, Rate, Target};

use super::super::{ByPlan, Key, Ladder, Part, Scope, Spec};
use super::compile::Placed;
use super::exempt::{ExemptTarget, RawExemption};
use super::text::PrefixBits;
use super::{RawByPlan, RawCost, RawLimit, overlap};

/// How many limits there may be.
const LIMITS_MAX: usize = 64;
/// Below so many failures an hour it takes no effort to lock somebody else out.
const LOCKOUT_PER_HOUR: u64 = 20;
const HOUR_S: u64 = 3_600;
/// How many of them may be on one request.
const ON_ONE_MAX: usize = 16;

/// How many wider prefixes a request may be charged for: beside them a limit has a rate, a quota and
/// slots, and all of it on one request is one step.
const RUNGS_MAX: usize = CHARGES_MAX / ON_ONE_MAX - 3;

/// A step has room for so many prefixes.
pub(super) fn rungs<const BITS: u8>(
    ladder: &Setting<Map<PrefixBits<BITS>, Whole<1, 65_536>>>,
    problems: &mut Problems,
) {
    let count = ladder.value.iter().count();
    if count > RUNGS_MAX {
        let key = &ladder.place.key;
        let message = format!("`{key}` has {count} prefixes, and a request is charged for at most {RUNGS_MAX}");
        problems.report(Problem::new(Code::OutOfRange, &ladder.place, message));
    }
}

/// Wider prefixes are wider.
pub(super) fn ladder(v6_bits: u8, ladder: &Setting<Map<PrefixBits<128>, Whole<1, 65_536>>>, problems: &mut Problems) {
    for (bits, _) in ladder.value.iter().filter(|(bits, _)| bits.value.get() >= v6_bits) {
        let message = format!("`{}` is no wider prefix than `ipv6_prefix`, which is {v6_bits}", bits.place.key);
        let place = if bits.is_written() { &bits.place } else { &ladder.place };
        problems.report(Problem::new(Code::Conflict, place, message));
    }
}

/// A request must fit into what it is charged to.
pub(super) fn cost(spec: &Spec, cost: &Setting<RawCost>, problems: &mut Problems) {
    let bursts = spec.rate.iter().flat_map(ByPlan::values).map(|rate| ("burst", rate.burst()));
    let counts = spec.quota.iter().flat_map(ByPlan::values).map(|quota| ("quota", quota.count()));
    let smallest = bursts.chain(counts).min_by_key(|(_, units)| *units);
    if let Some((what, units)) = smallest.filter(|(_, units)| spec.cost > *units) {
        let message =
            format!("limit {} costs {}, more than its {what} of {units}: it would refuse all", spec.name, spec.cost);
        problems.report(Problem::new(Code::Conflict, &cost.place, message));
    }
}

/// The rule of a ban, if there is one.
pub(super) fn ban(
    ban: Option<Setting<Vec<Setting<Period<1_000, 31_536_000_000>>>>>,
    after: &Setting<Whole<1, 16>>,
    within: &Setting<Period<1_000, 86_400_000>>,
    problems: &mut Problems,
) -> Option<BanRule> {
    let Some(ban) = ban else {
        for place in [(&after.place, after.is_written()), (&within.place, within.is_written())] {
            if let (place, true) = place {
                let message = format!("`{}` has no effect without `ban`", place.key);
                problems.report(Problem::new(Code::Shadowed, place, message));
            }
        }
        return None;
    };
    let lengths: Vec<_> = ban.value.iter().map(|length| length.value.get()).collect();
    let rule = BanRule::new(usize::try_from(after.value.get()).unwrap_or(usize::MAX), within.value.get(), &lengths);
    if rule.is_none() {
        let message = format!("`{}` must have one to {LENGTHS_MAX} lengths", ban.place.key);
        problems.report(Problem::new(Code::OutOfRange, &ban.place, message));
    }
    rule
}

/// What named limits say about each other, and about exemptions.
pub(super) fn named(
    limits: &Named<Name, RawLimit>,
    per_user: &Setting<OrOff<RawByPlan<Rate>>>,
    exempt: &Setting<Map<ExemptTarget, RawExemption>>,
    problems: &mut Problems,
) {
    plans(limits, per_user, problems);
    for (_, limit) in limits.iter() {
        let RawLimit { on, key, rate, quota, count, .. } = &limit.value;
        let keys: Vec<&Key> = key.value.0.iter().map(|key| &key.value).collect();
        let twice =
            keys.iter().enumerate().find(|(at, key)| keys.get(..*at).is_some_and(|before| before.contains(key)));
        if let Some((_, twice)) = twice {
            let message = format!("`{}` has `{twice}` twice: one counter would be charged twice", key.place.key);
            problems.report(Problem::new(Code::Conflict, &key.place, message));
        }
        for key in &key.value.0 {
            let parts = key.value.parts();
            if count.is_none() && parts.iter().all(|part| matches!(part, Part::Header(_) | Part::Body(_))) {
                let message = format!("`{}` is chosen by the client alone, who can change it at will", key.place.key);
                problems.report(Problem::new(Code::Weak, &key.place, message).label("add `ip + `"));
            }
            let is_account = count.is_some() && parts.iter().any(|part| matches!(part, Part::Body(_)));
            let is_tight = |rate: &Rate| u64::from(rate.count()) * HOUR_S < LOCKOUT_PER_HOUR * rate.window().as_secs();
            let rates = rate.as_ref().map(|rate| rate.value.compile(|rate| rate));
            let quotas = quota.as_ref().map(|quota| quota.value.compile(|quota| quota));
            let is_tight_quota = |quota: &Quota| quota.pace() < u128::from(LOCKOUT_PER_HOUR * 24) * Quota::PACE_DAYS;
            let is_tight = rates.iter().flat_map(ByPlan::values).any(is_tight)
                || quotas.iter().flat_map(ByPlan::values).any(is_tight_quota);
            if is_account && is_tight {
                let message =
                    format!("{} is tight, so whoever knows an account's name can lock it out", limit.place.table());
                let label = format!("at least {LOCKOUT_PER_HOUR} per hour, and a tight limit by `ip` beside it");
                problems.report(Problem::new(Code::Weak, &limit.place, message).label(label));
            }
            let names = rate.as_ref().map(|rate| rate.value.names()).unwrap_or_default();
            if parts.contains(&Part::User) && !names.is_empty() && !names.contains(&"anon") {
                let message = format!("{} has no rate for `anon`, so the strictest counts there", limit.place.table());
                problems.report(Problem::new(Code::PlanGap, &limit.place, message));
            }
        }
        if on.value.0.iter().all(|target| is_exempt(&target.value, exempt)) {
            let message = format!("{} can never apply: its path is exempt", limit.place.table());
            problems.report(Problem::new(Code::Conflict, &on.place, message).help("take it out of [limits.exempt]"));
        }
    }
}

/// Warns of plans that one map names and another doesn't.
fn plans(limits: &Named<Name, RawLimit>, per_user: &Setting<OrOff<RawByPlan<Rate>>>, problems: &mut Problems) {
    let mut maps = Vec::new();
    if let OrOff::On(by_plan) = &per_user.value {
        maps.push((&per_user.place, by_plan.names()));
    }
    for (_, limit) in limits.iter() {
        maps.extend(limit.value.rate.as_ref().map(|rate| (&rate.place, rate.value.names())));
        maps.extend(limit.value.quota.as_ref().map(|quota| (&quota.place, quota.value.names())));
        maps.extend(limit.value.concurrent.as_ref().map(|slots| (&slots.place, slots.value.names())));
    }
    maps.retain(|(_, names)| !names.is_empty());
    let is_plan = |name: &&str| *name != "anon" && *name != "default";
    for (place, names) in &maps {
        let missing = maps.iter().find_map(|(other, others)| {
            let gap = others.iter().copied().filter(is_plan).find(|plan| !names.contains(plan))?;
            Some((gap, other))
        });
        if let Some((plan, other)) = missing.filter(|_| !names.contains(&"default")) {
            let message = format!("`{}` does not name the plan `{plan}`, as `{}` does", place.key, other.key);
            problems.report(Problem::new(Code::PlanGap, place, message).label("the strictest entry counts for it"));
        }
    }
}

/// Whether every request that a limit would be on, in normal form, is exempt.
fn is_exempt(on: &Target, exempt: &Setting<Map<ExemptTarget, RawExemption>>) -> bool {
    let pattern = on.pattern().as_str();
    // Exemptions have a wildcard only at their end, so that two paths stand for all of a pattern's.
    let inside: Vec<&str> = pattern.split('/').map(|part| if part.contains(['*', '{']) { "x" } else { part }).collect();
    let paths = match pattern.strip_suffix("/**") {
        Some(before) => vec![before.to_owned(), format!("{}/x", inside.join("/"))],
        None => vec![inside.join("/")],
    };
    let covers = |method: &http::Method, path: &str| {
        let Ok(path) = Path::parse(path, EncodedSlash::Keep) else { return false };
        exempt.value.iter().any(|(target, _)| target.value.get().matches_exactly(method, &path))
    };
    !on.methods().is_empty() && on.methods().iter().all(|method| paths.iter().all(|path| covers(method, path)))
}

/// What only shows when all limits are there.
pub(super) fn all(placed: &[Placed], ladder: &Ladder, problems: &mut Problems) {
    for Placed { spec, place } in placed {
        if let Some(fast) = spec.too_fast(ladder) {
            let label = format!("at most {} per second", 1_000_000 / fast.factor.max(1));
            problems.report(Problem::new(Code::OutOfRange, place, fast.to_string()).label(label));
        }
    }
    let Some(last) = placed.last() else { return };
    // Those two stand in for others, and everybody has them.
    let is_stand_in = |placed: &&Placed| matches!(placed.spec.scope, Scope::Assets | Scope::Preflight);
    let count = placed.len() - placed.iter().filter(is_stand_in).count();
    if count > LIMITS_MAX {
        let message = format!("{count} limits are more than the {LIMITS_MAX} that there may be");
        problems.report(Problem::new(Code::OutOfRange, &last.place, message));
        return;
    }
    let everywhere = placed.iter().filter(|placed| placed.spec.scope == Scope::Everything).count();
    let targets: Vec<&[Target]> = placed
        .iter()
        .filter_map(|placed| match &placed.spec.scope {
            Scope::On(targets) => Some(targets.as_slice()),
            Scope::Everything | Scope::Assets | Scope::Preflight | Scope::Exempt(_) => None,
        })
        .collect();
    let most = everywhere + overlap::most(&targets);
    if most > ON_ONE_MAX {
        let message = format!("{most} limits would be on one request; at most {ON_ONE_MAX} are asked together");
        problems.report(Problem::new(Code::OutOfRange, &last.place, message));
    }
}
