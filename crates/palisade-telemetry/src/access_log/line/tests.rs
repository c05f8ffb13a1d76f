//! Lines, byte for byte.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use palisade_core::identity::User;
use palisade_core::record::{Answer, Asked, Attempt};
use palisade_core::{ClientIp, Identity, Mode, Outcome, Reason, Record, Refusal, RequestId, Said, SpanId, Stage};

use super::*;
use crate::testing::{record, tally};

fn line(record: &Record, address: AddressForm) -> String {
    let mut out = Vec::new();
    Line::default().render(&mut out, record, address);
    String::from_utf8(out).unwrap()
}

/// The part of a line from `key` to before `end`.
fn part<'a>(line: &'a str, key: &str, end: &str) -> &'a str {
    let from = line.find(&format!("\"{key}\":")).unwrap();
    let to = line[from..].find(&format!(",\"{end}\":")).unwrap() + from;
    &line[from..to]
}

fn refused(policy: &'static str, mode: Mode, reason: Reason) -> Asked {
    let mut refusal = Refusal::new(reason).detail("said \"no\"");
    refusal.violated.push("per_ip".into());
    Asked { policy, stage: Stage::Quota, mode, answer: Answer::Refuse(refusal), span: None }
}

#[test]
fn a_plain_request() {
    assert_eq!(
        line(&record(), AddressForm::Full),
        "{\"event\":\"request\",\"time\":\"2026-01-10T14:02:31.123456Z\",\
         \"request_id\":\"01KEMC9N2300000000000000007\",\"trace_id\":\"00000000000000000000000000000003\",\
         \"span_id\":\"0000000000000005\",\"method\":\"GET\",\"route\":\"/api/chat\",\"path\":\"/api/chat\",\
         \"kind\":\"api\",\"host\":\"briefly.example\",\"status\":200,\"class\":\"2xx\",\"outcome\":\"ok\",\
         \"duration_ms\":95.200,\"latency_ms\":95.200,\"upstream_ms\":93.100,\"gateway_ms\":2.100,\
         \"client_wait_ms\":0.000,\"store_wait_ms\":0.000,\"bytes_in\":912,\"bytes_out\":20411,\
         \"client_address\":\"203.0.113.7\",\"plan\":\"anon\",\"protocol\":\"h2\"}\n"
            .replace("01KEMC9N2300000000000000007", record().request_id.as_str())
    );
}

#[test]
fn everything_a_record_can_hold() {
    let mut record = record();
    record.duration = Duration::from_micros(812_401);
    record.client_wait = Duration::from_micros(718_489);
    record.first_byte = Some(Duration::from_micros(94_000));
    record.store_wait = Duration::from_micros(12);
    record.client_request_id = RequestId::taken_over("client-id");
    record.parent_id = Some(SpanId::from_entropy(9));
    record.method = Method::POST;
    record.query_names = vec!["token".into(), "code".into()];
    record.identity =
        Identity::User(Arc::new(User { subject: "google:42".into(), plan: Some("pro".into()), ..User::default() }));
    record.user_agent = Some((*b"curl/8").into());
    record.server = Some("127.0.0.1:3000".into());
    let attempt = |error| Attempt {
        server: "127.0.0.1:3000".into(),
        duration: Duration::from_millis(1),
        error,
        span_id: SpanId::from_entropy(1),
        began: Duration::ZERO,
    };
    record.attempts = vec![attempt(Some(Reason::UpstreamReset)), attempt(None)];
    record.policies = vec![refused("limits", Mode::Report, Reason::LimitsRate)];
    record.limits = vec![
        tally("per_ip", Mode::Enforce, Said::Admit, 299),
        tally("exempt:GET /x", Mode::Enforce, Said::Spare, 1),
        tally("api", Mode::Report, Said::Refuse, 0),
    ];
    let line = line(&record, AddressForm::Full);
    for expected in [
        "\"client_request_id\":\"client-id\",\"trace_id\":\"00000000000000000000000000000003\",\
         \"span_id\":\"0000000000000005\",\"parent_id\":\"0000000000000009\",\"method\":\"POST\"",
        "\"path\":\"/api/chat\",\"query_names\":[\"token\",\"code\"],\"kind\":\"api\"",
        "\"duration_ms\":812.401,\"latency_ms\":95.200,\"first_byte_ms\":94.000,\"upstream_ms\":93.100,\
         \"gateway_ms\":0.812,\"client_wait_ms\":718.489,\"store_wait_ms\":0.012,",
        "\"client_address\":\"203.0.113.7\",\"subject\":\"google:42\",\"plan\":\"pro\",\"user_agent\":\"curl/8\",\
         \"exempt\":\"GET /x\",\"server\":\"127.0.0.1:3000\",\"attempts\":[{\"server\":\"127.0.0.1:3000\",\"ms\":1.000,\
         \"error\":\"upstream.reset\"},{\"server\":\"127.0.0.1:3000\",\"ms\":1.000}],\"protocol\":\"h2\",\
         \"policies\":[{\"policy\":\"limits\",\"decision\":\"refuse\",\"mode\":\"report\",\"reason\":\"limits.rate\",\
         \"note\":\"said \\\"no\\\"\"}],\"limits\":[{\"name\":\"per_ip\",\"outcome\":\"admitted\",\
         \"remaining\":299},{\"name\":\"api\",\"outcome\":\"would_refuse\",\"remaining\":0}]}\n",
    ] {
        assert!(line.contains(expected), "{expected}\nis not in\n{line}");
    }
}

