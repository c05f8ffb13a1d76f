//! Trace context: which trace a request belongs to, and how its callers and the application are
//! told.
//!
//! Read are `traceparent` ([W3C Trace Context](https://www.w3.org/TR/trace-context/), level 1) and
//! `sentry-trace`, which browsers with a Sentry SDK send. Both are written: Sentry's SDKs for Node
//! and Python continue only their own.
//!
//! The sampled flag is read for trusted proxies; whether it counts is not decided here.

mod parse;

use arrayvec::ArrayVec;
use http::header::{HeaderName, HeaderValue};

use crate::{Head, HeaderEdits, Single, SpanId, TraceId};

/// The field of W3C Trace Context that names the trace.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The field that names the trace for Sentry's SDKs.
pub const SENTRY_TRACE: HeaderName = HeaderName::from_static("sentry-trace");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

const STATE_MEMBERS_MAX: usize = 32;
const STATE_BYTES_MAX: usize = 512;
const BAGGAGE_BYTES_MAX: usize = 8_192;

/// The trace context that came with a request. By default there is none, and nothing goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The caller's span, if it named one.
    pub parent: Option<Traced>,
    /// What becomes of `tracestate`.
    pub state: Onward,
    /// What becomes of `baggage`.
    pub baggage: Onward,
}

/// A span of a trace, as a header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span.
    pub parent: SpanId,
    /// Whether the caller records it, as far as it says so.
    pub sampled: bool,
    /// The flag of `sentry-trace` for this trace, if it was sent; it goes on to the application.
    pub sentry: Option<bool>,
}

/// What the application receives of a field that is not ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Onward {
    /// Nothing.
    #[default]
    Drop,
    /// What came, if anything did.
    Keep,
    /// Its lines, joined.
    Join(HeaderValue),
}

impl Incoming {
    /// Reads a request's head.
    pub fn read(head: &dyn Head) -> Self {
        let traceparent = one(head, &TRACEPARENT).and_then(parse::traceparent);
        let sentry = one(head, &SENTRY_TRACE).and_then(parse::sentry_trace);
        let parent = match (traceparent, sentry) {
            (Some(parent), Some(sentry)) if sentry.trace == parent.trace => {
                Some(Traced { sentry: sentry.sentry, ..parent })
            }
            (Some(parent), _) => Some(parent),
            (None, sentry) => sentry,
        };
        let state = match traceparent {
            // It continues the traceparent it came with, and means nothing without.
            None if head.has(&TRACESTATE) => Onward::Drop,
            None => Onward::Keep,
            Some(_) => Onward::read(head, &TRACESTATE, is_state),
        };
        let baggage = Onward::read(head, &BAGGAGE, |joined| joined.len() <= BAGGAGE_BYTES_MAX);
        Self { parent, state, baggage }
    }

    /// Changes `tracestate` and `baggage` on the way to the application.
    pub fn pass_on(&self, edits: &mut HeaderEdits) {
        for (name, onward) in [(TRACESTATE, &self.state), (BAGGAGE, &self.baggage)] {
            match onward {
                Onward::Keep => {}
                Onward::Drop => edits.remove(name),
                Onward::Join(value) => edits.set(name, value.clone()),
            }
        }
    }
}

impl Onward {
    fn read(head: &dyn Head, name: &HeaderName, is_good: fn(&[u8]) -> bool) -> Self {
        match head.single(name) {
            Single::Absent => Self::Keep,
            Single::One(line) if is_good(line) => Self::Keep,
            Single::One(_) => Self::Drop,
            Single::Repeated => {
                let mut joined = Vec::new();
                head.each(name, &mut |line| {
                    // Bounds what many long lines cost; a cut one is too long to be good.
                    if joined.len() <= BAGGAGE_BYTES_MAX {
                        joined.extend_from_slice(if joined.is_empty() { b"" } else { b"," });
                        joined.extend_from_slice(line);
                    }
                });
                let value = HeaderValue::from_bytes(&joined).ok().filter(|_| is_good(&joined));
                value.map_or(Self::Drop, Self::Join)
            }
        }
    }
}

fn is_state(joined: &[u8]) -> bool {
    let members = joined.split(|&byte| byte == b',').filter(|member| !member.trim_ascii().is_empty()).count();
    joined.len() <= STATE_BYTES_MAX && members <= STATE_MEMBERS_MAX
}

/// The value of a field that was sent once.
fn one<'a>(head: &'a dyn Head, name: &HeaderName) -> Option<&'a [u8]> {
    match head.single(name) {
        Single::One(value) => Some(value),
        Single::Absent | Single::Repeated => None,
    }
}

/// `traceparent` for the application: our span is its parent. The flag says that this hop records;
/// what the application records is its choice.
pub fn traceparent(trace: TraceId, span: SpanId) -> [u8; 55] {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
    write(&mut text, 3, &trace.hex());
    write(&mut text, 36, &span.hex());
    text
}

/// `sentry-trace` for the application: our span is its parent, with the client's flag if it sent
/// one. Without a flag the application's SDK samples by its own rate.
pub fn sentry_trace(trace: TraceId, span: SpanId, flag: Option<bool>) -> ArrayVec<u8, 51> {
    let mut text = *b"00000000000000000000000000000000-0000000000000000-0";
    write(&mut text, 0, &trace.hex());
    write(&mut text, 33, &span.hex());
    if flag == Some(true) {
        write(&mut text, 50, b"1");
    }
    let mut text = ArrayVec::from(text);
    if flag.is_none() {
        text.truncate(49);
    }
    text
}

fn write(text: &mut [u8], at: usize, digits: &[u8]) {
    if let Some(place) = text.get_mut(at..at + digits.len()) {
        place.copy_from_slice(digits);
    }
}

#[cfg(test)]
mod tests;
