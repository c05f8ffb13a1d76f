//! Bodies arrive whole, streams stay streams, and what was cut is never passed on as if whole.

use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{Engine, Gateway, Launch, Wire};
use palisade_testkit::upstream::{Answer, Request, Upstream, digest};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 8;
const REQUESTS: usize = 1_250;
const SIZES: [usize; 3] = [0, 1, 65_535];
const LARGE: usize = 10_000_000;
/// Every so many requests of a connection one has a large body.
const LARGE_EVERY: usize = 400;

async fn before(engine: Engine, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Upstream, Gateway) {
    let upstream = Upstream::start(script).unwrap();
    let gateway = Launch::before(&upstream).engine(engine).start().await;
    (upstream, gateway)
}

/// Bytes that differ everywhere, so that no chunk can be lost or swapped unnoticed.
fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31) ^ (at >> 8) ^ seed) as u8).collect()
}

fn with_length(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn with_chunks(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunks =
        body.chunks(10_007).flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    head.bytes().chain(chunks).chain(*b"0\r\n\r\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_equal_at_both_ends() {
    bodies_are_equal(Engine::Own, REQUESTS).await;
    // Enough for every size and framing, and one large body.
    bodies_are_equal(Engine::Hyper, REQUESTS / 50).await;
}

async fn bodies_are_equal(engine: Engine, requests: usize) {
    // `/mirror` answers in chunks while the body arrives, `/echo` with a length after it.
    let (upstream, gateway) = before(engine, |request| match request.target().as_str() {
        "/mirror" => Answer::mirror(),
        _ => Answer::echo(),
    })
    .await;
    let mut clients = JoinSet::new();
    for client in 0..CONNECTIONS {
        let address = gateway.public;
        clients.spawn(async move {
            let mut wire = Wire::open(address).await;
            for number in 0..requests {
                let size = if number % LARGE_EVERY == 1 { LARGE } else { SIZES[number % SIZES.len()] };
                let body = bytes(size, client);
                let path = if number % 2 == 0 { "/mirror" } else { "/echo" };
                let request = if number % 4 < 2 { with_length(path, &body) } else { with_chunks(path, &body) };
                // Both directions at once: a body that comes back while it is sent needs a reader.
                let (sent, received) = wire.exchange(&request).await;
                sent.unwrap();
                let received = received.unwrap_or_else(|error| panic!("{path} with {size} bytes: {error}"));
                assert_eq!(received.status, 200);
                assert!(received.body == body, "{path} with {size} bytes came back changed");
            }
        });
    }
    clients.join_all().await;
    assert_eq!(upstream.seen().requests(), CONNECTIONS * requests);
    let bodies = upstream.seen().bodies();
    let large: Vec<u64> = (0..CONNECTIONS).map(|client| digest(&bytes(LARGE, client))).collect();
    let arrived = bodies.iter().filter(|body| body.length == LARGE as u64 && large.contains(&body.digest)).count();
    assert_eq!(arrived, CONNECTIONS * requests.div_ceil(LARGE_EVERY));
}

#[tokio::test]
async fn events_arrive_one_by_one_and_the_application_learns_that_the_client_left() {
    for engine in Engine::ALL {
        const EVERY: Duration = Duration::from_millis(100);
        let (upstream, gateway) = before(engine, |_| {
            Answer::chunks("text/event-stream", vec!["data: tick\n\n"; 600], Duration::from_millis(100))
        })
        .await;
        let mut wire = Wire::open(gateway.public).await;
        wire.send("GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").await.unwrap();
        assert_eq!(wire.head().await.unwrap().status, 200);
        let mut last = None;
        for number in 0..10 {
            assert_eq!(wire.chunk().await.unwrap().as_deref(), Some(b"data: tick\n\n".as_slice()));
            let now = Instant::now();
            // The application keeps its distance, so one that was held back would come with the next.
            if let Some(gap) = last.map(|last| now - last) {
                assert!(gap > EVERY / 2 && gap < EVERY * 3 / 2, "event {number} came {gap:?} after the one before");
            }
            last = Some(now);
        }
        assert_eq!(upstream.seen().open(), 1);
        drop(wire);
        let left = Instant::now();
        assert!(
            upstream.reached(Duration::from_secs(5), |seen| seen.open() == 0).await,
            "the application was not told"
        );
        // 100 ms on a quiet machine (gateway.md).
        assert!(left.elapsed() < Duration::from_millis(500), "it took {:?}", left.elapsed());
        let record = gateway.record("the record of the stream", |record| record["path"] == "/events").await;
        assert_eq!(record["outcome"], "client_left");
    }
}

#[tokio::test]
async fn an_early_answer_gets_through_while_the_body_is_sent() {
    for engine in Engine::ALL {
        let (_upstream, gateway) = before(engine, |_| Answer::early(413, "too much")).await;
        let mut wire = Wire::open(gateway.public).await;
        wire.send("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n").await.unwrap();
        wire.send(vec![b'x'; 1000]).await.unwrap();
        let received = wire.answer().await.unwrap();
        assert_eq!((received.status, received.text().as_str()), (413, "too much"));
    }
}

#[tokio::test]
async fn a_cut_body_is_never_completed() {
    for engine in Engine::ALL {
        let (_upstream, gateway) = before(engine, |request| match request.target().as_str() {
            "/length" => Answer::cut(&[b'x'; 1000], 500),
            _ => Answer::cut_chunks(b"half"),
        })
        .await;
        for path in ["/length", "/chunks"] {
            let url = format!("http://{}{path}", gateway.public);
            let curl = Command::new("curl").args(["--silent", "--output", "/dev/null", &url]).status().unwrap();
            assert_eq!(curl.code(), Some(18), "{path}: curl must see that the transfer was cut");
            let mut wire = Wire::open(gateway.public).await;
            assert!(wire.get(path).await.is_err(), "{path}");
            let record = gateway.record(path, |record| record["path"] == path).await;
            assert_eq!(record["code"], "upstream.reset", "{record}");
            assert_eq!(record["outcome"], "upstream_error", "{record}");
        }
    }
}

#[tokio::test]
async fn a_silent_application_is_a_timeout() {
    for engine in Engine::ALL {
        let upstream = Upstream::start(|_| Answer::silent()).unwrap();
        let config = format!("[app]\nupstream = \"{}\"\n[app.timeouts]\nresponse = \"1s\"\n", upstream.url());
        let gateway = Launch::config(config).engine(engine).start().await;
        assert_eq!(gateway.get("/").await.refusal(), "504 upstream.timeout");
        assert!(
            upstream.reached(Duration::from_secs(5), |seen| seen.open() == 0).await,
            "the request was not canceled"
        );
    }
}

#[tokio::test]
async fn early_hints_reach_the_client_before_the_answer() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Inner: 1\r\n\r\n";
    let (_upstream, gateway) =
        before(Engine::Own, move |_| Answer::new().read().send(hints).full(200, &[], "ok")).await;
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let hint = wire.head().await.unwrap();
    assert_eq!((hint.status, hint.field("link").as_deref()), (103, Some("</a.css>; rel=preload")));
    assert_eq!(hint.field("x-inner"), None, "what else it says is about an answer that may still change");
    assert_eq!(wire.answer().await.unwrap().text(), "ok");
    // A client of HTTP/1.0 knows no interim answers.
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(wire.head().await.unwrap().status, 200);
}
