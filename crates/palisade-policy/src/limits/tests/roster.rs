use palisade_core::overrides::Until;
use palisade_core::{Bar, KeyHash, Override, Overrides};

use super::super::roster::{LookError, Settable};
use super::*;

const UTC: Utc = Utc::from_nanos(0);

fn limit<'a>(key: &'a str, rate: &'a str) -> [(&'a str, Value); 3] {
    [("on", Value::from("/api/**")), ("key", Value::from(key)), ("rate", Value::from(rate))]
}

fn roster_of(key: &str) -> Compiled {
    let (compiled, problems) = compiled(Some(table([("api", table(limit(key, "5/10m")))])), MethodOverride::Drop);
    assert!(problems.iter().all(|problem| problem.starts_with("config.weak")), "{problems:?}");
    compiled
}

/// Whether a counter that is named is the one that a request is charged to.
#[test]
fn a_named_counter_is_the_one_that_requests_charge() {
    let check = |key: &str, request: &str, user: Option<&str>, address: &str, name: &str, text: &str, shown: &str| {
        let compiled = roster_of(key);
        let roster = compiled.roster.clone();
        let mut gate = Gate::of(compiled);
        if let Some(subject) = user {
            gate.user(subject, None);
        }
        assert!(gate.pass(request, address, 200, &HeaderMap::new()).refusal.is_none());
        let look = roster.look(name, text, None, None, UTC).unwrap();
        assert_eq!((&*look.limit, &*look.key), (name, shown));
        assert!(gate.states.contains_key(&look.charges.list[0].key), "{key}: {text}");
        let other = roster.look(name, text, None, None, UTC).unwrap();
        assert_eq!(other.hash, look.hash);
        let by_hash = format!("#{:032x}", look.hash.0);
        assert_eq!(roster.look(name, &by_hash, None, None, UTC).unwrap().hash, look.hash, "{by_hash}");
    };
    let plain = "GET /api/x HTTP/1.1";
    check("ip", plain, None, "192.0.2.1", "api", "ip:192.0.2.1", "ip:192.0.2.1");
    check("ip", plain, None, "2001:db8:1:2::1", "api", "ip:2001:db8:1:2::9", "ip:2001:db8:1:2::");
    check("ip", plain, None, "2001:db8:1:2::1", "api/56", "ip:2001:db8:1:2::/56", "ip:2001:db8:1::");
    check("user", plain, Some("google:42"), "192.0.2.1", "api", "user:google:42", "user:google:42");
    check("user", plain, Some("a+b%"), "192.0.2.1", "api", "user:a%2bb%25", "user:a%2Bb%25");
    check("user", plain, None, "192.0.2.1", "api", "ip:192.0.2.1", "ip:192.0.2.1");
    check("route", plain, None, "192.0.2.1", "api", "route:unmatched", "route:unmatched");
    check("global", plain, None, "192.0.2.1", "api", "global", "global");
    let tenant = "GET /api/x HTTP/1.1\nx-tenant: acme";
    check("header.x-tenant", tenant, None, "192.0.2.1", "api", "header.x-tenant:acme", "header.x-tenant:acme");
    let text = "user:g:1+header.x-tenant:acme";
    check("user + header.x-tenant", tenant, Some("g:1"), "192.0.2.1", "api", text, text);
    let text = "ip:192.0.2.1+header.x-tenant:acme";
    check("user + header.x-tenant", tenant, None, "192.0.2.1", "api", text, text);
}

#[test]
fn what_names_no_counter_says_how_they_are_named() {
    let (limit, user) = (roster_of("user + route").roster, "user:google:42");
    for text in ["", "user:1", "ip:1.2.3.4", "user:1+route:", "user:1+route:/x+ip:1.1.1.1", "#12", "route:/x+user:1"] {
        let error = limit.look("api", text, None, None, UTC).unwrap_err();
        assert!(error.to_string().contains(&format!("{user}+route:/api/chat")), "{text}: {error}");
    }
    let addresses = roster_of("ip").roster;
    for text in ["ip:", "ip:x", "ip:1.2.3", "1.2.3.4", "ip:1.2.3.4/x", "ip:1.2.3.0/24", "ip:2001:db8::/32", "user:1"] {
        assert!(matches!(addresses.look("api", text, None, None, UTC), Err(LookError::Key(_))), "{text}");
    }
    assert!(matches!(addresses.look("api/56", "ip:1.2.3.4", None, None, UTC), Err(LookError::Key(_))), "no IPv4");
    let error = addresses.look("ap", "ip:1.2.3.4", None, None, UTC).unwrap_err();
    assert_eq!(error.to_string(), "there is no limit `ap`; there are `per_ip`, `assets`, `preflight`, `api`");
    assert!(addresses.find("api/57").is_err());
}

