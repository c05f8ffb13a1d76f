//! What can be wrong with a pattern or a target.

use thiserror::Error;

use super::SEGMENTS_MAX;
use crate::path::MalformedPath;

/// Why a text is not a pattern, or not a target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It does not begin with a slash.
    #[error("`{0}` does not begin with a slash")]
    NotAbsolute(Box<str>),
    /// It has too many segments.
    #[error("a pattern has at most {SEGMENTS_MAX} segments")]
    TooLong,
    /// `**` stands before the end.
    #[error("`**` can only be the last segment; write `*` for one segment of any text")]
    RestNotLast,
    /// Two slashes follow each other, which no path in normal form has.
    #[error("`//` never matches: paths have their slashes merged")]
    DoubleSlash,
    /// A segment mixes text and wildcards.
    #[error("`{0}` mixes text and wildcards; a segment is literal, `*` or `{{name}}`")]
    Mixed(Box<str>),
    /// A segment is a variable as others write it.
    #[error("`{written}` is not a variable here: write `{instead}`")]
    Foreign {
        /// The segment.
        written: Box<str>,
        /// What it is here.
        instead: &'static str,
    },
    /// A variable's name is empty or odd.
    #[error("`{{{0}}}` needs a name of letters, digits, `_`, `-` and `.`")]
    Name(Box<str>),
    /// A segment is `.` or `..`.
    #[error("`.` and `..` never match: paths have them resolved")]
    DotSegment,
    /// A segment could never be part of a path.
    #[error("`{segment}` never matches: {why}")]
    Malformed {
        /// The segment.
        segment: Box<str>,
        /// What is wrong with it.
        why: MalformedPath,
    },
    /// What stands before the path is not a list of methods.
    #[error("`{0}` is not a method; write `GET /path` or `GET,POST /path`")]
    Method(Box<str>),
    /// A method is nearly one that there is.
    #[error("nobody sends `{0}`: did you mean `{1}`?")]
    NearlyMethod(Box<str>, &'static str),
}
