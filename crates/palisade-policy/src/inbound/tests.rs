use palisade_core::config::{Decode, Entry, Node, Place, Problems, Table, Value};
use proptest::prelude::*;

use super::config::{RawInbound, compile};
use super::*;

fn filter(odd_names: OddNames, keep: &[&str], method_override: MethodOverride) -> InboundFilter {
    InboundFilter::new(odd_names, keep.iter().map(|name| name.parse().unwrap()).collect(), method_override)
}

fn check(filter: &InboundFilter, expected: Inbound, names: &str) {
    for name in names.split_ascii_whitespace() {
        assert_eq!(filter.verdict(name.as_bytes()), expected, "{name}");
    }
}

/// Names that ordinary clients send.
const ORDINARY: &str = "accept accept-encoding accept-language authorization cache-control connection content-length \
    content-type cookie host if-none-match next-action next-hmr-refresh next-router-prefetch \
    next-router-state-tree next-url origin pragma priority purpose range referer rsc sec-ch-ua \
    sec-fetch-mode sentry-trace te traceparent upgrade-insecure-requests user-agent x-api-key \
    x-csrf-token x-requested-with x-request-id x x- xpalisade-user palisade x-forwarded x-hostname \
    x-isrx remote-users forwardeds a-x-palisade-user";

#[test]
fn names_are_taken_out_by_normal_form() {
    // Odd names are kept, so that only the table can take anything out.
    let filter = filter(OddNames::Keep, &[], MethodOverride::Drop);
    check(&filter, Inbound::Keep, ORDINARY);
    let listed = "palisade-user X-Palisade-User x-PALISADE-assertion X_Palisade_User X.Palisade.User x-forwarded-user \
        X-Forwarded-For x-forwarded-access-token x-auth-request-email Remote_User remote-groups \
        x-authenticated-userid Forwarded X-Real-IP CF-Connecting-IP true-client-ip x-rewrite-url \
        front_end_https X-HTTP-Method-Override x-http-method x-method-override x-middleware-subrequest \
        x-nextjs-data x-matched-path next-resume x-invoke-path x-isr x-prerender-revalidate \
        Content-Security-Policy content-security-policy-report-only X-Nonce";
    check(&filter, Inbound::Drop, listed);
    for (_, names) in TABLE {
        for name in *names {
            check(&filter, Inbound::Drop, &name.replace('*', "anything"));
            check(&filter, Inbound::Drop, &name.to_uppercase().replace('-', "_"));
        }
    }
}

#[test]
fn odd_names_follow_the_config() {
    let odd = "my_header my.header a! x_forwarded_for _";
    let drop = filter(OddNames::Drop, &[], MethodOverride::Drop);
    check(&drop, Inbound::Drop, odd);
    check(&drop, Inbound::Keep, ORDINARY);
    check(&filter(OddNames::Reject, &[], MethodOverride::Drop), Inbound::Reject, odd);
    let keep = filter(OddNames::Keep, &[], MethodOverride::Drop);
    check(&keep, Inbound::Keep, "my_header my.header a! _");
    check(&keep, Inbound::Drop, "x_forwarded_for X.Palisade.User");
}

#[test]
fn kept_names_pass_as_they_are_spelled() {
    let filter = filter(OddNames::Reject, &["x-nextjs-data", "my_header"], MethodOverride::Drop);
    check(&filter, Inbound::Keep, "x-nextjs-data X-NextJS-Data My_Header");
    check(&filter, Inbound::Reject, "x_nextjs_data my.header");
    check(&filter, Inbound::Drop, "x-matched-path");
}

#[test]
fn method_overrides_may_be_allowed() {
    let filter = filter(OddNames::Drop, &[], MethodOverride::Allow);
    check(&filter, Inbound::Keep, "X-HTTP-Method-Override x-http-method x-method-override");
    check(&filter, Inbound::Drop, "x-forwarded-for");
}

#[test]
fn what_poses_as_the_gateway_cant_be_kept() {
    let check = |name: &str, expected: &[&str]| {
        let mut problems = Problems::default();
        let list = Value::List(vec![Node::unplaced(Value::from(name))]);
        let entry = Entry { name: "keep".to_owned(), name_span: None, node: Node::unplaced(list) };
        let node = Node::unplaced(Value::Table(Table::new(vec![entry])));
        let place = Place::top().child("headers", None).child("inbound", None);
        let raw = RawInbound::decode(&node, &place, &mut problems).unwrap();
        compile(raw, MethodOverride::Drop, &mut problems);
        assert_eq!(problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>(), expected, "{name}");
    };
    check("x-nextjs-data", &[]);
    check("x-forwarded-user", &[]);
    check("X-Palisade-User", &["`headers.inbound.keep` names `x-palisade-user`, which no client may send"]);
    check("palisade_run", &["`headers.inbound.keep` names `palisade_run`, which no client may send"]);
    check(
        "x-middleware-subrequest",
        &["`headers.inbound.keep` names `x-middleware-subrequest`, which no client may send"],
    );
    check("x-nonce", &["`headers.inbound.keep` names `x-nonce`, which no client may send"]);
}

/// The rule as it is written, without an index.
fn naive(name: &str) -> Inbound {
    let normal: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let is_listed = TABLE.iter().flat_map(|(_, names)| *names).any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => normal.starts_with(beginning),
        None => normal == *pattern,
    });
    if is_listed { Inbound::Drop } else { Inbound::Keep }
}

proptest! {
    #[test]
    fn the_index_finds_what_the_table_says(
        group in 0..TABLE.len(), which in any::<prop::sample::Index>(), end in "[a-z*_.-]{0,3}", cut in 0..3_usize,
    ) {
        let names = TABLE[group].1;
        let name = names[which.index(names.len())];
        let name = format!("{}{end}", &name[..name.len() - cut]);
        let filter = filter(OddNames::Keep, &[], MethodOverride::Drop);
        prop_assert_eq!(filter.verdict(name.as_bytes()), naive(&name), "{}", name);
    }
}
