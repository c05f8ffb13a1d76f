//! The one comparison of protections.
//!
//! Frameworks and file systems ignore a lot: case, a trailing slash, `;parameters`, dots and blanks
//! at the end of a name; some decode `%2F` before they route; Next.js serves the data of page `/p`
//! at `/_next/data/<build>/p.json`. A protection that took any of these for another path could be
//! walked around, so it takes all of them for the same one. Matching too much costs an odd request
//! a limit; matching too little costs the protection.
//!
//! The pattern is run as an automaton: bit n of a set says that the first n segments are matched.
//! It looks at each segment of the path once, whatever the path is, and allocates nothing.

use super::{Pattern, Segment};
use crate::Path;

/// Which numbers of segments may be matched so far.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reached(u128);

impl Pattern {
    /// Whether a protection with this pattern covers `path`: equal but for ASCII case, a trailing
    /// slash, `;parameters` (also `%3B`), dots and blanks at a segment's end; `%2F` read as data or
    /// as a slash; `/_next/data/<build>/p.json` also read as `/p`.
    pub fn matches_broadly(&self, path: &Path<'_>) -> bool {
        if self.is_everything() {
            return true;
        }
        let Some(inside) = path.segments() else {
            return false;
        };
        self.accepts(inside.split('/')) || page_of(inside).is_some_and(|page| self.accepts(page.segments()))
    }

    fn accepts<'p>(&self, segments: impl Iterator<Item = &'p str>) -> bool {
        let mut reached = Reached(1);
        for segment in segments {
            let as_data = self.step(reached, segment);
            reached = if segment.contains('%') && segment.contains("%2F") {
                let as_slashes = segment.split("%2F").fold(reached, |reached, piece| self.step(reached, piece));
                Reached(as_data.0 | as_slashes.0)
            } else {
                as_data
            };
            if reached == Reached(0) {
                return false;
            }
            if self.is_at_rest(reached) {
                return true;
            }
        }
        self.ends(reached)
    }

    /// Where the pattern may be after one more segment.
    fn step(&self, reached: Reached, segment: &str) -> Reached {
        let name = bare(segment);
        // Some readers see nothing between two slashes in a segment that is empty but for what is
        // ignored, and merge them.
        let mut next = if name.is_empty() { reached.0 } else { 0 };
        for (at, wanted) in self.segments().iter().enumerate().filter(|(at, _)| reached.0 >> at & 1 == 1) {
            match wanted {
                Segment::Literal(text) if bare(text).eq_ignore_ascii_case(name) => next |= 2 << at,
                Segment::Any if !segment.is_empty() => next |= 2 << at,
                Segment::Rest => next |= 1 << at,
                Segment::Literal(_) | Segment::Any => {}
            }
        }
        Reached(next)
    }

    /// Whether nothing is left of the pattern but `**`, so that the path may go on in any way.
    fn is_at_rest(&self, reached: Reached) -> bool {
        matches!(self.segments(), [before @ .., Segment::Rest] if reached.0 >> before.len() != 0)
    }

    /// Whether the path may end here: nothing is left of the pattern but what matches nothing.
    fn ends(&self, reached: Reached) -> bool {
        let optional = |segment: &Segment| match segment {
            Segment::Literal(text) => bare(text).is_empty(),
            Segment::Any => false,
            Segment::Rest => true,
        };
        let needed = self.segments().iter().rposition(|segment| !optional(segment)).map_or(0, |last| last + 1);
        reached.0 >> needed != 0
    }
}

/// A segment without its parameters, and without dots and blanks at its end.
fn bare(segment: &str) -> &str {
    // Nearly all segments have nothing of the kind.
    if !segment.bytes().any(|byte| matches!(byte, b';' | b'%' | b'.')) {
        return segment;
    }
    let mut name = segment.split(';').next().unwrap_or(segment);
    name = name.split("%3B").next().unwrap_or(name);
    while let Some(shorter) = name.strip_suffix('.').or_else(|| name.strip_suffix("%20")) {
        name = shorter;
    }
    name
}

/// The page whose data a path is.
struct Page<'p> {
    folder: Option<&'p str>,
    name: &'p str,
}

impl<'p> Page<'p> {
    fn segments(self) -> impl Iterator<Item = &'p str> {
        // The page `/` is called `index` there.
        let name = if self.folder.is_none() && self.name.eq_ignore_ascii_case("index") { "" } else { self.name };
        self.folder.into_iter().flat_map(|folder| folder.split('/')).chain([name])
    }
}

fn page_of(inside: &str) -> Option<Page<'_>> {
    let mut parts = inside.splitn(4, '/');
    let mut next = |wanted: &str| parts.next().filter(|part| bare(part).eq_ignore_ascii_case(wanted));
    next("_next")?;
    next("data")?;
    parts.next()?;
    let inside = parts.next()?;
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    let (folder, file) = match inside.rsplit_once('/') {
        Some((folder, file)) => (Some(folder), file),
        None => (None, inside),
    };
    let file = bare(file);
    let (name, ending) = file.split_at_checked(file.len().checked_sub(".json".len())?)?;
    ending.eq_ignore_ascii_case(".json").then_some(Page { folder, name })
}
