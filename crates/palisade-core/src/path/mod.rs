//! The path in normal form.
//!
//! Made once, at the edge. Policies see only the result and the same bytes go upstream, so that no
//! two readers behind the gateway can disagree about which path was meant. What has no form on
//! which all readers agree is refused.
//!
//! Rule:
//! 1. Refused: see [`MalformedPath`], one variant per rule.
//! 2. Rewritten: escaped unreserved characters are decoded, bytes beyond ASCII escaped, hexadecimal
//!    digits made upper case, `//` merged, `.` and `..` resolved
//!    ([RFC 3986 §6.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2)).
//! 3. Everything else is kept, a trailing slash and `;parameters` included.
//!
//! A path that is normal already is borrowed; nothing is allocated for it.

mod normal;
mod query;

use std::borrow::Cow;

use thiserror::Error;

pub use query::query_names;

/// A request path in normal form, `*`, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    text: Cow<'a, str>,
    spelling: Spelling,
}

/// Whether a request's path came in normal form. Exemptions need that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    AsSent,
    Rewritten,
}

/// What `%2F` in a path is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// Data within its segment.
    #[default]
    Keep,
    /// A reason to refuse, for applications that would take it for a separator.
    Refuse,
}

/// Why a path has no normal form. For the operator; the client is told only that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MalformedPath {
    /// Not origin-form. `*` is for OPTIONS alone and not parsed here.
    #[error("it does not begin with a slash")]
    NotAbsolute,
    /// Some readers would end the path there, others not.
    #[error("it holds a raw `#` or `?`")]
    Delimiter,
    /// Some readers take it for a slash.
    #[error("it holds a backslash, raw or escaped")]
    Backslash,
    /// Some readers would end the request target there.
    #[error("it holds a raw space")]
    Space,
    /// Cut off or skipped by some readers.
    #[error("it holds a control byte, raw or escaped")]
    Control,
    /// Some readers repair it, others take it as it is.
    #[error("it holds a `%` that is not followed by two hexadecimal digits")]
    BadEscape,
    /// Lenient decoders make an ASCII character of it.
    #[error("it holds an overlong UTF-8 sequence")]
    Overlong,
    /// A reader that decodes twice sees another path.
    #[error("it is escaped twice (`%25` before the digits of an escape)")]
    EscapedTwice,
    /// Nothing is there.
    #[error("`..` leads above the root")]
    AboveRoot,
    /// Readers that drop parameters, or decode the slash, see a dot segment; others don't.
    #[error("it has a dot segment with parameters or beside an escaped slash")]
    DotSegment,
    /// Refused by the config.
    #[error("it holds an escaped slash, and `encoded_slash` is `refuse`")]
    EncodedSlash,
}

impl<'a> Path<'a> {
    /// Brings `raw`, the part of a request's target before the first `?`, into normal form.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub fn parse(raw: &'a str, slash: EncodedSlash) -> Result<Self, MalformedPath> {
        let text = if normal::is_plain(raw) { Cow::Borrowed(raw) } else { normal::form(raw, slash)? };
        // A borrowed text is a prefix of the raw one, and perhaps a shorter one.
        let as_sent = matches!(text, Cow::Borrowed(_)) && text.len() == raw.len();
        Ok(Self { text, spelling: if as_sent { Spelling::AsSent } else { Spelling::Rewritten } })
    }

    /// The `*` of `OPTIONS *`: the server as a whole.
    pub const fn asterisk() -> Self {
        Self { text: Cow::Borrowed("*"), spelling: Spelling::AsSent }
    }

    /// No path: what a request has whose path has no normal form. No pattern matches it but `/**`.
    pub const fn empty() -> Self {
        Self { text: Cow::Borrowed(""), spelling: Spelling::Rewritten }
    }

    /// Its characters: ASCII without blanks and control bytes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the request's path already was in normal form, byte for byte.
    pub fn as_sent(&self) -> bool {
        self.spelling == Spelling::AsSent
    }

    /// The same path, independent of the request it came from.
    pub fn into_owned(self) -> Path<'static> {
        Path { text: Cow::Owned(self.text.into_owned()), spelling: self.spelling }
    }

    /// Its segments with slashes between them; the last one is empty after a trailing slash. `None`
    /// for `*` and for no path.
    pub(crate) fn segments(&self) -> Option<&str> {
        self.text.strip_prefix('/')
    }
}

#[cfg(test)]
mod tests;
