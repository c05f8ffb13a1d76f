//! What the gateway refuses by itself, beside the questions of the policies.
//!
//! Apart from the gateway so that an explanation asks the same.

use http::header::CONTENT_LENGTH;
use palisade_core::{Head, Kind, Path, Pattern, Reason, Refusal, Route};
use palisade_tower::transit::Sight;

/// The refusal of a body that is longer than its route allows, by the length that was declared.
pub fn declared_too_long(head: &dyn Head, route: &Route) -> Option<Refusal> {
    let declared: u64 = std::str::from_utf8(head.first(&CONTENT_LENGTH)?).ok()?.parse().ok()?;
    (declared > route.max_body).then(|| Refusal::new(Reason::HttpBodyTooLarge))
}

/// The paths below our own prefix.
pub struct Reserved(Option<Pattern>);

impl Default for Reserved {
    fn default() -> Self {
        Self(Pattern::parse("/.palisade/**").ok())
    }
}

impl Reserved {
    /// The refusal of a request that the application must not see, since its path is ours.
    pub fn refuse(&self, sight: &Sight<'_>) -> Option<Refusal> {
        let is_ours = sight.route.kind == Kind::Own || self.is_reserved(&sight.path);
        is_ours.then(|| Refusal::new(Reason::HttpNotFound))
    }

    /// Whether a reader who ignores case, parameters or escapes would take a path for one of ours.
    /// Nothing under our prefix reaches the application in any spelling.
    fn is_reserved(&self, path: &Path<'_>) -> bool {
        // Nearly no path has such a segment, and looking for it is cheaper than comparing.
        let has_dot = path.as_str().as_bytes().windows(2).any(|pair| matches!(pair, b".p" | b".P"));
        has_dot && self.0.as_ref().is_some_and(|reserved| reserved.matches_broadly(path))
    }
}
