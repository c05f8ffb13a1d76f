use http::{HeaderMap, StatusCode};
use palisade_core::decision::{Decision, Facts};
use palisade_core::policy::End;
use palisade_core::{Examine as _, Target};

use super::super::Scope;
use super::*;
use crate::inbound::MethodOverride;
use crate::testing::{fields, with};

fn used(status: u16, head: &str, chunks: &[&str], trailers: &str, bytes_in: u64) -> u128 {
    let head = fields(head);
    let response = ResponseView { status: StatusCode::from_u16(status).unwrap(), head: &head, length: None };
    let mut watching = Watching::new(&response);
    chunks.iter().for_each(|chunk| watching.see(chunk.as_bytes()));
    let mut trailers: HeaderMap = fields(trailers);
    watching.trailers(&mut trailers);
    assert!(!trailers.contains_key(&USED_FIELD));
    watching.found(bytes_in).hash
}

const JSON: &str = "content-type: application/json";
const EVENTS: &str = "content-type: text/event-stream; charset=utf-8";

#[test]
fn the_applications_own_word_comes_first() {
    let told = |value: &str| format!("{JSON}\npalisade-tokens-used: {value}");
    let body = [r#"{"usage":{"total_tokens":7}}"#];
    assert_eq!(used(200, &told("42"), &body, "", 0), 42);
    assert_eq!(used(500, &told("42"), &body, "", 0), 42);
    for nonsense in ["-5", "1e30", "much", "", "+1", "1234567890123"] {
        assert_eq!(used(200, &told(nonsense), &body, "", 0), 7, "{nonsense}");
    }
    assert_eq!(used(200, JSON, &body, "palisade-tokens-used: 9", 0), 9);
}

#[test]
fn usages_of_several_providers() {
    let check = |body: &str, expected: u128| assert_eq!(used(200, JSON, &[body], "", 400), expected, "{body}");
    check(r#"{"usage":{"total_tokens":7,"prompt_tokens":90}}"#, 7);
    check(r#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#, 7);
    check(r#"{"usage":{"input_tokens":3,"output_tokens":5}}"#, 8);
    check(r#"{"usage":{"promptTokens":3,"completionTokens":6}}"#, 9);
    check(r#"{"message":{"usage":{"input_tokens":3}}}"#, 3);
    check(r#"{"response":{"usage":{"total_tokens":11}}}"#, 11);
    // Else a guess: a quarter of the bytes each way.
    check(r#"{"usage":{"total_tokens":-5}}"#, 100 + 8);
    check(r#"{"usage":null,"x":1}"#, 100 + 5);
    check(r#"{"text":"say \"usage\": {\"total_tokens\": 0}"}"#, 100 + 12);
    assert_eq!(used(400, JSON, &[r#"{"error":"no"}"#], "", 400), 0);
    assert_eq!(used(200, "content-type: text/plain", &["12345678"], "", 4), 3);
    assert_eq!(
        used(200, &format!("{JSON}\ncontent-encoding: gzip"), &[r#"{"usage":{"total_tokens":7}}"#], "", 0),
        7,
        "as many bytes as that"
    );
}

#[test]
fn the_last_usage_of_a_stream_counts() {
    let stream = "data: {\"choices\":[]}\n\ndata: {\"usage\":{\"total_tokens\":3}}\r\n\r\nevent: x\ndata: {\"usage\":\ndata: {\"total_tokens\":400}}\n\ndata: [DONE]\n\n";
    assert_eq!(used(200, EVENTS, &[stream], "", 0), 400);
    let letters: Vec<String> = stream.chars().map(String::from).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    assert_eq!(used(200, EVENTS, &letters, "", 0), 400, "letter by letter");
    let old = stream.replace("\r\n", "\n").replace('\n', "\r");
    assert_eq!(used(200, EVENTS, &[&old], "", 0), 400, "lines that end in CR");
    // Without one: the request's bytes, and one for each event that came.
    assert_eq!(used(200, EVENTS, &["data: a\n\ndata: b\n\n: comment\n\ndata: [DONE]\n\ndata: cut"], "", 40), 12);
    let long = format!("data: {}\n\ndata: {{\"usage\":{{\"total_tokens\":5}}}}\n\n", "x".repeat(300 << 10));
    assert_eq!(used(200, EVENTS, &[&long], "", 0), 5);
    assert_eq!(
        used(200, JSON, &[&format!("{{\"x\":\"{}\",\"usage\":{{\"total_tokens\":5}}}}", "x".repeat(1 << 20))], "", 0),
        (1 << 18) + 9
    );
}

#[test]
fn estimates() {
    let check = |fields: &str, body: &str, end: End, expected: u32| {
        let on = Scope::On(vec![Target::parse("POST /chat").unwrap()]);
        let examine = Estimates { scopes: vec![on], exempt: Arc::new([]), overrides: MethodOverride::Drop };
        with(&format!("POST /chat HTTP/1.1\n{fields}"), |view| {
            let mut reading = examine.begin(view).unwrap();
            reading.feed(body.as_bytes());
            let Decision::Allow(effects) = reading.decide(end) else { panic!("{body}") };
            let mut facts = Facts::none();
            facts.extend(effects.facts);
            let view = View { facts: &facts, ..*view };
            let tokens = |reserve| Tokens { reserve, default_output: 1_000 }.estimate(&view);
            assert_eq!([tokens(Reserve::Auto), tokens(Reserve::Fixed(5))], [expected, 5], "{body}");
        });
    };
    check(JSON, r#"{"max_tokens":50}"#, End::Whole, 5 + 50);
    check(JSON, r#"{"max_tokens":50,"max_completion_tokens":7}"#, End::Whole, 11 + 7);
    check(JSON, r#"{"max_tokens":50,"max_output_tokens":0}"#, End::Whole, 10 + 50);
    check(JSON, r#"{"max_tokens":-50}"#, End::Whole, 5 + 1_000);
    check(JSON, r#"{"x":1}"#, End::Whole, 2 + 1_000);
    // The same number to whoever reads it.
    check(JSON, r#"{"max_tokens":5e1}"#, End::Whole, 5 + 50);
    check(JSON, r#"{"max_tokens":50.0}"#, End::Whole, 5 + 50);
    check(JSON, r#"{"max_tokens":0.5}"#, End::Whole, 5 + 1_000);
    // More than any budget, and nobody knows how much.
    check(JSON, r#"{"max_tokens":99999999999999999999}"#, End::Whole, u32::MAX);
    check(JSON, r#"{"max_tokens":1e999}"#, End::Whole, u32::MAX);
    check(JSON, r#"{"max_tokens":1,"max_tokens":50}"#, End::Whole, u32::MAX);
    check("content-type: text/plain", r#"{"max_tokens":50}"#, End::Whole, 5 + 1_000);
    check("content-length: 4000000", "12345678", End::Part, 1_000_000 + 1_000);
    check("", "", End::Whole, 1_000);
}
