use super::*;

fn stages(compiled: &Compiled) -> Vec<String> {
    let told = compiled.questions.iter().map(|question| {
        assert_eq!(question.name, "limits");
        format!("{} {} {}", question.policy.shape(), question.stage.name(), question.mode.name())
    });
    told.collect()
}

#[test]
fn limits_are_enforced_once_they_are_written() {
    let check = |entries: Option<Value>, expected: &[&str]| {
        let (compiled, problems) = compiled(entries, MethodOverride::Drop);
        let all: Vec<_> = stages(&compiled).into_iter().chain(problems).collect();
        assert_eq!(all, expected);
    };
    let enforced = ["meter shed enforce", "dress dress enforce"];
    check(None, &["meter shed report"]);
    check(Some(table([])), &enforced);
    check(Some(table([("mode", Value::from("report"))])), &["meter shed report"]);
    check(Some(table([("mode", Value::from("off"))])), &["config.off: `limits.mode` is off"]);
    let all_off =
        table([("per_ip", Value::from("off")), ("assets", Value::from("off")), ("preflight", Value::from("off"))]);
    let off = |name: &str| format!("config.off: `limits.{name}` is off");
    check(Some(all_off), &[&off("per_ip"), &off("assets"), &off("preflight")]);
    check(Some(table([("per_ip", Value::from("62500/s"))])), &enforced);
    check(Some(table([("headers", Value::from("off"))])), &["meter shed enforce"]);
    check(
        Some(table([
            ("per_user", Value::from("9/m")),
            ("a", table([("rate", Value::from("1/m")), ("mode", Value::from("report"))])),
        ])),
        &["meter shed enforce", "meter shed report", "meter quota enforce", "dress dress enforce"],
    );
    let by_plan = table([("key", Value::from("ip")), ("rate", table([("anon", Value::from("1/m"))]))]);
    check(Some(table([("a", by_plan)])), &["meter shed enforce", "meter quota enforce", "dress dress enforce"]);
    let by_field = table([("key", Value::from("body.email + ip")), ("rate", Value::from("1/m"))]);
    check(
        Some(table([("a", by_field)])),
        &["meter shed enforce", "examine quota enforce", "meter quota enforce", "dress dress enforce"],
    );
}

/// One limit called `api`, and what is said about it.
fn check(entries: Vec<(&str, Value)>, expected: &[&str]) {
    let (_, problems) = compiled(Some(table([("api", table(entries))])), MethodOverride::Drop);
    assert_eq!(problems, expected);
}

#[test]
fn what_can_not_be_meant_is_refused_with_a_reason() {
    let rate = |rate: &str| ("rate", Value::from(rate));
    check(vec![rate("20/min")], &["config.invalid_value: `limits.api.rate` has an unknown window (write `20/m`)"]);
    check(
        vec![],
        &["config.missing_key: [limits.api] says neither `rate` nor `quota` nor `concurrent` (how much may be used?)"],
    );
    // Scenario 17.
    check(
        vec![rate("5/10m"), ("cost", Value::from(6))],
        &["config.conflict: limit api costs 6, more than its burst of 5: it would refuse all"],
    );
    check(
        vec![("quota", Value::from("5 per day")), ("cost", Value::from(6))],
        &["config.conflict: limit api costs 6, more than its quota of 5: it would refuse all"],
    );
    check(vec![rate("5/10m"), ("cost", Value::from(5))], &[]);
    check(
        vec![rate("5/m"), ("key", Value::from("user + adress"))],
        &[
            "config.invalid_value: `limits.api.key` has the unknown part `adress` (ip, user, api_key, route, header.<name>, claim.<path>, body.<field>, global; several with + between them)",
        ],
    );
    check(
        vec![rate("5/m"), ("key", Value::from("usr"))],
        &["config.invalid_value: `limits.api.key` has the unknown part `usr` (did you mean `user`?)"],
    );
    check(
        vec![rate("5/m"), ("key", Value::from("ip + ip"))],
        &["config.invalid_value: `limits.api.key` has the part `ip` twice"],
    );
    check(
        vec![rate("5/m"), ("on", Value::from("api"))],
        &["config.invalid_value: `limits.api.on` is not `[METHOD ]/path` (`api` does not begin with a slash)"],
    );
    check(vec![("rate", table([]))], &["config.invalid_value: `limits.api.rate` names no plan"]);
    check(
        vec![rate("63000/s")],
        &[
            "config.out_of_range: the rate of limit api is too fast for the ladder of address prefixes, of which one has 16 times as much (at most 62500 per second)",
        ],
    );
    check(
        vec![("verify", Value::from("x")), rate("1/m")],
        &[
            "config.unknown_key: `verify` is not a key of [limits.api] (its keys are on, key, rate, quota, concurrent, cost, reserve, default_output, count, hold, ban, ban_after, ban_within, mode, outage)",
        ],
    );
}

