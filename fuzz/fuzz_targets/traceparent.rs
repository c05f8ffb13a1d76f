//! Trace context. Each line of the input is `t`, `s`, `m` or `b` (`traceparent`, `sentry-trace`,
//! `tracestate`, `baggage`) and the field's value.

#![cfg_attr(fuzzing, no_main)]

use http::header::{HeaderMap, HeaderName, HeaderValue};
use palisade_core::trace::{Incoming, Onward, SENTRY_TRACE, TRACEPARENT, Traced, sentry_trace, traceparent};
use palisade_core::{HeaderEdits, SpanId};

palisade_fuzz::target!(law);

fn law(input: &[u8]) {
    let mut head = HeaderMap::new();
    for line in input.split(|&byte| byte == b'\n') {
        let Some((kind, value)) = line.split_first() else { continue };
        let name = match kind {
            b't' => TRACEPARENT,
            b's' => SENTRY_TRACE,
            b'm' => HeaderName::from_static("tracestate"),
            b'b' => HeaderName::from_static("baggage"),
            _ => continue,
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            head.append(name, value);
        }
    }
    let incoming = Incoming::read(&head);
    comes_from_one_field(&incoming, &head);
    stays_in_bounds(&incoming, head);
    if let Some(parent) = incoming.parent {
        can_be_read_again(parent);
    }
}

fn comes_from_one_field(incoming: &Incoming, head: &HeaderMap) {
    let Some(Traced { trace, parent, sentry, .. }) = incoming.parent else { return };
    let ids = format!("{trace}-{parent}");
    let once = |name: HeaderName| {
        let mut all = head.get_all(name).iter();
        all.next().filter(|_| all.next().is_none()).map(HeaderValue::as_bytes)
    };
    let by_w3c = once(TRACEPARENT).is_some_and(|value| value.get(3..52) == Some(ids.as_bytes()));
    let by_sentry = once(SENTRY_TRACE).is_some_and(|value| value.starts_with(ids.as_bytes()));
    assert!(by_w3c || by_sentry);
    if sentry.is_some() {
        assert!(once(SENTRY_TRACE).is_some_and(|value| value.starts_with(trace.to_string().as_bytes())));
    }
}

fn stays_in_bounds(incoming: &Incoming, mut head: HeaderMap) {
    let mut edits = HeaderEdits::none();
    incoming.pass_on(&mut edits);
    edits.apply(&mut head);
    for (name, bytes_max) in [("tracestate", 512), ("baggage", 8_192)] {
        let lines: Vec<_> = head.get_all(name).iter().collect();
        assert!(lines.len() <= 1 && lines.iter().all(|line| line.len() <= bytes_max));
    }
    let again = Incoming::read(&head);
    assert_eq!(again.parent, incoming.parent);
    assert!(again.baggage == Onward::Keep, "what goes on is good");
    assert!(again.state == Onward::Keep || !head.contains_key("tracestate"), "what goes on is good");
}

/// The application continues the trace below our span.
fn can_be_read_again(parent: Traced) {
    let span = SpanId::from_entropy(7);
    let mut head = HeaderMap::new();
    head.append(TRACEPARENT, HeaderValue::from_bytes(&traceparent(parent.trace, span)).expect("ASCII"));
    let sentry = sentry_trace(parent.trace, span, parent.sentry);
    head.append(SENTRY_TRACE, HeaderValue::from_bytes(&sentry).expect("ASCII"));
    let expected = Traced { trace: parent.trace, parent: span, sampled: true, sentry: parent.sentry };
    assert_eq!(Incoming::read(&head).parent, Some(expected));
}
