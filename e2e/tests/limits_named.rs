//! Limits of one's own, exemptions, and what a client is told: the acceptance scenarios of limits,
//! by their numbers.

use std::process::Command;

use e2e::{Gateway, Launch, Received, Wire, within};
use palisade_testkit::upstream::{Answer, Upstream};
use rustix::process::Signal;
use serde_json::json;

/// The configuration of the acceptance scenarios, with further lines below `[limits]` and `[app]`.
fn config(upstream: &Upstream, app: &str, limits: &str) -> String {
    format!(
        "[app]\nupstream = \"{}\"\n{app}\n[limits]\nper_ip = \"off\"\n{limits}\n\
         [limits.api]\non = \"/api/**\"\nkey = \"ip\"\nrate = \"5/10m\"\n",
        upstream.url()
    )
}

async fn start(app: &str, limits: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::config(config(&upstream, app, limits)).start().await;
    (upstream, gateway)
}

/// `api` is used up and has refused once.
async fn after_3(gateway: &Gateway) {
    for number in 1..=6 {
        let status = gateway.get("/api/x").await.status;
        assert_eq!(status, if number == 6 { 429 } else { 200 }, "request {number}");
    }
}

async fn send(gateway: &Gateway, line: &str, fields: &str) -> Received {
    let mut wire = Wire::open(gateway.public).await;
    wire.send(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await.unwrap();
    if line.starts_with("HEAD ") { wire.head().await.unwrap() } else { wire.answer().await.unwrap() }
}

/// Sends as many of the same at once as there are connections, and gives their statuses.
async fn flood(gateway: &Gateway, path: &str, connections: usize, each: usize) -> Vec<u16> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (address, path) = (gateway.public, path.to_owned());
        tasks.spawn(async move {
            let mut wire = Wire::open(address).await;
            let mut statuses = Vec::new();
            for _ in 0..each {
                statuses.push(wire.get(&path).await.unwrap().status);
            }
            statuses
        });
    }
    within("the flood", tasks.join_all()).await.concat()
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|found| **found == status).count()
}

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.0/8\"]";

#[tokio::test]
async fn scenarios_1_and_2_the_fields_and_the_refusal() {
    let (upstream, gateway) = start("", "").await;
    for left in (0..5).rev() {
        let answer = gateway.get("/api/x").await;
        assert_eq!((answer.status, answer.field("retry-after")), (200, None));
        assert_eq!(answer.field("ratelimit-policy").as_deref(), Some("\"api\";q=5;w=600"));
        assert_eq!(answer.field("ratelimit"), Some(format!("\"api\";r={left};t=120")));
    }
    let refused = gateway.get("/api/x").await;
    assert_eq!(refused.refusal(), "429 limits.rate");
    assert_eq!(refused.field("content-type").as_deref(), Some("application/problem+json"));
    assert_eq!(refused.field("cache-control").as_deref(), Some("no-store"));
    assert_eq!(refused.field("retry-after").as_deref(), Some("120"));
    assert_eq!(refused.field("ratelimit-policy").as_deref(), Some("\"api\";q=5;w=600"));
    assert_eq!(refused.field("ratelimit").as_deref(), Some("\"api\";r=0;t=120"));
    let problem = refused.problem();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["title"], "Request cannot be satisfied as assigned quota has been exceeded");
    assert_eq!(problem["violated-policies"], json!(["api"]));
    assert_eq!(upstream.seen().requests(), 5);
}

#[tokio::test]
async fn scenario_4_parallel_requests_are_counted_exactly() {
    let (upstream, gateway) = start("", "").await;
    let statuses = flood(&gateway, "/api/x", 10, 5).await;
    assert_eq!((count(&statuses, 200), count(&statuses, 429)), (5, 45));
    assert_eq!(upstream.seen().requests(), 5);
    let other = gateway.get("/other").await;
    assert_eq!((other.status, other.field("ratelimit")), (200, None));
    assert_eq!(count(&flood(&gateway, "/other", 4, 25).await, 200), 100);
}

