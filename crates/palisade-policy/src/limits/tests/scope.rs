use super::*;

const WEBHOOK: &str = "POST /api/billing/webhook";

/// Three requests to `/api/**` and then none, but for what is exempt.
fn gate(overrides: MethodOverride) -> Gate {
    let api = table([("on", Value::from("/api/**")), ("rate", Value::from("3/10m"))]);
    let exempt = table([(WEBHOOK, Value::from("4/m per ip")), ("GET /api/hooks/**", Value::from("4/m per ip"))]);
    let entries = [("per_ip", Value::from("62500/s")), ("api", api), ("exempt", exempt)];
    let (compiled, problems) = compiled(Some(table(entries)), overrides);
    assert_eq!(problems, Vec::<String>::new());
    let mut gate = Gate::of(compiled);
    for _ in 0..3 {
        assert!(gate.get("/api/x").starts_with("allow"));
    }
    assert!(gate.get("/api/x").starts_with("429"));
    gate
}

/// Scenario 11.
#[test]
fn what_is_exempt_meets_its_ceiling_alone() {
    let mut gate = gate(MethodOverride::Drop);
    for left in (0..4).rev() {
        let expected = format!("allow \"exempt:{WEBHOOK}\";r={left};t=15");
        assert_eq!(gate.ask(WEBHOOK, "192.0.2.1"), expected);
    }
    let refused = format!("429 limits.rate, violated exempt:{WEBHOOK}, retry after 15s \"exempt:{WEBHOOK}\";r=0;t=15");
    assert_eq!(gate.ask(WEBHOOK, "192.0.2.1"), refused);
    assert!(gate.ask(WEBHOOK, "192.0.2.2").starts_with("allow"), "each address has its own");
    for path in ["/api/hooks", "/api/hooks/a", "/api/hooks/a/b"] {
        assert!(gate.get(path).starts_with("allow"), "{path}");
    }
}

/// Scenario 11, at one instant.
#[test]
fn a_ceiling_of_everybody_is_one_for_all() {
    let exempt = table([(WEBHOOK, Value::from("100/s"))]);
    let (compiled, problems) = compiled(Some(table([("exempt", exempt)])), MethodOverride::Drop);
    assert_eq!(problems.len(), 1, "anyone can use it up, so there is a warning");
    let mut gate = Gate::of(compiled);
    let answers: Vec<_> = (0..150).map(|number| gate.ask(WEBHOOK, &format!("192.0.2.{}", number % 50))).collect();
    let (admitted, refused) = answers.split_at(100);
    assert!(admitted.iter().all(|answer| answer.starts_with("allow")), "{admitted:?}");
    let violated = format!("429 limits.rate, violated exempt:{WEBHOOK}, ");
    assert!(refused.iter().all(|answer| answer.starts_with(&violated)), "{refused:?}");
}

/// Scenario 12: an exemption is exact.
#[test]
fn what_only_looks_exempt_is_not() {
    let mut gate = gate(MethodOverride::Drop);
    for request in [
        "POST /api/billing/webhook/",
        "POST /api/billing/webhook;x",
        "POST /api/x/api/billing/webhook",
        "POST /api/billing/webhook/../x",
        "POST /api/billing//webhook",
        "POST /API/billing/webhook",
        "POST /api/billing/%77ebhook",
        "POST /api/x?y=/api/billing/webhook",
        "GET /api/billing/webhook",
        "GET /api/hooks/../x",
        "GET /api/hooks/a/..",
        "HEAD /api/hooks/a",
    ] {
        assert!(gate.ask(request, "192.0.2.1").starts_with("429 limits.rate, violated api,"), "{request}");
    }
}

/// Scenario 5: a protection is broad.
#[test]
fn other_spellings_are_the_same_path() {
    let mut gate = gate(MethodOverride::Drop);
    for request in [
        "GET //api/x",
        "GET /API/x",
        "GET /api/./x",
        "GET /a/../api/x",
        "GET /%61pi/x",
        "GET /api;v=1/x",
        "GET /api%2fx",
        "HEAD /api/x",
    ] {
        assert!(gate.ask(request, "192.0.2.1").starts_with("429"), "{request}");
    }
}

