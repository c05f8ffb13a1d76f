use http::HeaderMap;

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// A head from `name: value` lines.
fn head(lines: &[String]) -> HeaderMap {
    let mut head = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        head.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    head
}

/// The parent in short: trace, span, sampled, and the flag of Sentry if there is one.
fn parent(lines: &[String]) -> String {
    match Incoming::read(&head(lines)).parent {
        None => "none".to_owned(),
        Some(Traced { trace, parent, sampled, sentry }) => {
            let sentry = sentry.map_or(String::new(), |flag| format!(" sentry={}", u8::from(flag)));
            format!("{trace} {parent} {}{sentry}", u8::from(sampled))
        }
    }
}

#[test]
fn traceparent_is_read_by_its_version() {
    let good = |flag: u8| format!("{TRACE} {SPAN} {flag}");
    let cases = [
        (format!("00-{TRACE}-{SPAN}-01"), good(1)),
        (format!("00-{TRACE}-{SPAN}-00"), good(0)),
        (format!("00-{TRACE}-{SPAN}-ff"), good(1)),
        (format!("00-{TRACE}-{SPAN}-fe"), good(0)),
        (format!("01-{TRACE}-{SPAN}-01"), good(1)),
        (format!("cc-{TRACE}-{SPAN}-01-what.the.future"), good(1)),
        (format!("cc-{TRACE}-{SPAN}-01-"), good(1)),
        (format!("cc-{TRACE}-{SPAN}-01.x"), "none".to_owned()),
        (format!("cc-{TRACE}-{SPAN}-010"), "none".to_owned()),
        (format!("00-{TRACE}-{SPAN}-01-"), "none".to_owned()),
        (format!("00-{TRACE}-{SPAN}-01-x"), "none".to_owned()),
        (format!("00-{TRACE}-{SPAN}-1"), "none".to_owned()),
        (format!("00-{TRACE}-{SPAN}"), "none".to_owned()),
        (format!("ff-{TRACE}-{SPAN}-01"), "none".to_owned()),
        (format!("0-{TRACE}-{SPAN}-01"), "none".to_owned()),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), "none".to_owned()),
        (format!("00-{TRACE}-{SPAN}-0A"), "none".to_owned()),
        (format!("00-{}-{SPAN}-01", "0".repeat(32)), "none".to_owned()),
        (format!("00-{TRACE}-{}-01", "0".repeat(16)), "none".to_owned()),
        (format!("00_{TRACE}-{SPAN}-01"), "none".to_owned()),
        (format!("00-{TRACE}x{SPAN}-01"), "none".to_owned()),
        (String::new(), "none".to_owned()),
    ];
    for (value, expected) in cases {
        assert_eq!(parent(&[format!("traceparent: {value}")]), expected, "{value}");
    }
}

#[test]
fn sentry_trace_stands_in() {
    let cases = [
        (format!("{TRACE}-{SPAN}"), format!("{TRACE} {SPAN} 0")),
        (format!("{TRACE}-{SPAN}-1"), format!("{TRACE} {SPAN} 1 sentry=1")),
        (format!("{TRACE}-{SPAN}-0"), format!("{TRACE} {SPAN} 0 sentry=0")),
        (format!("{TRACE}-{SPAN}-2"), "none".to_owned()),
        (format!("{TRACE}-{SPAN}-"), "none".to_owned()),
        (format!("{TRACE}-{SPAN}-11"), "none".to_owned()),
        (TRACE.to_owned(), "none".to_owned()),
        (format!("{}-{SPAN}", "0".repeat(32)), "none".to_owned()),
    ];
    for (value, expected) in cases {
        assert_eq!(parent(&[format!("sentry-trace: {value}")]), expected, "{value}");
    }
}

#[test]
fn traceparent_counts_if_it_is_valid_and_sent_once() {
    let w3c = format!("traceparent: 00-{TRACE}-{SPAN}-00");
    let other = "1".repeat(32);
    let same_trace = format!("sentry-trace: {TRACE}-1111111111111111-1");
    let other_trace = format!("sentry-trace: {other}-1111111111111111-1");
    assert_eq!(parent(&[w3c.clone(), same_trace.clone()]), format!("{TRACE} {SPAN} 0 sentry=1"));
    assert_eq!(parent(&[w3c.clone(), other_trace.clone()]), format!("{TRACE} {SPAN} 0"));
    assert_eq!(parent(&[w3c.clone(), w3c.clone()]), "none");
    assert_eq!(
        parent(&["traceparent: x".to_owned(), other_trace.clone()]),
        format!("{other} 1111111111111111 1 sentry=1")
    );
    assert_eq!(parent(&[other_trace.clone(), other_trace]), "none");
    assert_eq!(parent(&[]), "none");
}

