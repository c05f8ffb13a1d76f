//! The guard asks every shape in order, fetches what it needs and acts on the answer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod policies;

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use palisade_core::record::Answer;
use palisade_core::{Mode, Reason, Stage};
use palisade_tower::guard::{Notes, REQUEST_STAGES, Ruling};
use palisade_tower::held::Held;
use policies::{Case, Hold, Late, Names, Say, Spend, Stamp, Upper, When, Word, question};

#[tokio::test]
async fn questions_are_asked_in_their_order_until_one_refuses() {
    let mut case = Case::new(vec![
        question("first", Stage::Shed, Mode::Enforce, Say::allow()),
        question("second", Stage::Identify, Mode::Enforce, Say::refuse(Reason::HttpUnknownHost)),
        question("third", Stage::Quota, Mode::Enforce, Say::refuse(Reason::LimitsRate)),
    ]);
    let ruling = case.ask(Notes::Full, "").await;
    assert!(matches!(ruling, Ruling::Refuse(refusal) if refusal.reason == Reason::HttpUnknownHost));
    assert_eq!(case.asked(), ["first", "second"]);
}

#[tokio::test]
async fn a_refusal_in_report_mode_is_noted_and_passes() {
    let mut case = Case::new(vec![
        question("reported", Stage::Shed, Mode::Report, Say::refuse(Reason::LimitsRate)),
        question("off", Stage::Shed, Mode::Off, Say::refuse(Reason::LimitsRate)),
    ]);
    assert!(matches!(case.ask(Notes::Brief, "").await, Ruling::Pass));
    assert_eq!(case.asked(), ["reported"]);
    assert!(matches!(case.passage.asked[0].answer, Answer::Refuse(_)));
}

#[tokio::test]
async fn a_policy_in_report_mode_changes_nothing_that_anyone_could_see() {
    let mut case = Case::new(vec![question("reported", Stage::Shed, Mode::Report, Say::stamp())]);
    case.ask(Notes::Brief, "").await;
    assert!(case.passage.response.is_empty() && case.passage.request.is_empty());
}

#[tokio::test]
async fn only_the_asked_stages_are_asked() {
    let mut case = Case::new(vec![
        question("early", Stage::Shed, Mode::Enforce, Say::allow()),
        question("late", Stage::Quota, Mode::Enforce, Say::allow()),
    ]);
    case.ask_stages(Stage::Shed..=Stage::Shed, Notes::Full, "").await;
    assert_eq!(case.asked(), ["early"]);
    case.ask_stages(Stage::Identify..=Stage::Shape, Notes::Full, "").await;
    assert_eq!(case.asked(), ["early", "late"]);
}

#[tokio::test]
async fn what_is_spent_after_a_body_came_is_spent_then() {
    let (before, after) = (When::default(), When::default());
    let mut case = Case::new(vec![
        question("before", Stage::Shed, Mode::Enforce, before.policy()),
        question("body", Stage::Quota, Mode::Enforce, Word::refused("evil")),
        question("after", Stage::Quota, Mode::Enforce, after.policy()),
    ]);
    case.ask_with(REQUEST_STAGES, Notes::Brief, &mut Held::new(Late)).await;
    let waited = after.asked().since(before.asked());
    assert!(waited >= Duration::from_millis(1), "{waited:?}");
}

#[tokio::test]
async fn a_meter_is_charged_until_its_bucket_is_empty() {
    let mut case = Case::new(vec![question("spend", Stage::Shed, Mode::Enforce, Spend::twice())]);
    for _ in 0..2 {
        assert!(matches!(case.ask(Notes::Brief, "").await, Ruling::Pass));
    }
    assert!(matches!(case.ask(Notes::Brief, "").await, Ruling::Refuse(_)));
}

