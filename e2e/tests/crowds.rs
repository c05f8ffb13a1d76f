//! Many connections: what they cost, and what happens when there are no more descriptors.

use e2e::{Launch, Wire};
use palisade_testkit::upstream::{Answer, Upstream};

const IDLE: u64 = 2_000;
/// Per idle kept connection (gateway.md §8, hyper at both ends). Without optimisation futures are
/// larger.
const BYTES_EACH: u64 = if cfg!(debug_assertions) { 32 << 10 } else { 16 << 10 };

#[tokio::test]
async fn idle_connections_cost_little() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::config(format!(
        "[app]\nupstream = \"{}\"\nmax_connections_per_address = 5000\n[limits]\nper_ip = \"off\"\n",
        upstream.url()
    ))
    .start()
    .await;
    gateway.get("/").await;
    let before = gateway.memory();
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        let mut wire = Wire::open(gateway.public).await;
        assert_eq!(wire.get("/").await.unwrap().status, 200);
        idle.push(wire);
    }
    let each = gateway.memory().saturating_sub(before) / IDLE;
    assert!(each <= BYTES_EACH, "{each} bytes each");
    for wire in &mut idle {
        assert_eq!(wire.get("/").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn one_address_may_have_only_so_many_connections() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway =
        Launch::config(format!("[app]\nupstream = \"{}\"\nmax_connections_per_address = 5\n", upstream.url()))
            .start()
            .await;
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut wire = Wire::open(gateway.public).await;
        assert_eq!(wire.get("/").await.unwrap().status, 200);
        open.push(wire);
    }
    let mut sixth = Wire::open(gateway.public).await;
    drop(sixth.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await);
    assert!(sixth.closes().await);
    assert!(gateway.scrape().await.sum("palisade_connection_limits_total", &[]) >= 1.0);
    drop(open);
    // The places are free again as soon as the gateway has noticed.
    e2e::within("a free place", async {
        loop {
            let mut wire = Wire::open(gateway.public).await;
            if wire.get("/").await.is_ok_and(|answer| answer.status == 200) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn without_descriptors_open_connections_and_the_admin_go_on() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!(
        "[app]\nupstream = \"{}\"\nmax_connections_per_address = 5000\n[limits]\nper_ip = \"off\"\n",
        upstream.url()
    );
    let gateway = Launch::config(config).descriptors(256).start().await;
    let mut honest = Wire::open(gateway.public).await;
    assert_eq!(honest.get("/").await.unwrap().status, 200);
    // More than there are descriptors; those that are not accepted wait in the kernel's queue.
    let mut crowd = Vec::new();
    for _ in 0..400 {
        crowd.push(Wire::open(gateway.public).await);
    }
    for _ in 0..100 {
        assert_eq!(honest.get("/").await.unwrap().status, 200);
    }
    assert!(gateway.scrape().await.sum("palisade_process_open_fds", &[]) <= 256.0);
    drop(crowd);
    e2e::within("new connections again", async { while gateway.get("/").await.status != 200 {} }).await;
}
