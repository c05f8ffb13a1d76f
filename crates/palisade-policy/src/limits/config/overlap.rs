//! How many limits may be on one request.
//!
//! A request is followed segment by segment: at each one it may continue as any pattern still in
//! play says, or in some other way. What is in play after so many segments is a set. Each set is looked
//! at once, the largest first, and none that can't hold more limits than were found already. Where
//! there are still too many, all limits of a set count as if one request could meet them.

use std::cmp::Reverse;
use std::collections::HashSet;

use http::Method;
use palisade_core::Target;

/// The largest number of `limits` that one request may meet. There are at most 64.
pub(super) fn most(limits: &[&[Target]]) -> usize {
    let mut methods: Vec<Option<&Method>> = vec![None];
    methods.extend(limits.iter().flat_map(|targets| targets.iter()).flat_map(Target::methods).map(Some));
    let mut seen = HashSet::new();
    methods.retain(|method| seen.insert(*method));
    methods.iter().map(|method| most_of(limits, *method)).max().unwrap_or(0)
}

/// The same for requests of one method; `None` is one that no limit names.
fn most_of(limits: &[&[Target]], method: Option<&Method>) -> usize {
    let is_on = |target: &&Target| {
        let methods = target.methods();
        methods.is_empty() || method.is_some_and(|method| methods.contains(method))
    };
    let patterns: Vec<(usize, Vec<String>)> = (0..)
        .zip(limits)
        .flat_map(|(limit, targets)| targets.iter().filter(is_on).map(move |target| (limit, segments(target))))
        .collect();
    let mut walk = Walk { patterns, seen: HashSet::new(), most: 0 };
    walk.go(0, (0..walk.patterns.len()).collect());
    walk.most
}

fn segments(target: &Target) -> Vec<String> {
    target.pattern().as_str().split('/').skip(1).map(str::to_ascii_lowercase).collect()
}

/// How many sets are looked at.
const SETS_MAX: usize = 4_096;

struct Walk {
    patterns: Vec<(usize, Vec<String>)>,
    seen: HashSet<(usize, Vec<usize>)>,
    most: usize,
}

impl Walk {
    /// `alive` are the patterns that may still match after `depth` segments.
    fn go(&mut self, depth: usize, alive: Vec<usize>) {
        let possible = self.limits(&alive);
        if possible <= self.most || !self.seen.insert((depth, alive.clone())) {
            return;
        }
        if self.seen.len() > SETS_MAX {
            self.most = possible;
            return;
        }
        let at = |pattern: usize| self.patterns.get(pattern).and_then(|(_, segments)| segments.get(depth));
        let is_rest = |pattern: usize| {
            self.patterns.get(pattern).is_some_and(|(_, segments)| {
                segments.last().is_some_and(|last| last == "**") && depth + 1 >= segments.len()
            })
        };
        // A request may end here: for the patterns that are used up, or have only `**` left.
        let ending: Vec<usize> =
            alive.iter().copied().filter(|&pattern| at(pattern).is_none() || is_rest(pattern)).collect();
        let met = self.limits(&ending);
        // What it may continue with: each literal, and something that is none of them.
        let mut ways: HashSet<Option<String>> = HashSet::from([None]);
        for &pattern in &alive {
            if let Some(segment) = at(pattern).filter(|segment| !is_variable(segment)) {
                ways.insert(Some(segment.clone()));
            }
        }
        if ending.len() == alive.len() {
            self.most = self.most.max(met);
            return;
        }
        let mut next = Vec::new();
        for way in ways {
            let goes_on = |&pattern: &usize| match at(pattern) {
                _ if is_rest(pattern) => true,
                None => false,
                Some(segment) if is_variable(segment) => true,
                Some(segment) => way.as_ref() == Some(segment),
            };
            next.push(alive.iter().copied().filter(goes_on).collect::<Vec<usize>>());
        }
        next.sort_by_key(|alive| Reverse(alive.len()));
        self.most = self.most.max(met);
        for alive in next {
            self.go(depth + 1, alive);
        }
    }

    /// How many limits these patterns belong to.
    fn limits(&self, patterns: &[usize]) -> usize {
        let of = |&pattern: &usize| self.patterns.get(pattern).map(|(limit, _)| *limit);
        patterns.iter().filter_map(of).collect::<HashSet<usize>>().len()
    }
}

fn is_variable(segment: &str) -> bool {
    segment == "*" || segment == "**" || segment.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_one_request_can_meet_counts() {
        let check = |limits: &[&[&str]], expected: usize| {
            let targets: Vec<Vec<Target>> =
                limits.iter().map(|on| on.iter().map(|on| Target::parse(on).unwrap()).collect()).collect();
            let targets: Vec<&[Target]> = targets.iter().map(Vec::as_slice).collect();
            assert_eq!(most(&targets), expected, "{limits:?}");
        };
        check(&[], 0);
        check(&[&["/a"], &["/b"], &["/c"]], 1);
        check(&[&["/a"], &["/**"], &["/a/**"]], 3);
        check(&[&["/a/*"], &["/*/b"], &["/*/c"]], 2);
        check(&[&["/a/*"], &["/{x}/b"], &["/A/b"]], 3);
        check(&[&["GET /a"], &["POST /a"], &["/a"]], 2);
        check(&[&["GET /a", "POST /a"], &["/a"]], 2);
        check(&[&["/a/**"], &["/b/**"], &["/a/b/c"]], 2);
        let ways: Vec<String> = (0..64).map(|at| format!("/api/{at}/*")).collect();
        let ways: Vec<[&str; 1]> = ways.iter().map(|way| [way.as_str()]).collect();
        let mut limits: Vec<&[&str]> = ways.iter().map(<[&str; 1]>::as_slice).collect();
        limits[0] = &["/**"];
        check(&limits, 2);
    }

    /// Each segment halves what is possible in a way of its own, so that all sets are different.
    #[test]
    fn patterns_that_meet_in_many_ways_are_counted_in_time() {
        let pattern = |at: usize| {
            let segments: Vec<&str> = (0..24).map(|depth| if depth == at { "x" } else { "*" }).collect();
            Target::parse(&format!("/{}", segments.join("/"))).unwrap()
        };
        let all: Vec<Target> = (0..24).map(pattern).collect();
        assert_eq!(most(&[&all]), 1);
        let each: Vec<&[Target]> = all.iter().map(std::slice::from_ref).collect();
        assert_eq!(most(&each), 24);
        let few: Vec<&[Target]> = all.chunks(2).collect();
        assert_eq!(most(&few), 12);
    }
}