#[test]
fn a_field_that_asks_for_another_method_is_limited_by_both_and_exempt_by_none() {
    let asked = |overrides, request: &str| gate(overrides).pass(request, "192.0.2.1", 200, &HeaderMap::new()).answer();
    let forged = "POST /api/billing/webhook HTTP/1.1\nx-http-method-override: DELETE";
    assert!(asked(MethodOverride::Allow, forged).starts_with("429 limits.rate, violated api,"));
    // Where they are dropped the edge has taken them out; what is left in a test changes nothing.
    assert_eq!(asked(MethodOverride::Drop, forged), "allow");

    let on = |on: &str| table([("on", Value::from(on)), ("rate", Value::from("1/h"))]);
    let entries = [("per_ip", Value::from("62500/s")), ("deletes", on("DELETE /x"))];
    let (compiled, _) = compiled(Some(table(entries)), MethodOverride::Allow);
    let mut gate = Gate::of(compiled);
    let forged = "POST /x HTTP/1.1\nx-method-override: DELETE";
    assert_eq!(gate.pass(forged, "192.0.2.1", 200, &HeaderMap::new()).answer(), "allow");
    assert!(gate.pass(forged, "192.0.2.1", 200, &HeaderMap::new()).answer().starts_with("429"));
    assert_eq!(gate.ask("POST /x", "192.0.2.1"), "allow");
    // Some application takes each of these for a DELETE.
    for fields in [
        "x-method-override: delete",
        "x-http-method-override: GET\nx-http-method-override: DELETE",
        "x-http-method-override: DELETE\nx-http-method-override: GET",
        "x-http-method-override: GET\nx-method-override: DELETE",
        "x-http-method-override:\nx-http-method: DELETE",
        "x-http-method-override: GET, DELETE",
    ] {
        let answer = gate.pass(&format!("POST /x HTTP/1.1\n{fields}"), "192.0.2.1", 200, &HeaderMap::new()).answer();
        assert!(answer.starts_with("429"), "{fields}: {answer}");
    }
    let other = "POST /x HTTP/1.1\nx-http-method-override: put";
    assert_eq!(gate.pass(other, "192.0.2.1", 200, &HeaderMap::new()).answer(), "allow");
    let odd = "POST /api/billing/webhook HTTP/1.1\nx-http-method-override: no method";
    assert!(asked(MethodOverride::Allow, odd).starts_with("429 limits.rate, violated api,"));
}

/// Scenario 14.
#[test]
fn preflights_count_in_their_own_limit() {
    let on = |on: &str| table([("on", Value::from(on)), ("rate", Value::from("2/10m"))]);
    let mut gate = Gate::new([
        ("per_ip", Value::from("3/10m")),
        ("preflight", Value::from("4/10m")),
        ("api", on("/api/**")),
        ("options", on("OPTIONS /api/named")),
    ]);
    let mut ask = |path: &str, fields: &str| {
        let request = format!("OPTIONS {path} HTTP/1.1\n{fields}");
        let passed = gate.pass(&request, "192.0.2.1", 200, &HeaderMap::new());
        passed.tallies.iter().map(|tally| tally.item.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    let preflight = "origin: https://a.example\naccess-control-request-method: POST";
    assert_eq!(ask("/api/x", preflight), "preflight");
    assert_eq!(ask("/api/named", preflight), "preflight options");
    assert_eq!(ask("/api/x", "origin: https://a.example"), "per_ip api");
}

#[test]
fn assets_stand_in_for_the_limits_of_all() {
    let mut gate = Gate::new([
        ("per_ip", Value::from("1/10m")),
        ("per_user", Value::from("1/10m")),
        ("assets", Value::from("2/10m")),
        ("named", table([("on", Value::from("/static/**")), ("rate", Value::from("9/10m"))])),
    ]);
    gate.kind = Kind::Asset;
    assert_eq!(gate.get("/static/a"), "allow \"assets\";r=1;t=300, \"named\";r=8;t=67");
    gate.kind = Kind::Page;
    assert_eq!(gate.get("/"), "allow \"per_user\";r=0;t=600");
    assert!(gate.get("/").starts_with("429 limits.rate, violated per_ip,"));
}

#[test]
fn a_request_that_meets_too_many_limits_is_refused() {
    // Sixteen limits at most can be on what is written plainly; this path reads in two ways.
    let limit = |on: String| table([("on", Value::from(on.as_str())), ("rate", Value::from("9/m"))]);
    let names: Vec<String> = (0..46).map(|at| format!("l{at}")).collect();
    let mut entries =
        vec![("ipv6_ladder", table([("56", Value::from(4)), ("48", Value::from(16)), ("40", Value::from(64))]))];
    for (at, name) in names.iter().enumerate() {
        let on = match at % 4 {
            0 => "/a/b".to_owned(),
            1 => format!("/a%2Fb/{at}"),
            2 => "/c".to_owned(),
            _ => format!("/d/{at}"),
        };
        entries.push((name.as_str(), limit(on)));
    }
    let mut gate = Gate::new(entries);
    assert!(gate.ask("GET /a%2Fb", "2001:db8::1").starts_with("allow"), "there is room for twice as many");
}