#[test]
fn exemptions_are_exact_and_have_a_ceiling() {
    let check = |target: &str, ceiling: Value, expected: &[&str]| {
        let (_, problems) = compiled(Some(table([("exempt", table([(target, ceiling)]))])), MethodOverride::Drop);
        assert_eq!(problems, expected, "{target}");
    };
    let ceiling = || Value::from("60/m per ip");
    check("GET /auth/callback", ceiling(), &[]);
    check("GET,POST /hooks/**", table([("rate", ceiling())]), &[]);
    check(
        "/auth/callback",
        ceiling(),
        &[
            "config.invalid_value: `limits.exempt.\"/auth/callback\"` names no method (write `POST /auth/callback`, say)",
        ],
    );
    let wildcard = |target: &str| {
        format!(
            "config.invalid_value: `limits.exempt.{target:?}` is exempt with a wildcard (an exemption is exact, or ends in `/**` below a path)"
        )
    };
    check("GET /a/*", ceiling(), &[&wildcard("GET /a/*")]);
    check("GET /a/{id}/**", ceiling(), &[&wildcard("GET /a/{id}/**")]);
    check("GET /**", ceiling(), &[&wildcard("GET /**")]);
    check("GET /a", table([]), &["config.missing_key: [limits.exempt.\"GET /a\"] needs the key `rate`"]);
    check(
        "POST /hook",
        Value::from("100/s"),
        &[
            "config.weak: the ceiling of `POST /hook` is for all together, so anyone can use it up (write `per ip` behind the rate for one ceiling for each address)",
        ],
    );
    check(
        "POST /hook",
        table([("rate", Value::from("100/s")), ("verify", Value::from("stripe"))]),
        &[
            "config.not_available: `limits.exempt.\"POST /hook\".verify` can't be verified: that comes with the webhook policy",
        ],
    );
}

#[test]
fn a_limit_that_can_never_apply_is_an_error() {
    let check = |on: Value, exempt: &str, expected: usize| {
        let entries = [
            ("exempt", table([(exempt, Value::from("60/m per ip"))])),
            ("api", table([("on", on), ("rate", Value::from("1/m"))])),
        ];
        let (_, problems) = compiled(Some(table(entries)), MethodOverride::Drop);
        assert_eq!(problems.len(), expected, "{exempt}: {problems:?}");
        assert!(
            problems
                .iter()
                .all(|problem| problem == "config.conflict: [limits.api] can never apply: its path is exempt")
        );
    };
    check(Value::from("POST /hook"), "POST /hook", 1);
    check(Value::from("POST /hook"), "GET,POST /hook", 1);
    check(Value::from("GET,POST /hook"), "POST /hook", 0);
    check(Value::from("/hook"), "POST /hook", 0);
    check(Value::from("POST /hook/{id}"), "POST /hook/**", 1);
    check(Value::from("POST /hook/**"), "POST /hook/**", 1);
    check(Value::from("POST /hook/**"), "POST /hook/x", 0);
    check(Value::from("POST /**"), "POST /hook/**", 0);
    check(list(["POST /hook", "POST /other"]), "POST /hook", 0);
}

