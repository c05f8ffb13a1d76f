//! The admin listener on a socket.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use palisade_core::Monotonic;
use palisade_core::charge::TableSize;
use palisade_policy::limits::Roster;
use palisade_store::Counters;
use palisade_store::counters::memory::Table;
use palisade_telemetry::Settings;
use palisade_telemetry::settings::{Access, Told};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::health::Presence;
use crate::keep::Overrider;

const LIMIT: Duration = Duration::from_secs(20);

fn admin() -> Arc<Admin> {
    let told = Told { access: Access::Off, ..Told::default() };
    let telemetry = Telemetry::start(Settings { told, ..Settings::default() }, ["/"]).unwrap();
    let conditions = || Conditions {
        snapshot: Presence::Present,
        listeners: Presence::Present,
        draining: Some((Monotonic::from_nanos(0), "SIGTERM")),
        servers_out: Vec::new(),
        oldest_tick: Duration::ZERO,
    };
    let ask = Ask {
        conditions: Box::new(conditions),
        gauges: Box::new(Gauges::default),
        reload: Box::new(|| Box::pin(async { Response::new(Bytes::from_static(b"reloaded")) })),
    };
    let counters = Arc::new(Counters::Memory(Table::new(TableSize::MIN)));
    let telemetry = Arc::new(telemetry);
    let desk = Desk::new(Roster::default, counters, telemetry.clone(), Overrider::default());
    Arc::new(Admin::new(Vec::new(), telemetry, desk, ask))
}

async fn start(admin: &Arc<Admin>, end: impl Future<Output = ()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Arc::clone(admin).serve(listener, end));
    address
}

/// Sends a request and reads until the connection closes.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn request(line: &str, host: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn each_path_has_its_answer() {
    let address = start(&admin(), pending()).await;
    for (line, host, expected, part) in [
        ("GET /", "localhost", 200, "POST /api/v1/reload"),
        ("GET /livez", "localhost", 200, "\r\n\r\nok"),
        ("GET /livez", "evil.example", 200, "\r\n\r\nok"),
        ("GET /startupz", "10.0.0.1", 200, "\r\n\r\nok"),
        ("GET /readyz", "evil.example", 503, "\r\n\r\nnot ready"),
        ("GET /readyz?verbose", "localhost", 503, "[-]draining failed: SIGTERM"),
        ("GET /readyz?exclude=draining", "localhost", 200, "\r\n\r\nok"),
        ("GET /readyz/snapshot", "localhost", 200, "\r\n\r\nok"),
        ("GET /readyz/snapshot", "evil.example", 421, "\"code\":\"admin.unknown_host\""),
        ("GET /readyz/nothing", "localhost", 404, "\"code\":\"health.unknown_condition\""),
        ("GET /metrics", "localhost", 200, "# TYPE palisade_series gauge"),
        ("GET /metrics", "localhost", 200, "palisade_connections_total{listener=\"admin\",protocol=\"http/1.1\"}"),
        ("GET /metrics", "evil.example", 421, "\"code\":\"admin.unknown_host\""),
        ("GET /api/v1/traces/00000000000000000000000000000001", "localhost", 404, "http.not_found"),
        ("GET /nothing", "localhost", 404, "\"code\":\"http.not_found\""),
        ("POST /livez", "localhost", 405, "allow: GET, HEAD"),
        ("DELETE /metrics", "localhost", 405, "allow: GET, HEAD"),
        ("GET /api/v1/reload", "localhost", 405, "allow: POST"),
        ("POST /api/v1/reload", "localhost", 200, "\r\n\r\nreloaded"),
        ("POST /api/v1/reload", "evil.example", 421, "admin.unknown_host"),
        ("POST /api/v1/reload", "localhost\r\nOrigin: https://evil.example", 403, "csrf.cross_site"),
        ("GET /metrics", "localhost\r\nHost: localhost", 400, "http.malformed"),
    ] {
        let answer = ask(address, &request(line, host)).await;
        assert_eq!(status(&answer), expected, "{line} {host}\n{answer}");
        assert!(answer.contains(part), "{line} {host}\n{answer}");
        let head = answer.split("\r\n\r\n").next().unwrap();
        assert!(head.contains("cache-control: no-store") && head.contains("x-content-type-options: nosniff"), "{head}");
        assert_eq!(head.matches("cache-control").count(), 1, "{head}");
    }
}

#[tokio::test]
async fn head_has_no_body() {
    let address = start(&admin(), pending()).await;
    let answer = ask(address, &request("HEAD /livez", "localhost")).await;
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("content-length: 2") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn openmetrics_is_given_to_those_who_prefer_it() {
    let address = start(&admin(), pending()).await;
    let host = "localhost\r\nAccept: application/openmetrics-text;version=1.0.0";
    let answer = ask(address, &request("GET /metrics", host)).await;
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
    assert!(answer.ends_with("# EOF\n"));
}

#[tokio::test]
async fn heads_are_bounded() {
    let address = start(&admin(), pending()).await;
    let long = format!("localhost\r\nX: {}", "x".repeat(17 * 1024));
    assert_eq!(status(&ask(address, &request("GET /livez", &long)).await), 431);
    let fits = format!("localhost\r\nX: {}", "x".repeat(8 * 1024));
    assert_eq!(status(&ask(address, &request("GET /livez", &fits)).await), 200);
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_ends_the_connection() {
    let address = start(&admin(), pending()).await;
    // Time passes by itself here whenever nothing else can happen.
    assert_eq!(ask(address, "GET /livez HTTP/1.1\r\nHost: loc").await, "");
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    let admin = admin();
    let address = start(&admin, pending()).await;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        open.push(TcpStream::connect(address).await.unwrap());
    }
    timeout(LIMIT, async {
        while admin.connections.open.load(Ordering::Relaxed) < CONNECTIONS_MAX as u64 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let mut surplus = TcpStream::connect(address).await.unwrap();
    // Closed, or reset if the request was faster.
    let read = timeout(LIMIT, surplus.read(&mut [0; 1])).await.unwrap();
    assert_eq!(read.unwrap_or_default(), 0);
    assert_eq!(admin.connections.refused.load(Ordering::Relaxed), 1);
    drop(open.pop());
    timeout(LIMIT, async { while status(&ask(address, &request("GET /livez", "x")).await) != 200 {} }).await.unwrap();
}

#[tokio::test]
async fn the_end_closes_idle_connections_and_is_waited_for() {
    let admin = admin();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(Arc::clone(&admin).serve(listener, async { drop(stopped.await) }));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    stop.send(()).unwrap();
    timeout(LIMIT, serving).await.unwrap().unwrap();
    let mut rest = Vec::new();
    timeout(LIMIT, idle.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(admin.connections.open.load(Ordering::Relaxed), 0);
}