#[tokio::test]
async fn what_is_reserved_is_given_back_when_all_is_dropped() {
    let mut case = Case::new(vec![question("hold", Stage::Shed, Mode::Enforce, Hold::one())]);
    assert!(matches!(case.ask(Notes::Brief, "").await, Ruling::Pass));
    assert!(matches!(case.ask(Notes::Brief, "").await, Ruling::Refuse(_)), "the slot is taken");
    case.passage = Default::default();
    assert!(matches!(case.ask(Notes::Brief, "").await, Ruling::Pass));
}

#[tokio::test]
async fn more_than_a_step_holds_is_never_charged() {
    let mut case = Case::new(vec![question("hold", Stage::Shed, Mode::Enforce, Hold::too_many())]);
    case.ask(Notes::Brief, "").await;
    assert_eq!(format!("{:?}", case.passage.reservations), "[]");
}

#[tokio::test]
async fn a_recall_is_given_the_record_it_asks_for() {
    let mut case = Case::new(vec![question("names", Stage::Identify, Mode::Enforce, Names::of("anna"))]);
    assert!(matches!(case.ask(Notes::Brief, "").await, Ruling::Refuse(_)), "nobody is known yet");
    case.remember("anna").await;
    assert!(matches!(case.ask(Notes::Brief, "").await, Ruling::Pass));
    assert_eq!(case.passage.identity.subject(), Some("anna"), "later policies see who it is");
}

#[tokio::test]
async fn an_examination_sees_the_body_and_the_application_receives_the_same_bytes() {
    let mut case = Case::new(vec![
        question("evil", Stage::Shape, Mode::Enforce, Word::refused("evil")),
        question("worse", Stage::Shape, Mode::Enforce, Word::refused("worse")),
    ]);
    let mut body = Held::new(Full::from("a good body"));
    assert!(matches!(case.ask_with(REQUEST_STAGES, Notes::Brief, &mut body).await, Ruling::Pass));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "a good body");
    assert!(matches!(case.ask(Notes::Brief, "an evil body").await, Ruling::Refuse(_)));
    assert!(matches!(case.ask(Notes::Brief, "a worse body").await, Ruling::Refuse(_)), "held bytes are fed again");
}

#[tokio::test]
async fn an_examination_reads_no_further_than_its_budget() {
    let mut case = Case::new(vec![question("evil", Stage::Shape, Mode::Enforce, Word::refused("evil"))]);
    let long = format!("{}evil", "x".repeat(Word::BUDGET));
    assert!(matches!(case.ask(Notes::Brief, &long).await, Ruling::Pass));
}

#[tokio::test]
async fn answers_are_dressed_and_rewritten() {
    let mut case = Case::new(vec![
        question("stamp", Stage::Dress, Mode::Enforce, Stamp::on("x-stamped")),
        question("reported", Stage::Dress, Mode::Report, Stamp::on("x-reported")),
        question("upper", Stage::Dress, Mode::Enforce, Upper::policy()),
    ]);
    let mut head = HeaderMap::new();
    head.insert("x-stamped", HeaderValue::from_static("by the application"));
    let mut rewritings = case.dress(StatusCode::OK, &mut head);
    assert_eq!(head.get_all("x-stamped").iter().collect::<Vec<_>>(), ["yes"]);
    assert!(!head.contains_key("x-reported"));
    assert_eq!(rewritings.len(), 1);
    assert_eq!(rewritings[0].feed("abc".into()), "ABC");
}

#[test]
fn a_request_is_a_navigation_only_if_a_browser_would_show_the_answer() {
    for (head, navigation) in [
        ("GET / HTTP/1.1\nSec-Fetch-Mode: navigate", true),
        ("POST / HTTP/1.1\nSec-Fetch-Mode: navigate", true),
        ("GET / HTTP/1.1\nSec-Fetch-Mode: cors\nAccept: text/html", false),
        ("GET / HTTP/1.1\nAccept: text/html,application/xhtml+xml", true),
        ("GET / HTTP/1.1\nAccept: */*", false),
        ("POST / HTTP/1.1\nAccept: text/html", false),
        ("GET / HTTP/1.1", false),
    ] {
        let request: Request<()> = policies::request(head);
        assert_eq!(policies::is_navigation(&request), navigation, "{head}");
    }
}