#[test]
fn what_holds_less_than_it_seems_is_warned_of() {
    let rate = ("rate", Value::from("5/m"));
    check(
        vec![rate.clone(), ("key", Value::from("header.x-tenant"))],
        &["config.weak: `limits.api.key` is chosen by the client alone, who can change it at will (add `ip + `)"],
    );
    check(vec![rate, ("key", Value::from("header.x-tenant + ip"))], &[]);
    let statuses = || Value::List(vec![Node::unplaced(Value::Integer(401))]);
    let account =
        |rate: &str| vec![("rate", Value::from(rate)), ("key", Value::from("body.email")), ("count", statuses())];
    check(account("20/h"), &[]);
    check(
        account("19/h"),
        &[
            "config.weak: [limits.api] is tight, so whoever knows an account's name can lock it out (at least 20 per hour, and a tight limit by `ip` beside it)",
        ],
    );
    check(
        vec![("rate", Value::from("30/h")), ("key", Value::from("body.email"))],
        &["config.weak: `limits.api.key` is chosen by the client alone, who can change it at will (add `ip + `)"],
    );
    let plans = |plans: &[&str]| table(plans.iter().map(|plan| (*plan, Value::from("5/m"))).collect::<Vec<_>>());
    check(
        vec![("key", Value::from("user")), ("rate", plans(&["free", "pro"]))],
        &["config.plan_gap: [limits.api] has no rate for `anon`, so the strictest counts there"],
    );
    let (_, problems) = compiled(
        Some(table([
            ("per_user", plans(&["anon", "free", "pro"])),
            ("api", table([("rate", plans(&["anon", "free"]))])),
        ])),
        MethodOverride::Drop,
    );
    assert_eq!(
        problems,
        [
            "config.plan_gap: `limits.api.rate` does not name the plan `pro`, as `limits.per_user` does (the strictest entry counts for it)"
        ]
    );
}

#[test]
fn what_counts_and_what_bans() {
    let rate = || ("rate", Value::from("5/m"));
    let statuses = |status: i64| Value::List(vec![Node::unplaced(Value::Integer(status))]);
    check(vec![rate(), ("count", statuses(401)), ("hold", Value::from("1s"))], &[]);
    check(
        vec![rate(), ("count", statuses(99))],
        &["config.out_of_range: `limits.api.count` must be between 100 and 599"],
    );
    check(vec![rate(), ("count", list([]))], &["config.invalid_value: `limits.api.count` names no answer that counts"]);
    check(
        vec![rate(), ("count", table([("location_contains", Value::from("error="))]))],
        &["config.missing_key: [limits.api.count] needs the key `status`"],
    );
    check(
        vec![rate(), ("hold", Value::from("1m"))],
        &["config.shadowed: `limits.api.hold` has no effect without `count` or `cost = \"tokens\"`"],
    );
    check(vec![rate(), ("ban", list(["15m", "1h"])), ("ban_after", Value::from(16))], &[]);
    check(vec![rate(), ("ban", list([]))], &["config.out_of_range: `limits.api.ban` must have one to 8 lengths"]);
    check(
        vec![rate(), ("ban", list(["1m"; 9]))],
        &["config.out_of_range: `limits.api.ban` must have one to 8 lengths"],
    );
    check(
        vec![rate(), ("ban", list(["1m"])), ("ban_after", Value::from(17))],
        &["config.out_of_range: `limits.api.ban_after` must be between 1 and 16"],
    );
    check(vec![rate(), ("key", Value::from("header.x")), ("count", statuses(401))], &[]);
}