#[test]
fn limits_are_listed_with_what_they_admit() {
    let plans = table([("free", Value::from("5/m")), ("pro", Value::from("unlimited"))]);
    let entries = [("rate", plans), ("key", Value::from("user")), ("quota", Value::from("200 per day"))];
    let (compiled, _) = compiled(Some(table([("api", table(entries))])), MethodOverride::Drop);
    let api = compiled.roster.find("api").unwrap();
    let bounds = api.bounds.iter().map(|(plan, bound)| (plan.as_deref(), bound.to_string())).collect::<Vec<_>>();
    assert_eq!(bounds, [(Some("free"), "5/m".to_owned()), (None, "200 per day".to_owned())]);
    assert_eq!((api.stage, api.mode, &*api.key), (palisade_core::Stage::Quota, Mode::Enforce, "user"));
    let rate_of = |plan| {
        let look = compiled.roster.look("api", "user:1", plan, None, UTC).unwrap();
        (look.charges.list.len(), look.settable)
    };
    assert_eq!([rate_of(Some("free")), rate_of(Some("pro"))], [(2, Settable::Rate(1)), (1, Settable::Nothing)]);
}

fn overriding(hash: KeyHash, set: Override) -> Overrides {
    [(hash, set)].into_iter().collect()
}

#[test]
fn an_operator_sets_another_rate_and_a_ban() {
    let compiled = roster_of("ip");
    let meters: Vec<_> = compiled
        .questions
        .iter()
        .filter_map(|question| match &question.policy {
            Policy::Meter(meter) => Some(meter.clone()),
            _ => None,
        })
        .collect();
    let hash = compiled.roster.look("api", "ip:2001:db8::1", None, None, UTC).unwrap().hash;
    let charges = |overrides: &Overrides, address: &str, seconds: u64| {
        with_client("GET /api/x HTTP/1.1", client(address), |view| {
            let now = Now { monotonic: Monotonic::from_nanos(0), utc: Utc::from_nanos(seconds * SECOND) };
            let view = View { overrides: Some(overrides), now, ..*view };
            let mut charges = Charges::default();
            meters.iter().for_each(|meter| meter.charges(&view, &mut charges));
            charges
        })
    };
    let end = Utc::from_nanos(10 * SECOND);
    let rate = palisade_core::Rate::new(50, Duration::from_secs(600), 50).unwrap();
    let raised = overriding(hash, Override { rate: Some(Until { value: rate, end }), ..Override::default() });
    let api =
        |charges: &Charges| charges.list.iter().filter(|charge| charge.bound.to_string().ends_with("/10m")).count();
    let own = charges(&raised, "2001:db8::1", 0);
    assert!(own.list.iter().any(|charge| charge.bound == palisade_core::Bound::Rate(rate)));
    assert_eq!(api(&own), 1, "wider prefixes don't count it");
    assert_eq!(api(&charges(&raised, "2001:db8:0:1::1", 0)), 3, "of another client they do");
    assert_eq!(api(&charges(&raised, "2001:db8::1", 10)), 3, "it ends by itself");

    let banned = overriding(hash, Override { ban: Some(Until { value: (), end }), ..Override::default() });
    let barred = charges(&banned, "2001:db8::1", 4);
    assert!(matches!(barred.bar, Some(Bar { left, .. }) if left == Duration::from_secs(6)), "{:?}", barred.bar);
    assert_eq!(charges(&banned, "2001:db8::1", 10).bar, None);
    let wider = compiled.roster.look("api/56", "ip:2001:db8::1", None, None, UTC).unwrap().hash;
    let banned_wider = overriding(wider, Override { ban: Some(Until { value: (), end }), ..Override::default() });
    assert!(charges(&banned_wider, "2001:db8:0:1::1", 4).bar.is_some(), "all of the prefix");
    assert_eq!(charges(&banned_wider, "2001:db8:1::1", 4).bar, None);
    assert_eq!(charges(&banned, "2001:db8:0:1::1", 4).bar, None);
}

/// A plan without a bound is no way around a ban.
#[test]
fn who_is_unlimited_can_be_banned() {
    let plans = table([("anon", Value::from("5/m")), ("pro", Value::from("unlimited"))]);
    let mut gate = Gate::api([("rate", plans), ("key", Value::from("user"))]);
    let hash = gate.roster.look("api", "user:g:1", None, None, UTC).unwrap().hash;
    gate.user("g:1", Some("pro"));
    let pass = |gate: &mut Gate| gate.pass("GET /api/x HTTP/1.1", "192.0.2.1", 200, &HeaderMap::new()).refusal;
    assert!(pass(&mut gate).is_none());
    let ban = Some(Until { value: (), end: Utc::from_nanos(10 * SECOND) });
    gate.overrides = Some(overriding(hash, Override { ban, ..Override::default() }));
    let refusal = pass(&mut gate).unwrap();
    assert_eq!((refusal.reason, &*refusal.violated), (palisade_core::Reason::LimitsBanned, &["api".into()][..]));
}