#[test]
fn policies_are_told_only_when_one_refused() {
    let mut record = record();
    let answer = Answer::Allow(Some("exempt".into()));
    record.policies.push(Asked { policy: "csrf", stage: Stage::Integrity, mode: Mode::Enforce, answer, span: None });
    assert!(!line(&record, AddressForm::Full).contains("policies"));
    record.policies.push(refused("limits", Mode::Enforce, Reason::LimitsRate));
    let line = line(&record, AddressForm::Full);
    assert!(line.contains("{\"policy\":\"csrf\",\"decision\":\"allow\",\"mode\":\"enforce\",\"note\":\"exempt\"}"));
}

#[test]
fn a_client_that_left_has_no_status() {
    let mut record = record();
    record.status = None;
    record.outcome = Outcome::ClientLeft;
    let line = line(&record, AddressForm::Full);
    assert_eq!(
        part(&line, "host", "duration_ms"),
        "\"host\":\"briefly.example\",\"class\":\"none\",\"outcome\":\"client_left\""
    );
}

#[test]
fn a_refusal_has_a_code() {
    let mut record = record();
    record.status = Some(StatusCode::TOO_MANY_REQUESTS);
    record.outcome = Outcome::Refused;
    record.code = Some(Reason::LimitsRate);
    let line = line(&record, AddressForm::Full);
    assert_eq!(part(&line, "outcome", "duration_ms"), "\"outcome\":\"refused\",\"code\":\"limits.rate\"");
}

#[test]
fn addresses_are_shown_as_asked() {
    for (client, form, expected) in [
        ("203.0.113.7", AddressForm::Masked, Some("\"client_address\":\"203.0.113.0/24\",")),
        ("2001:db8:1:2::3", AddressForm::Masked, Some("\"client_address\":\"2001:db8:1::/48\",")),
        ("2001:db8:1:2::3", AddressForm::Full, Some("\"client_address\":\"2001:db8:1:2::3\",")),
        ("203.0.113.7", AddressForm::Off, None),
    ] {
        let mut record = record();
        record.client = ClientIp::from(client.parse::<std::net::IpAddr>().unwrap());
        let line = line(&record, form);
        match expected {
            Some(expected) => assert!(line.contains(expected), "{line}"),
            None => assert!(!line.contains("client_address"), "{line}"),
        }
    }
}

#[test]
fn hostile_texts_stay_in_one_line() {
    let hostile =
        ["\n{\"event\":\"request\"", "\u{1b}[2J", "\0", "\u{2028}\u{2029}", "\u{9b}31m", "\"},{\"", "\\", "\r"];
    for text in hostile {
        let mut record = record();
        record.path = text.into();
        record.host = text.into();
        record.query_names = vec![text.into()];
        record.user_agent = Some([text.as_bytes(), b"\xff\xfe"].concat().into());
        let line = line(&record, AddressForm::Full);
        let (body, end) = line.split_at(line.len() - 1);
        assert_eq!(end, "\n");
        assert!(!body.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')), "{body}");
        assert_eq!(body.matches("{\"event\":\"request\"").count(), 1, "{body}");
    }
}
