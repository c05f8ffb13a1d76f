//! Path patterns.
//!
//! A pattern is segments: literal, one of any text (`*` or `{name}`), and at the end perhaps `**`,
//! any number of segments, none included. It is compared in two ways, never by prefix or substring:
//! - *exactly*, for routes and exemptions;
//! - *broadly*, for protections, so that no spelling which some application takes for the path
//!   slips past (`broad.rs`).
//!
//! Whatever matches exactly also matches broadly.

mod broad;
mod error;
mod target;

use std::cmp::Ordering;
use std::fmt;

pub use error::PatternError;
pub use target::Target;

use crate::Path;
use crate::path::{EncodedSlash, MalformedPath};

/// How many segments a pattern may have.
pub const SEGMENTS_MAX: usize = 64;

/// A path pattern.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<str>,
    segments: Box<[Segment]>,
}

/// One segment of a pattern. More specific ones come first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// This text, in normal form.
    Literal(Box<str>),
    /// One segment of any text, at least one character.
    Any,
    /// Any number of segments; the last one.
    Rest,
}

impl Pattern {
    /// Reads `/api/{id}/*/**`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a sentence for the config's author.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let inside = text.strip_prefix('/').ok_or_else(|| PatternError::NotAbsolute(text.into()))?;
        if inside.split('/').count() > SEGMENTS_MAX {
            return Err(PatternError::TooLong);
        }
        let mut segments = Vec::new();
        let mut rest = Some(inside);
        while let Some(inside) = rest {
            let (written, after) = match inside.split_once('/') {
                Some((written, after)) => (written, Some(after)),
                None => (inside, None),
            };
            segments.push(Segment::parse(written, after)?);
            rest = after;
        }
        Ok(Self { text: text.into(), segments: segments.into() })
    }

    /// The pattern as it was written: a route's label.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches every path, `*` included.
    pub fn is_everything(&self) -> bool {
        matches!(*self.segments, [Segment::Rest])
    }

    /// Whether `path` is exactly of this form. Case, a trailing slash and parameters count, and
    /// `%2F` is data of its segment.
    pub fn matches_exactly(&self, path: &Path<'_>) -> bool {
        if self.is_everything() {
            return true;
        }
        let mut rest = path.segments();
        for segment in &self.segments {
            let (found, after) = match rest {
                _ if *segment == Segment::Rest => return true,
                None => return false,
                Some(inside) => match inside.split_once('/') {
                    Some((found, after)) => (found, Some(after)),
                    None => (inside, None),
                },
            };
            if !segment.matches(found) {
                return false;
            }
            rest = after;
        }
        rest.is_none()
    }

    /// Whether `other` matches exactly the same paths: the same up to the names of variables.
    pub fn is_same_path(&self, other: &Self) -> bool {
        self.segments == other.segments
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl Segment {
    /// Reads one segment; `after` is what follows its slash.
    fn parse(written: &str, after: Option<&str>) -> Result<Self, PatternError> {
        match (written, after) {
            ("**", None) => return Ok(Self::Rest),
            ("**", Some(_)) => return Err(PatternError::RestNotLast),
            ("*", _) => return Ok(Self::Any),
            ("", Some(_)) => return Err(PatternError::DoubleSlash),
            ("", None) => return Ok(Self::Literal("".into())),
            _ => {}
        }
        if let Some(name) = written.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            return match name {
                name if name.contains(['*', '{', '}']) => Err(PatternError::Mixed(written.into())),
                name if !name.is_empty() && name.bytes().all(plain) => Ok(Self::Any),
                name => Err(PatternError::Name(name.into())),
            };
        }
        if written.contains(['*', '{', '}']) {
            return Err(PatternError::Mixed(written.into()));
        }
        // Of Next.js and of routers: they would never match, and nobody would notice.
        if written.starts_with('[') && written.ends_with(']') {
            let instead = if written.contains("...") { "**" } else { "{name}" };
            return Err(PatternError::Foreign { written: written.into(), instead });
        }
        if written.len() > 1 && written.starts_with(':') {
            return Err(PatternError::Foreign { written: written.into(), instead: "{name}" });
        }
        let rooted = format!("/{written}");
        match Path::parse(&rooted, EncodedSlash::Keep).as_ref().map(Path::segments) {
            Ok(Some(literal)) if !literal.is_empty() => Ok(Self::Literal(literal.into())),
            Ok(_) | Err(MalformedPath::AboveRoot) => Err(PatternError::DotSegment),
            Err(&why) => Err(PatternError::Malformed { segment: written.into(), why }),
        }
    }

    fn matches(&self, found: &str) -> bool {
        match self {
            Self::Literal(text) => **text == *found,
            Self::Any => !found.is_empty(),
            Self::Rest => true,
        }
    }
}

impl Ord for Pattern {
    /// More specific patterns come first: segment by segment from the left, the end before a
    /// literal before a variable before `**`; those that match the same paths by their text.
    fn cmp(&self, other: &Self) -> Ordering {
        self.segments.cmp(&other.segments).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests;
