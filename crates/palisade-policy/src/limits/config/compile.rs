//! From `[limits]` as it is written to questions.

use std::time::Duration;

use palisade_core::charge::{Outage, TableSize};
use palisade_core::config::{Code, Name, Named, OrOff, Place, Problem, Problems, Setting, Whole};
use palisade_core::{Mode, Question, Rate};

use super::super::{ByPlan, Key, Ladder, Part, Reserve, Roster, Scope, Settings, Spec, Tokens, build};
use super::exempt::{ExemptTarget, Per, RawExemption};
use super::{RawCost, RawLimit, RawLimits, RawReserve, checks};
use crate::Context;
use crate::catalog::{defaults, report_off};
use crate::inbound::MethodOverride;

/// What `[limits]` comes to.
#[derive(Clone, Default)]
pub struct Compiled {
    /// The questions.
    pub questions: Vec<Question>,
    /// The limits by their names.
    pub roster: Roster,
    /// How large the table of counters is.
    pub table: TableSize,
    /// How long a request may wait for a store of counters that is elsewhere.
    pub deadline: Duration,
}

/// A limit, and where it is written.
pub(super) struct Placed {
    pub(super) spec: Spec,
    pub(super) place: Place,
}

/// Compiles the table. Its absence means `report`.
pub fn compile(
    raw: Option<Setting<RawLimits>>,
    overrides: MethodOverride,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Compiled {
    let written = raw.as_ref().map(|raw| raw.place.clone());
    let Some(raw) = raw.map(|raw| raw.value).or_else(|| defaults("limits", problems)) else {
        return Compiled::default();
    };
    let RawLimits {
        mode,
        per_ip,
        per_user,
        assets,
        preflight,
        headers,
        outage,
        store_deadline,
        table,
        ipv6_prefix,
        ipv6_ladder,
        ipv4_ladder,
        exempt,
        limits,
    } = raw;
    if mode.value == Mode::Off {
        report_off(&mode.place, problems);
    }
    let mode = if written.is_some() { mode.value } else { Mode::Report };
    let table = TableSize::new(table.value.get()).unwrap_or_default();
    let v6_bits = u8::try_from(ipv6_prefix.value.get()).unwrap_or(64);
    checks::ladder(v6_bits, &ipv6_ladder, problems);
    checks::rungs(&ipv6_ladder, problems);
    checks::rungs(&ipv4_ladder, problems);
    let wider = |bits, factor: u64| (bits, u32::try_from(factor).unwrap_or(u32::MAX));
    let v6: Vec<_> = ipv6_ladder.value.iter().map(|(bits, by)| wider(bits.value.get(), by.value.get())).collect();
    let v4: Vec<_> = ipv4_ladder.value.iter().map(|(bits, by)| wider(bits.value.get(), by.value.get())).collect();
    let ladder = Ladder::new(v6_bits, &v6, &v4);

    let mut placed = Vec::new();
    let is_told = written.is_some();
    let own = Own { mode, is_told, outage: outage.value };
    own.add("per_ip", Scope::Everything, per_ip, &mut placed, problems);
    if let OrOff::On(by_plan) = &per_user.value {
        let spec = Spec {
            key: Key::new([Part::User]),
            rate: Some(by_plan.compile(|rate| rate)),
            outage: own.outage,
            ..Spec::new("per_user", Scope::Everything, mode)
        };
        placed.push(Placed { spec, place: per_user.place.clone() });
    }
    // Without the table only `per_ip` is watched: the others would tell nothing new.
    if is_told {
        own.add("assets", Scope::Assets, assets, &mut placed, problems);
        own.add("preflight", Scope::Preflight, preflight, &mut placed, problems);
    }
    checks::named(&limits, &per_user, &exempt, problems);
    add_named(limits, own, &mut placed, problems);
    add_exempt(exempt.value.iter(), own, &mut placed, problems);
    checks::all(&placed, &ladder, problems);

    placed.retain(|placed| placed.spec.mode != Mode::Off);
    let place = written.map_or_else(|| "default".into(), |place| context.describe(&place));
    let settings = Settings { ladder, style: headers.value, overrides, seed: context.seed, place };
    // There are at most 64.
    let specs: Vec<_> = (0..).zip(placed).map(|(place, placed)| Spec { place, ..placed.spec }).collect();
    // What is too fast was reported with its place.
    let deadline = store_deadline.value.get();
    let (questions, roster) = build(&specs, &settings).unwrap_or_default();
    Compiled { questions, roster, table, deadline }
}

/// What the table's own limits have in common.
#[derive(Clone, Copy)]
struct Own {
    mode: Mode,
    is_told: bool,
    outage: Outage,
}

impl Own {
    /// Adds a limit per address.
    fn add(
        self,
        name: &str,
        scope: Scope,
        rate: Setting<OrOff<Rate>>,
        placed: &mut Vec<Placed>,
        problems: &mut Problems,
    ) {
        let Setting { value, place, .. } = rate;
        match value {
            OrOff::On(rate) => {
                let rate = Some(ByPlan::everybody(Some(rate)));
                let spec = Spec { rate, outage: self.outage, ..Spec::new(name, scope, self.mode) };
                placed.push(Placed { spec, place });
            }
            OrOff::Off if self.is_told => report_off(&place, problems),
            OrOff::Off => {}
        }
    }
}

/// Limits are named for people: `api`, and of several keys `api.user`.
fn add_named(limits: Named<Name, RawLimit>, own: Own, placed: &mut Vec<Placed>, problems: &mut Problems) {
    for (name, limit) in limits {
        let RawLimit {
            on,
            key,
            rate,
            quota,
            concurrent,
            cost,
            reserve,
            default_output,
            count,
            hold,
            ban,
            ban_after,
            ban_within,
            mode,
            outage,
        } = limit.value;
        let tokens = tokens(&cost, reserve, default_output, problems);
        if let Some(hold) = hold.as_ref().filter(|_| count.is_none() && tokens.is_none()) {
            let message = format!("`{}` has no effect without `count` or `cost = \"tokens\"`", hold.place.key);
            problems.report(Problem::new(Code::Shadowed, &hold.place, message));
        }
        let rule = checks::ban(ban, &ban_after, &ban_within, problems);
        if let Some(mode) = mode.as_ref().filter(|mode| mode.value == Mode::Off) {
            report_off(&mode.place, problems);
        }
        if rate.is_none() && quota.is_none() && concurrent.is_none() {
            let below = |problem: &Problem| problem.place.key.strip_prefix(&*limit.place.key).is_some();
            if problems.iter().any(below) {
                // One is written, and what is wrong with it has been said.
                continue;
            }
            let message = format!("{} says neither `rate` nor `quota` nor `concurrent`", limit.place.table());
            problems.report(Problem::new(Code::MissingKey, &limit.place, message).label("how much may be used?"));
            continue;
        }
        if let Some(count) = count.as_ref().filter(|_| tokens.is_some()) {
            let message = format!("`{}` counts answers, and `cost = \"tokens\"` what they used", count.place.key);
            problems.report(Problem::new(Code::Conflict, &count.place, message).label("make it a limit of its own"));
        }
        if tokens.is_some() && rate.is_none() && quota.is_none() {
            let message = format!("{} budgets tokens, and says neither `rate` nor `quota`", limit.place.table());
            problems.report(Problem::new(Code::MissingKey, &limit.place, message).label("how many may be used?"));
        }
        let usual_hold = if tokens.is_some() { Spec::HOLD_TOKENS } else { Spec::HOLD };
        let scope = Scope::On(on.value.0.into_iter().map(|target| target.value).collect());
        let keys = key.value.0;
        let is_alone = keys.len() == 1;
        for key in keys {
            let name = if is_alone { name.value.to_string() } else { format!("{}.{}", name.value, key.value) };
            let spec = Spec {
                key: key.value,
                cost: match cost.value {
                    // At most 10⁹.
                    RawCost::Units(units) => u32::try_from(units.get()).unwrap_or(u32::MAX),
                    RawCost::Tokens => 1,
                },
                tokens,
                rate: rate.as_ref().map(|rate| rate.value.compile(|rate| rate)),
                quota: quota.as_ref().map(|quota| quota.value.compile(|quota| quota)),
                concurrent: concurrent.as_ref().map(|slots| slots.value.compile(slot_count)),
                count: count.as_ref().map(|count| count.value.0.clone()),
                hold: hold.as_ref().map_or(usual_hold, |hold| hold.value.get()),
                ban: rule.clone(),
                outage: outage.as_ref().map_or(own.outage, |outage| outage.value),
                ..Spec::new(
                    printable(&name.replace(" + ", "+")),
                    scope.clone(),
                    own.mode_of(mode.as_ref().map(|mode| mode.value)),
                )
            };
            checks::cost(&spec, &cost, problems);
            placed.push(Placed { spec, place: limit.place.clone() });
        }
    }
}

fn add_exempt<'a>(
    exempt: impl Iterator<Item = &'a (Setting<ExemptTarget>, Setting<RawExemption>)>,
    own: Own,
    placed: &mut Vec<Placed>,
    problems: &mut Problems,
) {
    for (target, ceiling) in exempt {
        let RawExemption(given) = &ceiling.value;
        let part = match given.per {
            Per::Ip => Part::Ip,
            Per::Everybody => Part::Global,
        };
        if given.per == Per::Everybody {
            let message =
                format!("the ceiling of `{}` is for all together, so anyone can use it up", target.value.get());
            let problem = Problem::new(Code::Weak, &ceiling.place, message);
            problems.report(problem.label("write `per ip` behind the rate for one ceiling for each address"));
        }
        let target = target.value.get();
        let spec = Spec {
            key: Key::new([part]),
            rate: Some(ByPlan::everybody(Some(given.rate))),
            outage: own.outage,
            ..Spec::new(format!("exempt:{}", printable(&target.to_string())), Scope::Exempt(target.clone()), own.mode)
        };
        placed.push(Placed { spec, place: ceiling.place.clone() });
    }
}

