//! Patterns, targets and the route table. The lines of the input are targets up to an empty one,
//! then paths.

#![cfg_attr(fuzzing, no_main)]

use std::sync::Arc;

use http::Method;
use palisade_core::path::EncodedSlash;
use palisade_core::route::Treatment;
use palisade_core::{Kind, Path, Pattern, RouteTable, Target};

palisade_fuzz::target!(law);

fn law(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (targets, paths) = text.split_once("\n\n").unwrap_or((text, ""));
    let targets: Vec<Target> = targets.lines().take(32).filter_map(|line| Target::parse(line).ok()).collect();
    let patterns: Vec<&Pattern> = targets.iter().map(Target::pattern).collect();
    let routes = patterns.iter().map(|&pattern| (pattern.clone(), treatment())).collect();
    let table = RouteTable::new(routes, treatment()).expect("few routes");

    for target in &targets {
        assert_eq!(Target::parse(&target.to_string()).as_ref(), Ok(target), "what is shown can be read");
        assert_eq!(target.pattern().cmp(target.pattern()), std::cmp::Ordering::Equal);
    }
    for pair in patterns.windows(2) {
        assert_eq!(pair[0].cmp(pair[1]), pair[1].cmp(pair[0]).reverse());
    }
    for raw in paths.lines().take(32) {
        let Ok(path) = Path::parse(raw, EncodedSlash::Keep) else { continue };
        let best = patterns.iter().filter(|pattern| pattern.matches_exactly(&path)).min();
        assert_eq!(&*table.find(&path).label, best.map_or("unmatched", |pattern| pattern.as_str()));
        for target in &targets {
            exempts_no_more_than_it_protects(target, &path);
            ignores_what_it_says(target.pattern(), &path);
        }
        names_itself(&path);
    }
}

fn exempts_no_more_than_it_protects(target: &Target, path: &Path<'_>) {
    for method in [Method::GET, Method::HEAD, Method::POST] {
        if target.matches_exactly(&method, path) {
            assert!(target.matches_broadly(&method, path));
            assert!(path.as_sent());
        }
    }
    assert!(!target.matches_broadly(&Method::GET, path) || target.matches_broadly(&Method::HEAD, path));
}

fn ignores_what_it_says(pattern: &Pattern, path: &Path<'_>) {
    if !pattern.matches_broadly(path) {
        return;
    }
    let text = path.as_str();
    let name = text.trim_end_matches('/');
    let others = [
        text.to_ascii_uppercase(),
        text.to_ascii_lowercase(),
        format!("{name}/"),
        format!("{name};x=1"),
        format!("{name}%3Bx"),
        format!("{name}.%20"),
        // Next.js finds a page's data by how the path begins.
        if text.to_ascii_lowercase().contains("_next") { text.to_owned() } else { text.replacen('/', "/;x/", 1) },
    ];
    for other in others {
        // Some of them make a dot segment with parameters, which has no normal form.
        if let Ok(path) = Path::parse(&other, EncodedSlash::Keep) {
            assert!(pattern.matches_broadly(&path), "{pattern} covers {text} but not {other}");
        }
    }
}

/// A path that is also a pattern matches itself.
fn names_itself(path: &Path<'_>) {
    if let Ok(pattern) = Pattern::parse(path.as_str()) {
        assert!(pattern.matches_exactly(path));
    }
}

fn treatment() -> Treatment {
    Treatment { kind: Kind::Api, questions: Arc::new([]), max_body: 0, settings: 0 }
}