#[tokio::test]
async fn scenarios_5_to_7_no_spelling_and_no_forged_address_gets_through() {
    let (upstream, gateway) = start("", "").await;
    after_3(&gateway).await;
    for line in [
        "GET //api/x",
        "GET /API/x",
        "GET /api/./x",
        "GET /a/../api/x",
        "GET /%61pi/x",
        "GET /api;v=1/x",
        "GET /api%2fx",
        "HEAD /api/x",
    ] {
        assert_eq!(send(&gateway, line, "").await.status, 429, "{line}");
    }
    assert_eq!(send(&gateway, "GET /api/x", "X-Forwarded-For: 9.9.9.9\r\n").await.status, 429);
    assert_eq!(upstream.seen().requests(), 5);
    let (upstream, gateway) = start("", "").await;
    for path in ["/api/..%2fx", "/api/%00", "/api\\x", "/../api/x", "/api/%zz"] {
        assert_eq!(send(&gateway, &format!("GET {path}"), "").await.refusal(), "400 path.malformed", "{path}");
    }
    assert_eq!(upstream.seen().requests(), 0);
    assert_eq!(gateway.get("/api/x").await.field("ratelimit").as_deref(), Some("\"api\";r=4;t=120"));
}

#[tokio::test]
async fn scenarios_8_to_10_addresses_behind_a_proxy() {
    let (_upstream, gateway) = start(TRUSTED, "").await;
    let from = |address: String| {
        let gateway = &gateway;
        async move { send(gateway, "GET /api/x", &format!("X-Forwarded-For: {address}\r\n")).await }
    };
    for number in 1..=6 {
        let status = from(format!("6.6.6.{number}, 1.2.3.4")).await.status;
        assert_eq!(status, if number == 6 { 429 } else { 200 }, "request {number}");
    }
    assert_eq!(from("1.2.3.5, garbage".to_owned()).await.status, 200);
    for host in 1..=6 {
        assert_eq!(from(format!("2001:db8:1:2::{host}")).await.status, if host == 6 { 429 } else { 200 });
    }
    assert_eq!(from("2001:db8:1:3::1".to_owned()).await.status, 200);
    for network in 1..=20 {
        assert_eq!(from(format!("2001:db8:2:{network:x}::1")).await.status, 200, "network {network}");
    }
    let refused = from("2001:db8:2:15::1".to_owned()).await;
    assert_eq!(refused.problem()["violated-policies"], json!(["api/56"]));
    assert_eq!(refused.field("retry-after").as_deref(), Some("30"));
}

const EXEMPT: &str = "[limits.exempt]\n\"POST /api/billing/webhook\" = \"100/s\"\n";