#[test]
fn budgets_of_tokens() {
    let tokens = || ("cost", Value::from("tokens"));
    let quota = || ("quota", Value::from("1000 per day"));
    check(vec![tokens(), quota(), ("reserve", Value::from("auto")), ("default_output", Value::from(9))], &[]);
    check(vec![tokens(), quota(), ("reserve", Value::from(2_000)), ("hold", Value::from("1h"))], &[]);
    check(
        vec![tokens(), ("concurrent", Value::from(2))],
        &[
            "config.missing_key: [limits.api] budgets tokens, and says neither `rate` nor `quota` (how many may be used?)",
        ],
    );
    check(
        vec![quota(), ("reserve", Value::from("auto")), ("default_output", Value::from(9))],
        &[
            "config.shadowed: `limits.api.reserve` has no effect without `cost = \"tokens\"`",
            "config.shadowed: `limits.api.default_output` has no effect without `cost = \"tokens\"`",
        ],
    );
    let statuses = Value::List(vec![Node::unplaced(Value::Integer(401))]);
    check(
        vec![tokens(), quota(), ("count", statuses)],
        &[
            "config.conflict: `limits.api.count` counts answers, and `cost = \"tokens\"` what they used (make it a limit of its own)",
        ],
    );
}

#[test]
fn there_are_at_most_so_many() {
    let many = |count: usize, on: &dyn Fn(usize) -> String| {
        let names: Vec<String> = (0..count).map(|at| format!("l{at}")).collect();
        let limits = names.iter().enumerate().map(|(at, name)| {
            (name.as_str(), table([("on", Value::from(on(at).as_str())), ("rate", Value::from("1/m"))]))
        });
        compiled(Some(table(limits)), MethodOverride::Drop).1
    };
    // `per_ip` counts too; `assets` and `preflight` stand in for it.
    assert_eq!(many(63, &|at| format!("/{at}")), Vec::<String>::new());
    assert_eq!(
        many(64, &|at| format!("/{at}")),
        ["config.out_of_range: 65 limits are more than the 64 that there may be"]
    );
    assert_eq!(many(15, &|_| "/a".to_owned()), Vec::<String>::new());
    assert_eq!(
        many(16, &|_| "/a".to_owned()),
        ["config.out_of_range: 17 limits would be on one request; at most 16 are asked together"]
    );
}

#[test]
fn ladders() {
    let (_, problems) = compiled(Some(table([("ipv6_prefix", Value::from(48))])), MethodOverride::Drop);
    let wider = |bits: u32| {
        format!("config.conflict: `limits.ipv6_ladder.{bits}` is no wider prefix than `ipv6_prefix`, which is 48")
    };
    assert_eq!(problems, [wider(56), wider(48)]);
    let mut gate = Gate::new([
        ("per_ip", Value::from("1/h")),
        ("ipv4_ladder", table([("24", Value::from(2))])),
        ("ipv6_prefix", Value::from(128)),
        ("ipv6_ladder", table([("64", Value::from(3))])),
    ]);
    let mut ask = |address: &str| gate.pass("GET / HTTP/1.1", address, 200, &HeaderMap::new()).answer();
    assert_eq!([ask("192.0.2.1"), ask("192.0.2.2")], ["allow", "allow"]);
    assert_eq!(ask("192.0.2.3"), "429 limits.rate, violated per_ip/24, retry after 1800s");
    assert_eq!(["::1", "::2", "::3"].map(&mut ask), ["allow"; 3]);
    assert_eq!(ask("::4"), "429 limits.rate, violated per_ip/64, retry after 1200s");
}

/// What is said about a whole table.
fn said(entries: Vec<(&str, Value)>) -> Vec<String> {
    compiled(Some(table(entries)), MethodOverride::Drop).1
}

fn one(entries: &[(&str, &str)]) -> Value {
    table(entries.iter().map(|(name, value)| (*name, Value::from(*value))))
}

