use super::*;

fn gate(further: &[(&'static str, Value)]) -> Gate {
    let limit = [("on", Value::from("POST /sign-in")), ("rate", Value::from("3/15m"))];
    Gate::new([
        ("per_ip", Value::from("62500/s")),
        ("sign_in", table(limit.into_iter().chain(further.iter().cloned()))),
    ])
}

fn statuses<const N: usize>(statuses: [i64; N]) -> Value {
    Value::List(statuses.into_iter().map(|status| Node::unplaced(Value::Integer(status))).collect())
}

impl Gate {
    /// One sign-in that the application answers with `status`.
    fn sign_in(&mut self, status: u16) -> String {
        let passed = self.pass("POST /sign-in HTTP/1.1", "192.0.2.1", status, &HeaderMap::new());
        let told = passed.field("ratelimit").unwrap();
        assert!(!told.contains("sign_in"), "nobody is told: {told}");
        passed.answer()
    }
}

/// Scenarios 18 and 19.
#[test]
fn only_failures_count() {
    let mut gate = gate(&[("count", statuses([401, 403]))]);
    for _ in 0..100 {
        assert_eq!(gate.sign_in(200), "allow");
    }
    assert_eq!([gate.sign_in(401), gate.sign_in(500), gate.sign_in(403), gate.sign_in(401)], ["allow"; 4]);
    assert_eq!(gate.sign_in(200), "429 limits.rate, violated sign_in, retry after 300s");
    gate.now = 300 * SECOND;
    assert_eq!(gate.sign_in(200), "allow", "a right one costs nothing");
    assert_eq!(gate.sign_in(401), "allow");
    assert!(gate.sign_in(200).starts_with("429"));
}

#[test]
fn redirects_count_by_where_they_lead() {
    let count = table([("status", statuses([401])), ("location_contains", Value::from("error="))]);
    let mut gate = gate(&[("count", count)]);
    let mut ask = |location: &'static str| {
        let mut head = HeaderMap::new();
        head.insert("location", http::HeaderValue::from_static(location));
        gate.pass("POST /sign-in HTTP/1.1", "192.0.2.1", 302, &head).answer()
    };
    for _ in 0..5 {
        assert_eq!(ask("/home"), "allow");
    }
    for _ in 0..3 {
        assert_eq!(ask("/sign-in?error=password"), "allow");
    }
    assert!(ask("/home").starts_with("429"));
}

/// Scenario 20.
#[test]
fn bans_grow_and_are_their_keys_own() {
    let ban = list(["1m", "5m"]);
    let mut gate = Gate::api([("rate", Value::from("5/10m")), ("ban", ban)]);
    for _ in 0..5 {
        assert!(gate.get("/api").starts_with("allow"));
    }
    let refused = |wait: u32| format!("429 limits.rate, violated api, retry after {wait}s \"api\";r=0;t={wait}");
    let banned = |wait: u32, t: u32| format!("429 limits.banned, violated api, retry after {wait}s \"api\";r=0;t={t}");
    assert_eq!([gate.get("/api"), gate.get("/api"), gate.get("/api")], [refused(120), refused(120), banned(60, 120)]);
    assert!(gate.ask("GET /api", "192.0.2.2").starts_with("allow"));
    assert_eq!(gate.get("/other"), "allow", "elsewhere there is no limit");
    gate.now = 30 * SECOND;
    assert_eq!(gate.get("/api"), banned(30, 90));
    gate.now = 60 * SECOND;
    assert_eq!([gate.get("/api"), gate.get("/api"), gate.get("/api")], [refused(60), refused(60), banned(300, 60)]);
    gate.now = 120 * SECOND;
    assert!(gate.get("/api").starts_with("429 limits.banned, violated api, retry after 240s"), "though one would fit");
    gate.now = 361 * SECOND;
    assert!(gate.get("/api").starts_with("allow"));
}

#[test]
fn what_others_of_a_network_do_bans_nobody() {
    let mut gate = Gate::api([("rate", Value::from("1/10m")), ("ban", list(["1m"]))]);
    for site in 0..4 {
        assert!(gate.ask("GET /api", &format!("2001:db8:1:{site:x}::1")).starts_with("allow"));
    }
    for _ in 0..5 {
        let refused = gate.ask("GET /api", "2001:db8:1:9::1");
        assert!(refused.starts_with("429 limits.rate, violated api/56,"), "{refused}");
    }
}

#[test]
fn a_ban_is_told_once_with_what_else_refuses() {
    let limit = |ban: bool| {
        let ban = ban.then(|| ("ban", list(["1m"])));
        table([("rate", Value::from("1/10m"))].into_iter().chain(ban))
    };
    let mut gate = Gate::new([("per_ip", Value::from("62500/s")), ("a", limit(false)), ("b", limit(true))]);
    assert!(gate.get("/").starts_with("allow"));
    for _ in 0..2 {
        assert!(gate.get("/").starts_with("429 limits.rate, violated a b, retry after 600s"));
    }
    let passed = gate.pass("GET / HTTP/1.1", "192.0.2.1", 200, &HeaderMap::new());
    assert_eq!(passed.answer(), "429 limits.rate, violated a b, retry after 600s", "the first one's code");
    let said: Vec<_> = passed.tallies.iter().map(|tally| tally.said).collect();
    assert_eq!(said, [palisade_core::Said::Spare, palisade_core::Said::Refuse, palisade_core::Said::Ban]);
}

#[test]
fn a_ban_stands_for_all_that_its_limit_refuses() {
    let mut gate = Gate::api([
        ("rate", Value::from("1/10m")),
        ("quota", Value::from("1 per day")),
        ("ban", list(["1m"])),
        ("ban_after", Value::from(1)),
    ]);
    assert!(gate.get("/api").starts_with("allow"));
    let refused = gate.get("/api");
    assert!(refused.starts_with("429 limits.banned, violated api, retry after 60s"), "{refused}");
}

#[test]
fn reported_ones_ban_nobody() {
    let mut gate = Gate::api([("rate", Value::from("1/10m")), ("ban", list(["1m"])), ("mode", Value::from("report"))]);
    for _ in 0..9 {
        assert_eq!(gate.get("/api"), "allow");
    }
}
