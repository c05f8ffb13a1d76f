//! Limits that count only requests with a certain answer, such as failed sign-ins.
//!
//! Each request is reserved when it arrives, so that many at once can't all get through before the
//! first answer is known, and settled when its answer's head is.

use http::header::LOCATION;
use palisade_core::policy::Settlement;
use palisade_core::{Reason, ResponseView};

/// Which answers count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Those with one of these statuses.
    pub statuses: Vec<u16>,
    /// Also redirects whose `Location` contains this.
    pub location: Option<Box<str>>,
}

/// Who made an answer that the application did not make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    /// A limit: what it refused was not tried.
    Limits,
    /// Nobody knows what the application made of the request: it never answered, or not readably.
    Nobody,
    /// Anybody else, whose status counts as the application's would.
    Other,
}

impl Count {
    /// What is spent of `reserved` units.
    pub(super) fn settle(&self, reserved: u32, response: &ResponseView<'_>, reason: Option<Reason>) -> Settlement {
        let counts = match reason.map_or(Maker::Other, Maker::of) {
            Maker::Limits => false,
            Maker::Nobody => true,
            Maker::Other => self.holds(response),
        };
        Settlement::Spend(if counts { reserved } else { 0 })
    }

    fn holds(&self, response: &ResponseView<'_>) -> bool {
        if self.statuses.contains(&response.status.as_u16()) {
            return true;
        }
        let Some(text) = self.location.as_deref().filter(|_| response.status.is_redirection()) else { return false };
        let mut found = false;
        response.head.each(&LOCATION, &mut |value| {
            found |= value.windows(text.len().max(1)).any(|part| part == text.as_bytes());
        });
        found
    }
}

impl Maker {
    fn of(reason: Reason) -> Self {
        match reason {
            of_limits if of_limits.code().starts_with("limits.") => Self::Limits,
            Reason::UpstreamReset | Reason::UpstreamTimeout | Reason::UpstreamMalformed => Self::Nobody,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    #[test]
    fn what_counts() {
        let count = Count { statuses: vec![401, 403], location: Some("error=".into()) };
        let check = |status: u16, location: Option<&'static str>, reason: Option<Reason>, expected: u32| {
            let mut head = HeaderMap::new();
            head.extend(location.map(|location| (LOCATION, HeaderValue::from_static(location))));
            let status = StatusCode::from_u16(status).unwrap();
            let response = ResponseView { status, head: &head, length: None };
            assert_eq!(count.settle(2, &response, reason), Settlement::Spend(expected), "{status} {reason:?}");
        };
        check(401, None, None, 2);
        check(403, None, None, 2);
        check(200, None, None, 0);
        check(500, None, None, 0);
        check(302, Some("/sign-in?error=password"), None, 2);
        check(302, Some("/home"), None, 0);
        check(302, None, None, 0);
        check(200, Some("/sign-in?error=password"), None, 0);
        // Whoever made the answer, but for limits.
        check(403, None, Some(Reason::CsrfCrossSite), 2);
        check(429, None, Some(Reason::LimitsRate), 0);
        check(403, None, Some(Reason::LimitsRate), 0);
        check(504, None, Some(Reason::UpstreamTimeout), 2);
        check(502, None, Some(Reason::UpstreamReset), 2);
        check(502, None, Some(Reason::UpstreamUnreachable), 0);
        check(503, None, Some(Reason::ShedOverload), 0);
    }
}
