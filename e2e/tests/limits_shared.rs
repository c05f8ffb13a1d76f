//! Gateways that share their counters in a real server: the acceptance scenarios of limits, by their
//! numbers.

use std::time::{Duration, Instant};

use e2e::{Gateway, Launch, Wire, within};
use palisade_testkit::redis::{Program, Server};
use palisade_testkit::upstream::{Answer, Upstream};

/// Two gateways of one server, which is empty.
struct Pair {
    server: Server,
    gateways: [Gateway; 2],
    _upstream: Upstream,
}

/// `deadline` is long unless a test is about it: a machine that is busy with other tests answers late.
async fn start(program: Program, limits: &str, deadline: &str) -> Pair {
    let server = program.start();
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!(
        "[app]\nupstream = \"{}\"\n[store]\ncounters = \"{}\"\n[limits]\nper_ip = \"off\"\nstore_deadline = \"{deadline}\"\n\
         {limits}\n[limits.api]\non = \"/api/**\"\nkey = \"ip\"\nrate = \"5/10m\"\n",
        upstream.url(),
        server.url(),
    );
    let gateways = [Launch::config(config.clone()).start().await, Launch::config(config).start().await];
    for gateway in &gateways {
        until_up(gateway).await;
    }
    Pair { server, gateways, _upstream: upstream }
}

async fn until_up(gateway: &Gateway) {
    until(gateway, "palisade_limits_store_up", 1.0).await;
}

async fn until(gateway: &Gateway, metric: &str, value: f64) {
    within(metric, async {
        while gateway.scrape().await.sum(metric, &[]) < value {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// The statuses of as many requests, one after the other.
async fn statuses(gateway: &Gateway, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(gateway.get("/api/x").await.status);
    }
    statuses
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|other| **other == status).count()
}

/// Two gateways, one store: 100 parallel requests over both.
#[tokio::test]
async fn scenario_26_exactly_the_limit_passes() {
    for program in Program::ALL {
        let pair = start(program, "", "1s").await;
        let mut requests = tokio::task::JoinSet::new();
        for number in 0..100 {
            let address = pair.gateways[number % 2].public;
            requests.spawn(async move { Wire::open(address).await.get("/api/x").await.unwrap().status });
        }
        let statuses = requests.join_all().await;
        assert_eq!((count(&statuses, 200), count(&statuses, 429)), (5, 95), "{program:?}");
    }
}

/// The store stands still: each limit does what it was told for that, and hardly anybody waits.
#[tokio::test]
async fn scenario_27_an_outage_is_what_was_configured() {
    for (outage, passes, refusal) in [("local", 2, 429), ("open", 10, 0), ("closed", 0, 503)] {
        let pair = start(Program::Redis, &format!("outage = \"{outage}\""), "100ms").await;
        // Each tells every second that it is there, and learns then how many are.
        for gateway in &pair.gateways {
            until(gateway, "palisade_limits_store_gateways", 2.0).await;
        }
        pair.server.stop();
        for gateway in &pair.gateways {
            let waited = async || gateway.scrape().await.sum("palisade_store_wait_seconds_count", &[]);
            let before = waited().await;
            let statuses = statuses(gateway, 10).await;
            assert_eq!((count(&statuses, 200), count(&statuses, refusal)), (passes, 10 - passes), "{outage}");
            let waited = waited().await - before;
            assert!(waited <= 3.0, "{outage}: {waited} waited for the store");
        }
        if outage == "closed" {
            let answer = pair.gateways[0].get("/api/x").await;
            assert_eq!(answer.field("retry-after").as_deref(), Some("1"));
            assert_eq!(answer.problem()["code"], "limits.unavailable");
        }
        pair.server.go_on();
        for gateway in &pair.gateways {
            until_up(gateway).await;
        }
        pair.server.command("FLUSHALL");
        let [first, second] = &pair.gateways;
        let both = [statuses(first, 10).await, statuses(second, 10).await].concat();
        assert!(count(&both, 200) <= 5, "{outage}: counted together again");
    }
}

/// A key that is used up is not asked for again and again.
#[tokio::test]
async fn scenario_29_a_refusal_is_remembered() {
    let pair = start(Program::Redis, "", "1s").await;
    let gateway = &pair.gateways[0];
    assert_eq!(count(&statuses(gateway, 6).await, 200), 5);
    let (began, before) = (Instant::now(), pair.server.calls("evalsha"));
    assert_eq!(count(&statuses(gateway, 1_000).await, 429), 1_000);
    // Beside one for each second, two gateways tell every second that they are there.
    let calls = pair.server.calls("evalsha") - before;
    assert!(calls <= 3 * (began.elapsed().as_secs() + 1), "{calls} calls in {:?}", began.elapsed());
}
