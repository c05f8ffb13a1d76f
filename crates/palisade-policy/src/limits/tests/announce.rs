use http::HeaderValue;
use palisade_core::charge::Outage;
use palisade_core::{Bound, Dress, Item, KeyHash, Rate, Said, Shown, Stage};

use super::super::announce::{Announce, Style};
use super::*;

fn styled(style: &str) -> Gate {
    Gate::new([
        ("headers", Value::from(style)),
        ("per_ip", Value::from("300/m burst 100")),
        ("api", table([("on", Value::from("/api/**")), ("rate", Value::from("5/10m"))])),
    ])
}

fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut head = HeaderMap::new();
    for (name, value) in fields {
        head.append(*name, HeaderValue::from_static(value));
    }
    head
}

fn told(style: &str, path: &str, sent: &[(&'static str, &'static str)]) -> Vec<String> {
    let mut gate = styled(style);
    gate.now = 1_000 * SECOND + 1;
    let passed = gate.pass(&format!("GET {path} HTTP/1.1"), "192.0.2.1", 200, &head(sent));
    passed.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

#[test]
fn each_style_has_its_fields() {
    let policy = r#"ratelimit-policy: "per_ip";q=300;w=60;palisade-burst=100, "api";q=5;w=600"#;
    let state = r#"ratelimit: "per_ip";r=99;t=1, "api";r=4;t=120"#;
    assert_eq!(told("ietf", "/api/x", &[]), [policy, state]);
    assert_eq!(
        told("legacy", "/api/x", &[]),
        ["x-ratelimit-limit: 300", "x-ratelimit-remaining: 99", "x-ratelimit-reset: 1001"]
    );
    assert_eq!(told("both", "/api/x", &[]).len(), 5);
    assert_eq!(
        told("draft-6", "/other", &[]),
        ["ratelimit-policy: 300;w=60", "ratelimit-limit: 300", "ratelimit-remaining: 99", "ratelimit-reset: 1"]
    );
    assert_eq!(
        told("draft-7", "/other", &[]),
        ["ratelimit-policy: 300;w=60", "ratelimit: limit=300, remaining=99, reset=1"]
    );
    assert_eq!(told("off", "/api/x", &[]), Vec::<String>::new());
}

#[test]
fn one_limit_is_told_where_there_is_room_for_one() {
    let mut gate = styled("draft-7");
    let empty = HeaderMap::new();
    let mut ask = || gate.pass("GET /api/x HTTP/1.1", "192.0.2.1", 200, &empty).field("ratelimit").unwrap();
    assert_eq!(ask(), "limit=300, remaining=99, reset=1", "the smallest share");
    ask();
    ask();
    ask();
    assert_eq!(ask(), "limit=5, remaining=0, reset=120");
    assert_eq!(ask(), "limit=5, remaining=0, reset=120", "the one that refuses");
}

#[test]
fn limits_are_told_in_the_order_of_the_config() {
    let limit = |key: &str| table([("key", Value::from(key)), ("rate", Value::from("9/m"))]);
    let entries = [("per_ip", Value::from("9/m")), ("late", limit("user")), ("early", limit("ip"))];
    let passed = Gate::new(entries).pass("GET / HTTP/1.1", "192.0.2.1", 200, &HeaderMap::new());
    let names: Vec<_> = passed.tallies.iter().map(|tally| &*tally.item.name).collect();
    assert_eq!(names, ["per_ip", "early", "late"], "as they were asked");
    let told = r#""per_ip";r=8;t=7, "late";r=8;t=7, "early";r=8;t=7"#;
    assert_eq!(passed.field("ratelimit").as_deref(), Some(told));
}

#[test]
fn an_applications_own_stay() {
    let own = r#""app";r=5"#;
    let fields = told("ietf", "/other", &[("ratelimit", own)]);
    assert_eq!(fields[0], format!("ratelimit: {own}"));
    assert_eq!(fields[1], r#"ratelimit: "per_ip";r=99;t=1"#);
    assert_eq!(told("draft-7", "/other", &[("ratelimit", own)]), [format!("ratelimit: {own}")]);

    let three = |left| [("x-ratelimit-limit", "9"), ("x-ratelimit-remaining", left), ("x-ratelimit-reset", "7")];
    assert_eq!(told("legacy", "/other", &three("98"))[1], "x-ratelimit-remaining: 98");
    assert_eq!(told("legacy", "/other", &three("100"))[1], "x-ratelimit-remaining: 99");
    assert_eq!(told("legacy", "/other", &three("much"))[1], "x-ratelimit-remaining: 99");
    assert_eq!(told("legacy", "/other", &three("1")[1..])[0], "x-ratelimit-remaining: 99", "the set is whole");
}

#[test]
fn a_redirect_that_used_something_up_says_nothing() {
    let check = |status: u16, asked: usize, sent: &[(&'static str, &'static str)], expected: usize| {
        let mut gate = styled("ietf");
        for _ in 1..asked {
            gate.get("/api/x");
        }
        let passed = gate.pass("GET /api/x HTTP/1.1", "192.0.2.1", status, &head(sent));
        assert_eq!(passed.fields.len(), expected, "{status} {asked} {:?}", passed.fields);
    };
    check(302, 5, &[], 0);
    check(200, 5, &[], 2);
    check(302, 4, &[], 2);
    check(302, 1, &[("ratelimit", r#""app";r=5, "b";r=0"#)], 0);
    check(302, 1, &[("ratelimit", r#""app";r=05;t=1"#)], 3);
}

/// The time until the budget is whole, also of one that is overdrawn.
#[test]
fn budgets_tell_when_they_are_whole() {
    let rate = Rate::new(1_000, Duration::from_secs(1_000), 1_000).unwrap();
    let item = Arc::new(Item {
        limit: "chat".into(),
        place: 0,
        name: "chat".into(),
        stage: Stage::Quota,
        key: "user".into(),
        bound: Bound::Rate(rate),
        shown: Shown::Tokens,
        outage: Outage::default(),
    });
    let check = |remaining, next_unit: Option<u64>, expected: &str| {
        let next_unit = next_unit.map(Duration::from_secs);
        let tally =
            Tally { item: item.clone(), key: KeyHash(1), mode: Mode::Enforce, said: Said::Admit, remaining, next_unit };
        let (mut edits, head) = (HeaderEdits::none(), HeaderMap::new());
        with_client("GET / HTTP/1.1", client("192.0.2.1"), |view| {
            let response = ResponseView { status: StatusCode::OK, head: &head, length: None };
            Announce::new(Style::Ietf).dress(&View { limits: &[tally], ..*view }, &response, &mut edits);
        });
        let told = crate::testing::edits("", &edits);
        assert!(told.ends_with(&format!("x-ratelimit-reset-tokens = {expected}")), "{told}");
    };
    check(1_000, None, "0s");
    check(900, Some(1), "1m40s");
    check(0, Some(1), "16m40s");
    check(0, Some(701), "28m20s");
}
