//! What the way of an ordinary request through these policies may allocate.
//!
//! The counting allocator is that of a test-only crate; it counts per thread.

use allocation_counter::measure;
use http::StatusCode;
use palisade_core::charge::{State, step};
use palisade_core::config::{Decode as _, Files, Node, Place, Problems, Setting, Table, Value};
use palisade_core::{Charges, Decision, HeaderEdits, Policy, Question, ResponseView, Tally, Verdicts, View};

use crate::Context;
use crate::catalog::{Compiled, Raw, RawPolicies, compile};
use crate::host::Authority;
use crate::inbound::{Inbound, MethodOverride};
use crate::testing::{client, fields, with_client};

const NAMES: &str = "accept accept-encoding accept-language authorization cache-control content-length content-type \
    cookie accept-charset if-none-match origin pragma priority referer sec-ch-ua sec-fetch-mode traceparent \
    user-agent x-csrf-token x-requested-with";

fn compiled() -> Compiled {
    let (files, mut problems) = (Files::default(), Problems::default());
    let public = Setting { value: Authority::parse("briefly.example").unwrap(), place: Place::top() };
    let context = Context {
        files: &files,
        public: Some(public),
        hosts: Vec::new(),
        demo: crate::demo::Demo::Never,
        seed: [3; 16].into(),
    };
    let nothing = Node::unplaced(Value::Table(Table::default()));
    let raw = Raw {
        policies: RawPolicies::decode(&nothing, &Place::top(), &mut problems).unwrap(),
        method_override: MethodOverride::Drop,
        compress: Setting { value: Vec::new(), place: Place::top() },
    };
    let compiled = compile(raw, &context, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    compiled
}

/// Whether all policies let a request pass. Buckets are full.
fn is_allowed(questions: &[Question], view: &View<'_>, tallies: &mut Vec<Tally>) -> bool {
    questions.iter().all(|question| {
        let decision = match &question.policy {
            Policy::Inspect(policy) => policy.decide(view),
            Policy::Meter(policy) => {
                let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
                policy.charges(view, &mut charges);
                step(&charges, &mut [State::default(); 8], &mut [], view.now, &mut verdicts);
                policy.tell(question.mode, &charges, &verdicts, tallies);
                policy.decide(view, &charges, &verdicts)
            }
            Policy::Recall(policy) => return policy.lookup(view).is_none(),
            Policy::Examine(policy) => return policy.begin(view).is_none(),
            Policy::Dress(_) | Policy::Transform(_) => return true,
        };
        matches!(decision, Decision::Allow(_))
    })
}

#[test]
fn an_ordinary_request_allocates_nothing() {
    let Compiled { questions, inbound, .. } = compiled();
    let names: Vec<_> = questions.iter().map(|question| (question.name, question.mode.name())).collect();
    let expected = [
        ("host", "enforce"),
        ("method", "enforce"),
        ("upgrade", "enforce"),
        ("limits", "report"),
        ("headers", "enforce"),
    ];
    for question in expected {
        assert!(names.contains(&question), "{question:?} is not in {names:?}");
    }
    let names: Vec<&str> = NAMES.split_ascii_whitespace().collect();
    let request = format!("GET /x HTTP/1.1\nhost: briefly.example\n{}: x", names.join(": x\n"));
    for address in ["192.0.2.1", "2001:db8::1"] {
        with_client(&request, client(address), |view| {
            // The guard's own, of which a request has one.
            let mut tallies = Vec::with_capacity(4);
            let count = measure(|| {
                assert!(names.iter().all(|name| inbound.verdict(name.as_bytes()) == Inbound::Keep));
                assert!(is_allowed(&questions, view, &mut tallies));
            });
            assert_eq!(count.count_total, 0, "{address}");
        });
    }
}

#[test]
fn dressing_a_page_allocates_once() {
    let questions = compiled().questions;
    let head = fields("server: x\nvia: x\nx-powered-by: x\nx-nextjs-cache: x\nx-runtime: x\ncontent-type: text/html");
    let response = ResponseView { status: StatusCode::OK, head: &head, length: None };
    with_client("GET /x HTTP/1.1", client("192.0.2.1"), |view| {
        let mut edits = HeaderEdits::none();
        let count = measure(|| {
            for question in &questions {
                if let Policy::Dress(policy) = &question.policy {
                    policy.dress(view, &response, &mut edits);
                }
            }
        });
        assert_eq!((count.count_total, edits.iter().count()), (1, 8));
    });
}