#[test]
fn what_has_no_address_needs_no_ladder() {
    for key in ["global", "route", "route + global"] {
        assert_eq!(said(vec![("api", one(&[("rate", "100000/s"), ("key", key)]))]), Vec::<String>::new(), "{key}");
    }
    assert_eq!(said(vec![("api", one(&[("rate", "100000/s"), ("key", "route + ip")]))]).len(), 1);
    let exempt = one(&[("POST /hook", "100000/s")]);
    let found = said(vec![("exempt", exempt)]);
    assert!(found.iter().all(|problem| problem.starts_with("config.weak")), "{found:?}");
}

#[test]
fn a_step_holds_what_a_ladder_makes_of_it() {
    let ladder = |rungs: u8| {
        let bits: Vec<String> = (0..rungs).map(|rung| (32 + rung).to_string()).collect();
        table(bits.iter().map(|bits| (bits.as_str(), Value::from(2))))
    };
    assert_eq!(said(vec![("ipv6_ladder", ladder(5))]), Vec::<String>::new());
    assert_eq!(
        said(vec![("ipv6_ladder", ladder(6))]),
        ["config.out_of_range: `limits.ipv6_ladder` has 6 prefixes, and a request is charged for at most 5"]
    );
}

#[test]
fn one_counter_is_charged_once() {
    let keys = |keys: [&str; 2]| table([("rate", Value::from("5/m")), ("key", list(keys))]);
    assert_eq!(said(vec![("api", keys(["ip", "user"]))]), Vec::<String>::new());
    for twice in [["ip", "ip"], ["ip + route", "ip+route"]] {
        let found = said(vec![("api", keys(twice))]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("config.conflict: `limits.api.key` has"), "{found:?}");
    }
}

#[test]
fn limits_that_everybody_has_do_not_count() {
    let named = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("l{at}")).collect();
        let limit = |at: usize| one(&[("rate", "5/m"), ("on", &format!("/{at}"))]);
        let mut entries: Vec<_> = names.iter().enumerate().map(|(at, name)| (name.as_str(), limit(at))).collect();
        entries.push(("per_ip", Value::from("off")));
        let problems = said(entries);
        problems.into_iter().filter(|problem| !problem.starts_with("config.off")).collect::<Vec<_>>()
    };
    assert_eq!(named(64), Vec::<String>::new());
    assert_eq!(named(65), ["config.out_of_range: 65 limits are more than the 64 that there may be"]);
}

#[test]
fn a_tight_quota_locks_out_as_a_tight_rate_does() {
    let account = |quota: &str| {
        let count = Value::List(vec![Node::unplaced(Value::from(401))]);
        let entries = [("quota", Value::from(quota)), ("key", Value::from("body.email + ip")), ("count", count)];
        said(vec![("sign_in", table(entries))])
    };
    assert_eq!(account("480 per day"), Vec::<String>::new());
    let found = account("479 per day");
    assert!(
        matches!(found.as_slice(), [weak] if weak.starts_with("config.weak: [limits.sign_in] is tight")),
        "{found:?}"
    );
}

#[test]
fn names_can_be_told_in_fields() {
    let keys = table([("rate", Value::from("5/m")), ("key", list(["ip", "claim.a\"b"]))]);
    let (compiled, problems) = compiled(Some(table([("api", keys)])), MethodOverride::Drop);
    assert_eq!(problems, Vec::<String>::new());
    let mut gate = Gate::of(compiled);
    let answer = gate.get("/x");
    assert!(answer.contains("api.claim.a%22b"), "{answer}");
}

#[test]
fn plans_have_a_bound() {
    let plans = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("p{at}")).collect();
        let rates = table(names.iter().map(|name| (name.as_str(), Value::from("5/m"))));
        said(vec![("api", table([("rate", rates)]))])
    };
    assert_eq!(plans(64), Vec::<String>::new());
    let found = plans(65);
    assert!(matches!(found.as_slice(), [problem] if problem.contains("names more than 64 plans")), "{found:?}");
}
