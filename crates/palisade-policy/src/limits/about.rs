//! What limits do, in one line for whoever starts the gateway.
//!
//! It names them; what each of them says in full is in the config, and `explain` tells it for a
//! request.

use std::time::Duration;

use palisade_core::Rate;

use super::plan::ByPlan;
use super::scope::Scope;
use super::spec::Spec;

/// Names in a line; the others are counted.
const NAMES_MAX: usize = 6;

/// The line about these limits.
pub(super) fn of<'a>(specs: impl Iterator<Item = &'a Spec>) -> String {
    let (exempt, limits): (Vec<_>, Vec<_>) = specs.partition(|spec| matches!(spec.scope, Scope::Exempt(_)));
    let mut parts: Vec<_> = limits.iter().take(NAMES_MAX).map(|spec| one(spec)).collect();
    let further = limits.len().saturating_sub(NAMES_MAX);
    if further > 0 {
        parts.push(format!("{further} more"));
    }
    match exempt.len() {
        0 => {}
        1 => parts.push("an exemption with a ceiling".to_owned()),
        count => parts.push(format!("{count} exemptions with ceilings")),
    }
    parts.join(", ")
}

/// The limit that everybody meets first is told in full.
fn one(spec: &Spec) -> String {
    let rate = spec.rate.as_ref().and_then(|rate: &ByPlan<Rate>| rate.values().next());
    match (&*spec.name, rate) {
        ("per_ip", Some(rate)) => format!("{} requests {} per address (per_ip)", rate.count(), window(rate.window())),
        _ => spec.name.to_string(),
    }
}

fn window(window: Duration) -> String {
    let seconds = window.as_secs();
    let units = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    match units.into_iter().find(|(_, unit)| seconds >= *unit && seconds.is_multiple_of(*unit)) {
        Some((name, unit)) if seconds == unit => format!("{} {name}", if name == "hour" { "an" } else { "a" }),
        Some((name, unit)) => format!("in {} {name}s", seconds / unit),
        None => format!("in {window:?}"),
    }
}

#[cfg(test)]
mod tests {
    use palisade_core::Mode;

    use super::*;
    use crate::limits::Scope;

    #[test]
    fn a_line_names_what_there_is() {
        let per_ip = |count, seconds| {
            Spec::per_ip(Rate::new(count, Duration::from_secs(seconds), count).unwrap(), Mode::Enforce)
        };
        let named = |name: &str| Spec::new(name, Scope::Everything, Mode::Enforce);
        let exempt = || {
            let target = palisade_core::Target::parse("GET /auth/callback").unwrap();
            Spec::new("exempt", Scope::Exempt(target), Mode::Enforce)
        };
        let check = |specs: Vec<Spec>, expected: &str| assert_eq!(of(specs.iter()), expected);
        check(vec![], "");
        check(vec![per_ip(300, 60)], "300 requests a minute per address (per_ip)");
        check(vec![per_ip(5, 900)], "5 requests in 15 minutes per address (per_ip)");
        check(vec![per_ip(9, 3_600), named("chat")], "9 requests an hour per address (per_ip), chat");
        check(vec![named("chat"), exempt()], "chat, an exemption with a ceiling");
        check(vec![exempt(), named("chat"), exempt()], "chat, 2 exemptions with ceilings");
        check("a b c d e f".split(' ').map(named).collect(), "a, b, c, d, e, f");
        check("a b c d e f g".split(' ').map(named).collect(), "a, b, c, d, e, f, 1 more");
    }
}
