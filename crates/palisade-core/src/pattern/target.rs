//! What a protection is set on: a path pattern, perhaps for some methods only.

use std::fmt;

use http::Method;

use super::{Pattern, PatternError};
use crate::Path;

/// Methods and a path pattern: `POST /api/chat`, `GET,POST /x`, `/**`.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    methods: Box<[Method]>,
    pattern: Pattern,
}

impl Target {
    /// Reads `[METHOD[,METHOD] ]/path`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a sentence for the config's author.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (methods, pattern) = match text.split_once(' ') {
            Some((methods, pattern)) => (methods.split(',').map(method).collect::<Result<_, _>>()?, pattern),
            None => (Box::default(), text),
        };
        Ok(Self { methods, pattern: Pattern::parse(pattern)? })
    }

    /// Its path pattern.
    pub const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The methods it names; none means all.
    pub const fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Whether a protection set on it covers such a request. HEAD is taken as GET, since that is
    /// what applications answer it with; the path is compared
    /// [broadly](Pattern::matches_broadly).
    pub fn matches_broadly(&self, method: &Method, path: &Path<'_>) -> bool {
        let as_get = *method == Method::HEAD && self.methods.contains(&Method::GET);
        (self.methods.is_empty() || as_get || self.methods.contains(method)) && self.pattern.matches_broadly(path)
    }

    /// Whether an exemption set on it covers such a request: exactly its method, exactly its path,
    /// and a request whose path already was in normal form.
    pub fn matches_exactly(&self, method: &Method, path: &Path<'_>) -> bool {
        let method_fits = self.methods.is_empty() || self.methods.contains(method);
        method_fits && path.as_sent() && self.pattern.matches_exactly(path)
    }
}

/// Upper case and `-` only: methods are case-sensitive, and `get` is surely a slip.
fn method(name: &str) -> Result<Method, PatternError> {
    let upper = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    let method = Method::from_bytes(name.as_bytes()).ok().filter(|_| upper);
    let method = method.ok_or_else(|| PatternError::Method(name.into()))?;
    match KNOWN.into_iter().find(|known| *known != name && letters(known) == letters(name)) {
        Some(meant) => Err(PatternError::NearlyMethod(name.into(), meant)),
        None => Ok(method),
    }
}

/// What is sent nearly always. Any other may be, but none whose letters were only mixed up.
const KNOWN: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT"];

fn letters(name: &str) -> Vec<u8> {
    let mut letters = name.as_bytes().to_vec();
    letters.sort_unstable();
    letters
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, method) in self.methods.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            f.write_str(method.as_str())?;
        }
        f.write_str(if self.methods.is_empty() { "" } else { " " })?;
        fmt::Display::fmt(&self.pattern, f)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
