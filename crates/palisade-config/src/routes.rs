//! The route table: every pattern that the configuration names.

use std::sync::Arc;

use palisade_core::config::{Code, Problem, Problems, Setting};
use palisade_core::path::EncodedSlash;
use palisade_core::route::Treatment;
use palisade_core::{Kind, Path, Pattern, Question, RouteTable};

use crate::app::{Forwarding, ForwardingTable, Overrides};

/// Each route has label sets in the metrics and is compared with each other one here.
const ROUTES_MAX: usize = 2_000;

/// What is Palisade's own and never reaches the application.
const OWN: [(&str, Kind); 4] = [
    ("/.palisade/livez", Kind::Health),
    ("/.palisade/readyz", Kind::Health),
    ("/.palisade/startupz", Kind::Health),
    ("/.palisade/**", Kind::Own),
];

/// Where the build of Next.js puts files that belong to pages: they are many, and never change.
const ASSETS: &str = "/_next/static/**";

/// The table, and the settings that its routes point to.
pub(crate) fn compile(
    overrides: Vec<Overrides>,
    labels: Vec<Setting<Pattern>>,
    default: Forwarding,
    questions: &Arc<[Question]>,
    problems: &mut Problems,
) -> Option<(RouteTable, ForwardingTable)> {
    let total = overrides.len() + labels.len();
    let last = labels.last().or(overrides.last().map(|last| &last.pattern));
    if let Some(last) = last.filter(|_| total > ROUTES_MAX) {
        let message = format!("{total} patterns are more than the {ROUTES_MAX} that a table may hold");
        problems.report(Problem::new(Code::OutOfRange, &last.place, message));
        return None;
    }
    report_twins(overrides.iter().map(|route| &route.pattern), problems);
    report_twins(labels.iter(), problems);

    let assets = Pattern::parse(ASSETS).ok();
    let kind = |pattern: &Pattern| {
        let is_asset = assets.as_ref().is_some_and(|assets| assets.is_same_path(pattern));
        if is_asset { Kind::Asset } else { Kind::default() }
    };
    let treatment = |settings: usize, forwarding: &Forwarding| Treatment {
        kind: Kind::default(),
        questions: Arc::clone(questions),
        max_body: forwarding.body_bytes_max,
        // At most `ROUTES_MAX` and the default.
        settings: u16::try_from(settings).unwrap_or(0),
    };
    let mut routes = Vec::with_capacity(total);
    let is_named = |assets: &Pattern| labels.iter().any(|label| label.value.is_same_path(assets));
    let unnamed = assets.clone().filter(|assets| !is_named(assets));
    for label in labels.into_iter().map(|label| label.value).chain(unnamed) {
        let is_route = overrides.iter().any(|route| route.pattern.value.is_same_path(&label));
        if !is_route {
            let settings = settings_of(&label, &overrides);
            let forwarding =
                settings.and_then(|index| overrides.get(index)).map_or(&default, |route| &route.forwarding);
            let kind = kind(&label);
            let treatment = Treatment { kind, ..treatment(settings.map_or(0, |index| index + 1), forwarding) };
            routes.push((label, treatment));
        }
    }
    let mut further = Vec::with_capacity(overrides.len());
    for Overrides { pattern, forwarding } in overrides {
        further.push((pattern.value.clone(), forwarding));
        let kind = kind(&pattern.value);
        routes.push((pattern.value, Treatment { kind, ..treatment(further.len(), &forwarding) }));
    }
    for (pattern, kind) in OWN {
        if let Ok(pattern) = Pattern::parse(pattern) {
            routes.push((pattern, Treatment { kind, ..treatment(0, &default) }));
        }
    }
    let unmatched = treatment(0, &default);
    let table = RouteTable::new(routes, unmatched).ok()?;
    Some((table, ForwardingTable::new(default, further)))
}

/// Reports patterns that match the same paths as another one of the list.
fn report_twins<'a>(patterns: impl Iterator<Item = &'a Setting<Pattern>>, problems: &mut Problems) {
    let mut sorted: Vec<_> = patterns.collect();
    sorted.sort_by(|a, b| a.value.cmp(&b.value));
    for pair in sorted.windows(2) {
        if let [first, twin] = pair
            && first.value.is_same_path(&twin.value)
        {
            let message = format!("`{}` matches the same paths as `{}`, which comes first", twin.value, first.value);
            problems.report(Problem::new(Code::Shadowed, &twin.place, message));
        }
    }
}

/// Which of the overrides holds for a pattern that has none of its own: the most specific one that
/// matches everything that the pattern does. One that matches only some of it is more specific
/// there, and then it is the route.
fn settings_of(pattern: &Pattern, overrides: &[Overrides]) -> Option<usize> {
    let samples = samples(pattern);
    let paths: Vec<Path<'_>> =
        samples.iter().map_while(|sample| Path::parse(sample, EncodedSlash::Keep).ok()).collect();
    let covers = |route: &Overrides| {
        paths.len() == samples.len() && paths.iter().all(|path| route.pattern.value.matches_exactly(path))
    };
    let covering = overrides.iter().enumerate().filter(|(_, route)| covers(route));
    covering.min_by(|(_, a), (_, b)| a.pattern.value.cmp(&b.pattern.value)).map(|(index, _)| index)
}

/// Paths such that whatever matches them all matches everything that the pattern does: wildcards
/// become a segment that no literal spells, `**` becomes none and several of them.
fn samples(pattern: &Pattern) -> Vec<String> {
    const FRESH: &str = "~any~segment~";
    let text = pattern.as_str();
    let (fixed, is_open) = match text.strip_suffix("/**") {
        Some(fixed) => (fixed, true),
        None => (text, false),
    };
    let instance =
        |segment: &str| if segment == "*" || segment.starts_with('{') { FRESH.to_owned() } else { segment.to_owned() };
    let path = fixed.split('/').map(instance).collect::<Vec<_>>().join("/");
    if is_open {
        let none = if path.is_empty() { "/".to_owned() } else { path.clone() };
        vec![none, format!("{path}/{FRESH}"), format!("{path}/{FRESH}/{FRESH}")]
    } else {
        vec![path]
    }
}
