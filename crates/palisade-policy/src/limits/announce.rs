//! `RateLimit-Policy` and `RateLimit`: what a client is told about its limits.
//!
//! Both are lists of RFC 9651, one item per limit. They are appended, so that items of the
//! application stay as they are and come first. A wider prefix is told only when it refuses:
//! otherwise it would show a client what its neighbours do.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use palisade_core::charge::Fit;
use palisade_core::{HeaderEdits, Verdict};

use super::ladder::{Ladder, Rung};

pub(super) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Whether clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    /// In the two fields of the IETF draft.
    Ietf,
    /// Not at all; `Retry-After` stays.
    Off,
}

/// Writes the two fields.
pub(super) struct Fields {
    announce: Announce,
    /// `RateLimit-Policy` as nearly all answers have it: the limit without its ladder.
    policy: Option<HeaderValue>,
}

impl Fields {
    pub(super) fn new(announce: Announce, ladder: &Ladder) -> Self {
        let [limit, ..] = ladder.rungs();
        Self { announce, policy: HeaderValue::try_from(policy([limit].into_iter())).ok() }
    }

    /// The fields for an answer to a request that asked these limits.
    pub(super) fn write<'a>(&self, asked: impl Iterator<Item = (&'a Rung, &'a Verdict)> + Clone) -> HeaderEdits {
        if self.announce == Announce::Off {
            return HeaderEdits::none();
        }
        let told = asked.enumerate().filter(|(rung, (_, verdict))| *rung == 0 || verdict.fit != Fit::Fits);
        let told = told.map(|(_, asked)| asked);
        let is_limit_alone = told.clone().nth(1).is_none();
        let policy = match &self.policy {
            Some(policy) if is_limit_alone => Some(policy.clone()),
            Some(_) | None => HeaderValue::try_from(policy(told.clone().map(|(rung, _)| rung))).ok(),
        };
        let state = HeaderValue::try_from(state(told)).ok();
        let mut edits = HeaderEdits::none();
        if let (Some(policy), Some(state)) = (policy, state) {
            edits.append(RATELIMIT_POLICY, policy);
            edits.append(RATELIMIT, state);
        }
        edits
    }
}

/// `"per_ip";q=300;w=60;palisade-burst=100`
fn policy<'a>(rungs: impl Iterator<Item = &'a Rung>) -> String {
    let mut text = String::new();
    for Rung { name, rate, .. } in rungs {
        let comma = if text.is_empty() { "" } else { ", " };
        let (count, window_s) = (rate.count(), whole_seconds(rate.window()));
        // Writing to a `String` can't fail.
        let _ = write!(text, "{comma}\"{name}\";q={count};w={window_s}");
        if rate.burst() != count {
            let _ = write!(text, ";palisade-burst={}", rate.burst());
        }
    }
    text
}

/// `"per_ip";r=299;t=1`
fn state<'a>(told: impl Iterator<Item = (&'a Rung, &'a Verdict)>) -> String {
    let mut text = String::with_capacity(32);
    for (Rung { name, .. }, verdict) in told {
        // On every answer, so without the formatting machinery.
        text.push_str(if text.is_empty() { "\"" } else { ", \"" });
        text.push_str(name);
        text.push_str("\";r=");
        text.push_str(itoa::Buffer::new().format(verdict.remaining));
        if let Some(next) = verdict.next_unit {
            text.push_str(";t=");
            text.push_str(itoa::Buffer::new().format(whole_seconds(next)));
        }
    }
    text
}

/// Rounded up: a client that waits so long never comes too early.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
