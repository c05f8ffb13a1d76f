use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use palisade_core::charge::{Cell, State, Step, step};
use palisade_core::config::{Decode, Entry, Files, Node, Place, Problems, Setting, Table, Value};
use palisade_core::{Dress as _, HeaderEdits, KeyHash, Mode, Monotonic, Now, Policy, ResponseView, Stage, Utc};
use proptest::prelude::*;

use super::config::{RawLimits, compile};
use super::*;
use crate::Context;
use crate::testing::{client, decision, edits, with, with_client};

const SECOND: u64 = 1_000_000_000;

/// A limit and counters as naive as can be.
struct Metered {
    limit: PerIp,
    states: HashMap<KeyHash, State>,
}

impl Metered {
    fn new(count: u32, window_s: u64, burst: u32, announce: Announce) -> Self {
        let rate = Rate::new(count, Duration::from_secs(window_s), burst).unwrap();
        Self { limit: PerIp::new(rate, announce, &[7; 16]).unwrap(), states: HashMap::new() }
    }

    /// What a request from `address` at `nanos` is answered.
    fn ask(&mut self, address: &str, nanos: u64) -> String {
        let now = Now { monotonic: Monotonic::from_nanos(nanos), utc: Utc::from_nanos(nanos) };
        let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
        with_client("GET /x HTTP/1.1", client(address), |view| self.limit.charges(view, &mut charges));
        let state = |charge: &Charge| self.states.get(&charge.key).copied().unwrap_or_default();
        let before: Vec<_> = charges.list.iter().map(state).collect();
        let mut after = before.clone();
        match step(&charges, &mut after, &mut [], now, &mut verdicts) {
            Step::Made => self.states.extend(charges.list.iter().map(|charge| charge.key).zip(after)),
            Step::Refused => charges.tell_uncharged(&mut before.clone(), now, &mut verdicts),
        }
        with("GET /x HTTP/1.1", |view| decision(&self.limit.decide(view, &charges, &verdicts)))
    }
}