impl Own {
    /// A limit's own mode wins, unless all of them are off.
    fn mode_of(self, own: Option<Mode>) -> Mode {
        match (self.mode, own) {
            (Mode::Off, _) => Mode::Off,
            (mode, own) => own.unwrap_or(mode),
        }
    }
}

/// How tokens are budgeted, if they are.
fn tokens(
    cost: &Setting<RawCost>,
    reserve: Option<Setting<RawReserve>>,
    default_output: Option<Setting<Whole<1, 10_000_000>>>,
    problems: &mut Problems,
) -> Option<Tokens> {
    if cost.value != RawCost::Tokens {
        for place in
            reserve.iter().map(|reserve| &reserve.place).chain(default_output.iter().map(|output| &output.place))
        {
            let message = format!("`{}` has no effect without `cost = \"tokens\"`", place.key);
            problems.report(Problem::new(Code::Shadowed, place, message));
        }
        return None;
    }
    let output = default_output.map_or(DEFAULT_OUTPUT, |output| output.value.get());
    Some(Tokens {
        reserve: reserve.map_or(Reserve::Auto, |reserve| reserve.value.0),
        default_output: u32::try_from(output).unwrap_or(u32::MAX),
    })
}

/// A long answer.
const DEFAULT_OUTPUT: u64 = 1_024;

fn slot_count(slots: Whole<1, 1_000_000>) -> u32 {
    u32::try_from(slots.get()).unwrap_or(u32::MAX)
}

/// Names go into fields and labels as they are: what would need an escape there is written as a
/// path would.
fn printable(text: &str) -> String {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
