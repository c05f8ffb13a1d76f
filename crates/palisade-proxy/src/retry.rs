//! When a request is sent once more.
//!
//! Only when the application can't have acted upon it: no connection was made, or the request was
//! never written. A request whose connection closed before any byte of the answer may have been
//! acted upon; it is sent again only if its method is idempotent and there is no body to replay,
//! and after a new connection to another server only (ADR 11). At most two more tries, and in all no more than a tenth of the requests of the last ten
//! seconds, so that a failing application isn't buried by its own clients.

use std::time::Duration;

use http::Method;
use palisade_core::Monotonic;

/// Tries after the first one.
pub const RETRIES_MAX: u32 = 2;

/// Retries in ten seconds that are allowed however few requests there were. Without it a site
/// with five requests in ten seconds could never replace a stale connection.
const BUDGET_MIN: u64 = 10;

const WINDOW: Duration = Duration::from_secs(10);
const SLICES: usize = 10;

/// How a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No connection could be made.
    Connect,
    /// The connection was gone before the request was written.
    Unsent,
    /// A kept connection closed after the request was written, before any byte of an answer.
    Closed,
    /// A new connection did. The server, or what the request does to it, is the cause; so only
    /// another server is asked.
    Crashed,
    /// Anything later or else: a byte of the answer came, the time was up, the answer was broken.
    Other,
}

/// What there is to send again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// No body.
    Empty,
    /// A body, which can be read once.
    Streamed,
}

impl Cause {
    /// Whether the same server would fail in the same way.
    pub const fn is_of_server(self) -> bool {
        match self {
            Self::Connect | Self::Crashed => true,
            Self::Unsent | Self::Closed | Self::Other => false,
        }
    }
}

/// Whether a request that failed so may be sent again, the budget and the place aside.
pub fn may_retry(cause: Cause, method: &Method, payload: Payload, retries: u32) -> bool {
    let safe = match cause {
        Cause::Connect | Cause::Unsent => true,
        Cause::Closed | Cause::Crashed => method.is_idempotent() && payload == Payload::Empty,
        Cause::Other => false,
    };
    safe && retries < RETRIES_MAX
}

/// Counts requests and retries of the last ten seconds, in slices of one second.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    slices: [Slice; SLICES],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    /// Which second since the clock began.
    second: u64,
    requests: u64,
    retries: u64,
}

impl Budget {
    /// A request arrived.
    pub fn request(&mut self, now: Monotonic) {
        if let Some(slice) = self.slice(now) {
            slice.requests += 1;
        }
    }

    /// Takes one retry out of the budget; false if there is none.
    pub fn retry(&mut self, now: Monotonic) -> bool {
        let oldest = second(now).saturating_sub(WINDOW.as_secs() - 1);
        let recent = || self.slices.iter().filter(|slice| slice.second >= oldest);
        let requests: u64 = recent().map(|slice| slice.requests).sum();
        let retries: u64 = recent().map(|slice| slice.retries).sum();
        if retries >= (requests / 10).max(BUDGET_MIN) {
            return false;
        }
        if let Some(slice) = self.slice(now) {
            slice.retries += 1;
        }
        true
    }

    fn slice(&mut self, now: Monotonic) -> Option<&mut Slice> {
        let second = second(now);
        let place = usize::try_from(second % SLICES as u64).ok()?;
        let slice = self.slices.get_mut(place)?;
        if slice.second != second {
            *slice = Slice { second, ..Slice::default() };
        }
        Some(slice)
    }
}

fn second(now: Monotonic) -> u64 {
    now.as_nanos() / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_rule() {
        use Cause::{Closed, Connect, Crashed, Other, Unsent};
        use Payload::{Empty, Streamed};
        for (cause, method, payload, retries, expected) in [
            (Connect, Method::GET, Empty, 0, true),
            (Connect, Method::POST, Streamed, 1, true),
            (Connect, Method::POST, Streamed, 2, false),
            (Unsent, Method::POST, Streamed, 0, true),
            (Closed, Method::GET, Empty, 0, true),
            (Closed, Method::PUT, Empty, 1, true),
            (Closed, Method::GET, Empty, 2, false),
            (Closed, Method::PUT, Streamed, 0, false),
            (Closed, Method::POST, Empty, 0, false),
            (Closed, Method::PATCH, Empty, 0, false),
            (Crashed, Method::GET, Empty, 0, true),
            (Crashed, Method::POST, Empty, 0, false),
            (Other, Method::GET, Empty, 0, false),
        ] {
            let seen = may_retry(cause, &method, payload, retries);
            assert_eq!(seen, expected, "{cause:?} {method} {payload:?} after {retries}");
        }
    }

    #[test]
    fn a_tenth_of_ten_seconds() {
        let mut budget = Budget::default();
        (0..1000).for_each(|_| budget.request(at(500)));
        assert_eq!((0..200).filter(|_| budget.retry(at(9999))).count(), 100);
        // The requests are forgotten after ten seconds, the retries a little later.
        assert!(!budget.retry(at(10_000)));
        assert!(budget.retry(at(19_000)));
    }

    #[test]
    fn a_quiet_site_has_some_retries_too() {
        let mut budget = Budget::default();
        assert_eq!((0..20).filter(|_| budget.retry(at(0))).count(), 10);
    }

    proptest! {
        #[test]
        fn never_more_than_the_budget(events in prop::collection::vec((0u64..400, 0u8..4), 1..600)) {
            let mut budget = Budget::default();
            let (mut now, mut log) = (0, Vec::new());
            for (pause, kind) in events {
                now += pause;
                if kind > 0 {
                    budget.request(at(now));
                    log.push((now, false));
                } else if budget.retry(at(now)) {
                    log.push((now, true));
                    let from = (now / 1000).saturating_sub(9) * 1000;
                    let recent: Vec<_> = log.iter().filter(|(time, _)| *time >= from).collect();
                    let retries = recent.iter().filter(|(_, retry)| *retry).count();
                    let requests = recent.len() - retries;
                    prop_assert!(retries <= (requests / 10).max(10));
                }
            }
        }
    }
}