#[test]
fn one_address() {
    let mut metered = Metered::new(5, 600, 5, Announce::Ietf);
    let fields = |state: &str| {
        format!(r#", response + ratelimit-policy = "per_ip";q=5;w=600, response + ratelimit = "per_ip";{state}"#)
    };
    let allow = |state: &str| format!("allow{}", fields(state));
    let refuse = |wait: &str, state: &str| {
        format!("refuse limits.rate 429, retry after {wait}, violated per_ip{}", fields(state))
    };
    assert_eq!(metered.ask("192.0.2.1", 0), allow("r=4;t=120"));
    for _ in 0..3 {
        metered.ask("192.0.2.1", 0);
    }
    assert_eq!(metered.ask("192.0.2.1", 0), allow("r=0;t=120"));
    assert_eq!(metered.ask("192.0.2.1", 0), refuse("120s", "r=0;t=120"));
    assert_eq!(metered.ask("192.0.2.1", 120 * SECOND - 1), refuse("1ns", "r=0;t=1"));
    assert_eq!(metered.ask("192.0.2.2", 0), allow("r=4;t=120"));
    assert_eq!(metered.ask("::ffff:192.0.2.2", 0), allow("r=3;t=120"));
    assert_eq!(metered.ask("192.0.2.1", 120 * SECOND), allow("r=0;t=120"));
}

#[test]
fn a_burst_is_told_only_if_it_differs() {
    let answer = Metered::new(600, 60, 100, Announce::Ietf).ask("192.0.2.1", 0);
    assert!(answer.contains(r#""per_ip";q=600;w=60;palisade-burst=100,"#), "{answer}");
    assert!(answer.ends_with(r#""per_ip";r=99;t=1"#), "{answer}");
}

#[test]
fn the_ladder_is_told_when_it_refuses() {
    let mut metered = Metered::new(5, 600, 5, Announce::Ietf);
    for prefix in 0..20 {
        let answer = metered.ask(&format!("2001:db8:1:{prefix:x}::1"), 0);
        assert_eq!(
            answer,
            r#"allow, response + ratelimit-policy = "per_ip";q=5;w=600, response + ratelimit = "per_ip";r=4;t=120"#
        );
    }
    assert_eq!(
        metered.ask("2001:db8:1:14::1", 0),
        r#"refuse limits.rate 429, retry after 30s, violated per_ip/56, response + ratelimit-policy = "per_ip";q=5;w=600, "per_ip/56";q=20;w=600, response + ratelimit = "per_ip";r=5, "per_ip/56";r=0;t=30"#
    );
    assert!(metered.ask("2001:db8:1:100::1", 0).starts_with("allow"), "another /56");
}

#[test]
fn all_that_refuse_are_named_and_the_longest_wait_counts() {
    let mut metered = Metered::new(1, 16, 1, Announce::Off);
    for site in 0..16 {
        assert_eq!(metered.ask(&format!("2001:db8:1:{site:x}00::1"), 0), "allow");
    }
    assert_eq!(
        metered.ask("2001:db8:1:f00::2", 0),
        "refuse limits.rate 429, retry after 16s, violated per_ip per_ip/48"
    );
    assert_eq!(metered.ask("2001:db8:1:ff00::1", 0), "refuse limits.rate 429, retry after 1s, violated per_ip/48");
}

#[test]
fn a_redirect_that_used_up_the_limit_says_nothing() {
    let check = |status: u16, fields: &[&'static str], expected: &str| {
        let mut head = HeaderMap::new();
        for field in fields {
            head.append("ratelimit", field.parse().unwrap());
        }
        let response = ResponseView { status: StatusCode::from_u16(status).unwrap(), head: &head, length: None };
        let mut found = HeaderEdits::none();
        with("GET /x HTTP/1.1", |view| Redirects.dress(view, &response, &mut found));
        assert_eq!(edits("", &found), expected, "{status} {fields:?}");
    };
    let removed = ",  - ratelimit,  - ratelimit-policy";
    check(302, &[r#""per_ip";r=0;t=1"#], removed);
    check(302, &[r#""app";r=5, "b";r=0"#, r#""per_ip";r=1;t=1"#], removed);
    check(302, &[r#""per_ip";r=1;t=1"#], "");
    check(302, &[r#""per_ip";r=05;t=1"#, r#""per_ip";r=10"#], "");
    check(302, &[], "");
    check(200, &[r#""per_ip";r=0;t=1"#], "");
}

/// What the table comes to: each question's name, stage and mode, then each problem.
fn compiled(entries: Option<&[(&str, &str)]>) -> Vec<String> {
    let (files, mut problems) = (Files::default(), Problems::default());
    let entry = |(name, value): &(&str, &str)| Entry {
        name: (*name).to_owned(),
        name_span: None,
        node: Node::unplaced(Value::from(*value)),
    };
    let place = Place::top().child("limits", None);
    let raw = entries.map(|entries| {
        let table = Value::Table(Table::new(entries.iter().map(entry).collect()));
        let value = RawLimits::decode(&Node::unplaced(table), &place, &mut problems).unwrap();
        Setting { value, place: place.clone() }
    });
    let context = Context { files: &files, public: None, hosts: Vec::new(), seed: [0; 16] };
    let compiled = compile(raw, &context, &mut problems);
    let questions = compiled
        .questions
        .iter()
        .map(|question| format!("{} {} {}", question.name, question.stage.name(), question.mode.name()));
    questions.chain(problems.iter().map(|problem| problem.message.clone())).collect()
}

#[test]
fn limits_are_enforced_once_they_are_written() {
    assert_eq!(compiled(None), ["limits shed report"]);
    assert_eq!(compiled(Some(&[])), ["limits shed enforce", "limits dress enforce"]);
    assert_eq!(compiled(Some(&[("mode", "report")])), ["limits shed report"]);
    assert_eq!(compiled(Some(&[("mode", "off")])), ["limits shed off", "`limits.mode` is off"]);
    assert_eq!(compiled(Some(&[("per_ip", "off")])), ["`limits.per_ip` is off"]);
    assert_eq!(compiled(Some(&[("per_ip", "62500/s")])), ["limits shed enforce", "limits dress enforce"]);
    assert_eq!(
        compiled(Some(&[("per_ip", "63000/s")])),
        ["`limits.per_ip` is too fast for the IPv6 ladder, whose /48 has sixteen times as much"]
    );
}

#[test]
fn report_mode_tells_clients_nothing() {
    let (files, mut problems) = (Files::default(), Problems::default());
    let context = Context { files: &files, public: None, hosts: Vec::new(), seed: [0; 16] };
    let compiled = compile(None, &context, &mut problems);
    let Policy::Meter(limit) = &compiled.questions[0].policy else { panic!("a meter") };
    assert_eq!((compiled.questions[0].stage, compiled.questions[0].mode), (Stage::Shed, Mode::Report));
    with("GET /x HTTP/1.1", |view| {
        let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
        limit.charges(view, &mut charges);
        step(&charges, &mut [State::default()], &mut [], view.now, &mut verdicts);
        assert_eq!(decision(&limit.decide(view, &charges, &verdicts)), "allow");
        let mut spent = [State { cell: Cell::from_word(u64::MAX >> 1), ..State::default() }];
        step(&charges, &mut spent, &mut [], view.now, &mut verdicts);
        let refused = decision(&limit.decide(view, &charges, &verdicts));
        assert_eq!(refused, "refuse limits.rate 429, retry after 200ms, violated per_ip");
    });
}

proptest! {
    /// However a client changes its address within a prefix, it gains at most the prefix's factor.
    #[test]
    fn rotation_gains_at_most_the_factor(tails in proptest::collection::vec(any::<u128>(), 1..200)) {
        for (bits, burst) in [(64, 3), (56, 12), (48, 48)] {
            let mut metered = Metered::new(3, 3_600, 3, Announce::Off);
            let network = 0x2001_0db8_0001_0000_0000_0000_0000_0000_u128;
            let admitted = tails.iter().filter(|tail| {
                let address = network | (**tail >> bits);
                metered.ask(&std::net::Ipv6Addr::from(address).to_string(), 0) == "allow"
            });
            prop_assert!(admitted.count() <= burst);
        }
    }
}