#[tokio::test]
async fn scenarios_11_and_12_exemptions_are_exact() {
    let (upstream, gateway) = start("", EXEMPT).await;
    after_3(&gateway).await;
    let mut wire = Wire::open(gateway.public).await;
    for number in 0..50 {
        wire.send("POST /api/billing/webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert_eq!(wire.answer().await.unwrap().status, 200, "webhook {number}");
    }
    let seen = upstream.seen().requests();
    for line in [
        "POST /api/billing/webhook/",
        "POST /api/billing/webhook;x",
        "POST /api/x/api/billing/webhook",
        "POST /api/billing/webhook/../x",
        "POST /api/billing//webhook",
        "POST /API/billing/webhook",
        "POST /api/x?y=/api/billing/webhook",
        "GET /api/billing/webhook",
    ] {
        let answer = send(&gateway, line, "Content-Length: 0\r\n").await;
        assert_eq!((answer.status, answer.problem()["violated-policies"].clone()), (429, json!(["api"])), "{line}");
    }
    assert_eq!(upstream.seen().requests(), seen);
}

/// Found out here by a ceiling that no time refills: at one instant, as many pass as it holds.
#[tokio::test]
async fn scenario_11_an_exemption_has_a_ceiling() {
    let (_upstream, gateway) = start("", "[limits.exempt]\n\"GET /api/hook\" = \"7/d\"\n").await;
    let statuses = flood(&gateway, "/api/hook", 5, 4).await;
    assert_eq!((count(&statuses, 200), count(&statuses, 429)), (7, 13));
    let refused = gateway.get("/api/hook").await;
    assert_eq!(refused.problem()["violated-policies"], json!(["exempt:GET /api/hook"]));
    gateway.record("an exempt one", |record| record["exempt"] == "GET /api/hook").await;
    assert_eq!(gateway.get("/api/x").await.field("ratelimit").as_deref(), Some("\"api\";r=4;t=120"));
}

#[tokio::test]
async fn scenario_14_preflights_are_not_the_users_requests() {
    let (upstream, gateway) = start("", "").await;
    after_3(&gateway).await;
    let fields = "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n";
    let mut wire = Wire::open(gateway.public).await;
    for number in 0..100 {
        wire.send(format!("OPTIONS /api/x HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().status, 200, "preflight {number}");
    }
    assert_eq!(upstream.seen().requests(), 105);
    assert_eq!(send(&gateway, "OPTIONS /api/x", "Origin: https://a.example\r\n").await.status, 429);
}

#[tokio::test]
async fn scenario_15_one_step_of_two_limits() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!(
        "[app]\nupstream = \"{}\"\n[limits]\nper_ip = \"off\"\n\
         [limits.a]\non = \"/x\"\nrate = \"5/10m\"\n[limits.b]\non = \"/x\"\nrate = \"3/1h\"\n",
        upstream.url()
    );
    let gateway = Launch::config(config).start().await;
    for _ in 0..3 {
        assert_eq!(gateway.get("/x").await.status, 200);
    }
    let refused = gateway.get("/x").await;
    assert_eq!(refused.problem()["violated-policies"], json!(["b"]));
    assert_eq!(refused.field("retry-after").as_deref(), Some("1200"));
    assert_eq!(refused.field("ratelimit").as_deref(), Some("\"a\";r=2;t=120, \"b\";r=0;t=1200"));
}

/// The other half of the scenario, a key that stands there twice, is in `limits_held.rs`.
#[test]
fn scenario_17_a_cost_that_never_fits_is_refused_at_load() {
    let check = |cost: u32| {
        let folder = tempfile::tempdir().unwrap();
        let limit = format!("[limits.api]\non = \"/api/**\"\nrate = \"5/10m\"\ncost = {cost}\n");
        let text = format!("[app]\nupstream = \"http://127.0.0.1:3000\"\n{limit}");
        std::fs::write(folder.path().join("palisade.toml"), text).unwrap();
        let output = Command::new(e2e::gateway::binary()).arg("check").current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        (output.status.code(), said.into_owned())
    };
    let (code, said) = check(6);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("limit api costs 6, more than its burst of 5"), "{said}");
    assert!(said.contains("palisade.toml:6"), "{said}");
    assert_eq!(check(5).0, Some(0));
}

#[tokio::test]
async fn scenario_21_a_reported_limit_refuses_nobody() {
    let (_upstream, gateway) = start("", "mode = \"report\"").await;
    for _ in 0..10 {
        let answer = gateway.get("/api/x").await;
        assert_eq!((answer.status, answer.field("ratelimit"), answer.field("ratelimit-policy")), (200, None, None));
    }
    let scrape = gateway.counted(10).await;
    let counted = |outcome| scrape.sum("palisade_limits_requests_total", &[("limit", "api"), ("outcome", outcome)]);
    assert_eq!([counted("would_refuse"), counted("admitted"), counted("refused")], [5.0, 5.0, 0.0]);
    assert_eq!(scrape.sum("palisade_limits_near_total", &[("limit", "api")]), 1.0, "none left is less than a fifth");
    let record = gateway.record("a reported one", |record| record["policies"].is_array()).await;
    assert_eq!(record["limits"], json!([{ "name": "api", "outcome": "would_refuse", "remaining": 0 }]));
}

#[tokio::test]
async fn scenario_25_a_reload_keeps_what_was_used() {
    let (upstream, gateway) = start("", "").await;
    after_3(&gateway).await;
    let mut wire = Wire::open(gateway.public).await;
    let text = config(&upstream, "", "").replace("5/10m", "10/10m") + "[admin]\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(gateway.home().join("palisade.toml"), text).unwrap();
    gateway.signal(Signal::HUP);
    gateway.line("the reload", |line| line["event"] == "reloaded").await;
    let refused = within("the new rate", async {
        loop {
            let answer = wire.get("/api/x").await.expect("no connection is lost");
            if answer.field("ratelimit-policy").is_some_and(|policy| policy.contains("q=10")) {
                return answer;
            }
        }
    })
    .await;
    assert_eq!((refused.status, refused.field("retry-after").as_deref()), (429, Some("60")));
}

#[tokio::test]
async fn a_quota_ends_with_its_window() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!(
        "[app]\nupstream = \"{}\"\n[limits]\nper_ip = \"off\"\n[limits.api]\nquota = \"2 per month\"\n",
        upstream.url()
    );
    let gateway = Launch::config(config).start().await;
    let answers = [gateway.get("/").await, gateway.get("/").await];
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(answers[1].field("ratelimit").unwrap().starts_with("\"api/quota\";r=0;t="));
    let refused = gateway.get("/").await;
    assert_eq!(refused.refusal(), "429 limits.quota");
    assert_eq!(refused.problem()["violated-policies"], json!(["api/quota"]));
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=31 * 86_400).contains(&wait), "{wait}");
}