/// What the application receives of `tracestate` and `baggage`.
fn onward(lines: &[String]) -> (Option<String>, Option<String>) {
    let mut head = head(lines);
    let mut edits = HeaderEdits::none();
    Incoming::read(&head).pass_on(&mut edits);
    edits.apply(&mut head);
    let mut told = ["tracestate", "baggage"].map(|name| {
        let all: Vec<&str> = head.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        assert!(all.len() <= 1);
        all.first().map(|value| value.to_string())
    });
    (told[0].take(), told[1].take())
}

#[test]
fn tracestate_goes_on_within_bounds() {
    let with = |lines: &[&str]| {
        let mut all = vec![format!("traceparent: 00-{TRACE}-{SPAN}-00")];
        all.extend(lines.iter().map(|value| format!("tracestate: {value}")));
        onward(&all).0
    };
    let members = |count: usize| vec!["a=1"; count].join(",");
    assert_eq!(with(&["a=1,b=2"]).as_deref(), Some("a=1,b=2"));
    assert_eq!(with(&["a=1", "b=2"]).as_deref(), Some("a=1,b=2"));
    assert_eq!(with(&[&members(32)]), Some(members(32)));
    assert_eq!(with(&[&members(33)]), None);
    assert_eq!(with(&[&members(16), &members(16)]), Some(members(32)));
    assert_eq!(with(&[&members(16), &members(17)]), None);
    assert_eq!(with(&[&format!("a={}", "x".repeat(510))]).map(|value| value.len()), Some(512));
    assert_eq!(with(&[&format!("a={}", "x".repeat(511))]), None);
    assert_eq!(with(&[&"x".repeat(10_240), "b=2"]), None);
    // Without a valid traceparent it belongs to no trace.
    assert_eq!(onward(&["tracestate: a=1".to_owned()]).0, None);
    assert_eq!(onward(&["tracestate: a=1".to_owned(), format!("sentry-trace: {TRACE}-{SPAN}")]).0, None);
}

#[test]
fn baggage_goes_on_within_bounds() {
    let with = |lines: &[String]| onward(&lines.iter().map(|value| format!("baggage: {value}")).collect::<Vec<_>>()).1;
    assert_eq!(with(&["a=1".to_owned(), "b=2".to_owned()]).as_deref(), Some("a=1,b=2"));
    assert_eq!(with(&["x".repeat(8_192)]).map(|value| value.len()), Some(8_192));
    assert_eq!(with(&["x".repeat(8_193)]), None);
    assert_eq!(with(&["x".repeat(4_096), "x".repeat(4_095)]).map(|value| value.len()), Some(8_192));
    assert_eq!(with(&["x".repeat(4_096), "x".repeat(4_096)]), None);
    assert_eq!(with(&vec!["x".repeat(8_000); 50]), None);
}

#[test]
fn nothing_goes_on_when_nothing_was_read() {
    let mut head = head(&["tracestate: a=b".to_owned(), "baggage: c=d".to_owned()]);
    let mut edits = HeaderEdits::none();
    Incoming::default().pass_on(&mut edits);
    edits.apply(&mut head);
    assert!(head.is_empty());
}

#[test]
fn what_is_written_can_be_read() {
    let trace = TraceId::from_entropy(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    let span = SpanId::from_entropy(0xb7ad_6b71_6920_3331);
    let w3c = traceparent(trace, span);
    assert_eq!(std::str::from_utf8(&w3c), Ok(&*format!("00-{trace}-{span}-01")));
    assert_eq!(parse::traceparent(&w3c).unwrap(), Traced { trace, parent: span, sampled: true, sentry: None });
    for flag in [None, Some(false), Some(true)] {
        let read = parse::sentry_trace(&sentry_trace(trace, span, flag)).unwrap();
        assert_eq!(read, Traced { trace, parent: span, sampled: flag == Some(true), sentry: flag });
    }
}