#[tokio::test]
async fn each_style_has_its_fields() {
    for (style, field, expected) in [
        ("legacy", "x-ratelimit-remaining", Some("4")),
        ("both", "ratelimit", Some("\"api\";r=4;t=120")),
        ("both", "x-ratelimit-limit", Some("5")),
        ("draft-6", "ratelimit-reset", Some("120")),
        ("draft-7", "ratelimit", Some("limit=5, remaining=4, reset=120")),
        ("off", "ratelimit", None),
    ] {
        let (_upstream, gateway) = start("", &format!("headers = \"{style}\"")).await;
        assert_eq!(gateway.get("/api/x").await.field(field).as_deref(), expected, "{style}");
    }
}

#[tokio::test]
async fn users_of_the_demo_are_limited_wherever_they_come_from() {
    let gateway = Launch::demo().start().await;
    let body = r#"{"messages":[{"role":"user","content":"hello"}]}"#;
    let chat = |fields: &str| {
        let request = format!(
            "POST /api/chat HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let address = gateway.public;
        async move {
            let mut wire = Wire::open(address).await;
            wire.send(request).await.unwrap();
            wire.head().await.unwrap()
        }
    };
    let anna = "Demo-User: anna\r\nDemo-Plan: free\r\n";
    for _ in 0..20 {
        assert_eq!(chat(anna).await.status, 200);
    }
    let refused = chat(anna).await;
    assert_eq!(refused.status, 429);
    assert!(refused.field("ratelimit").unwrap().contains("\"chat\";r=0;"), "{refused:?}");
    assert_eq!(chat("Demo-User: ben\r\nDemo-Plan: pro\r\n").await.status, 200);
    for path in ["/auth/callback", "/api/storage/google/callback", "/api/storage/microsoft/callback"] {
        let answer = gateway.get(path).await;
        assert!(answer.field("ratelimit").unwrap().starts_with(&format!("\"exempt:GET {path}\";r=59;")), "{answer:?}");
    }
}

#[tokio::test]
async fn a_gateway_of_ones_own_believes_no_such_field() {
    let (_upstream, gateway) = start("", "per_user = { anon = \"1/d\", pro = \"100/d\" }").await;
    let claim = "Demo-User: anna\r\nDemo-Plan: pro\r\n";
    assert_eq!(send(&gateway, "GET /", claim).await.status, 200);
    assert_eq!(send(&gateway, "GET /", claim).await.status, 429);
}

#[tokio::test]
async fn files_of_pages_have_a_limit_of_their_own() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\n[limits]\nper_ip = \"1/d\"\nassets = \"2/d\"\n", upstream.url());
    let gateway = Launch::config(config).start().await;
    for expected in [200, 200, 429] {
        assert_eq!(gateway.get("/_next/static/chunks/main.js").await.status, expected);
    }
    let refused = gateway.get("/_next/static/x.css").await;
    assert_eq!(refused.problem()["violated-policies"], json!(["assets"]));
    assert_eq!([gateway.get("/").await.status, gateway.get("/_next/other").await.status], [200, 429]);
}
