//! Streams stay streams, and places in flight are given back when they should be.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use palisade_core::{Monotonic, RouteId};
use palisade_proxy::limiter::Bounds;
use palisade_proxy::{Admission, Upstream};
use palisade_testkit::upstream::{self, Answer};

use crate::worker::{LIMIT, ambient, ask, both, get, outcome, response, run, send, send_with, settings};

const EVERY: Duration = Duration::from_millis(100);

#[test]
fn each_event_arrives_when_it_was_sent() {
    both(|| {
        let app =
            upstream::Upstream::start(|_| Answer::chunks("text/event-stream", ["data: x\n\n"; 10], EVERY)).unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let mut body = response(send(&upstream, get("/")).await).into_body();
            let start = Instant::now();
            let mut arrived = Vec::new();
            while let Some(frame) = body.frame().await {
                // One at a time: nothing waits for more.
                assert_eq!(frame.unwrap().into_data().unwrap(), "data: x\n\n");
                arrived.push(start.elapsed());
            }
            assert_eq!(arrived.len(), 10);
            // Long before the last one was sent.
            assert!(arrived[0] < EVERY * 5, "{arrived:?}");
        });
    });
}

#[test]
fn who_leaves_a_stream_ends_it() {
    both(|| {
        let app =
            upstream::Upstream::start(|_| Answer::chunks("text/event-stream", ["data: x\n\n"; 600], EVERY)).unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let mut body = response(send(&upstream, get("/")).await).into_body();
            body.frame().await.unwrap().unwrap();
            drop(body);
            assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
        });
    });
}

#[test]
fn a_slow_reader_slows_the_application_down() {
    both(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let written = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&written);
        let application = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            assert!(socket.read(&mut [0; 4096]).unwrap() > 0);
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            // Until nobody takes it.
            while let Ok(count) = socket.write(&[0; 64 * 1024]) {
                counter.fetch_add(count, Ordering::SeqCst);
            }
        });
        run(async {
            let upstream = Upstream::new(settings(&[&format!("http://{address}")]), ambient()).unwrap();
            let mut body = response(send(&upstream, get("/")).await).into_body();
            body.frame().await.unwrap().unwrap();
            let mut before = usize::MAX;
            while written.load(Ordering::SeqCst) != before {
                before = written.load(Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            // What the sockets hold, and a few buffers.
            assert!(before < 32 << 20, "{before}");
            drop(body);
            tokio::task::spawn_blocking(move || application.join()).await.unwrap().unwrap();
        });
    });
}

#[test]
fn a_place_in_flight_is_held_until_the_answer_has_ended() {
    both(|| {
        let app = upstream::Upstream::start(|request| match request.target().as_str() {
            "/events" => Answer::chunks("text/event-stream", ["a", "b"], EVERY),
            "/silent" => Answer::silent(),
            _ => Answer::ok("x".repeat(300_000)),
        })
        .unwrap();
        run(async {
            let ambient = ambient();
            let upstream = Upstream::new(settings(&[&app.url()]), ambient.clone()).unwrap();
            let door = Admission::new(Bounds::share(4, 1, 1), ambient);
            let in_flight = || door.load().in_flight;
            let admitted = async |path| {
                let mut ask = ask();
                ask.permit = Some(door.admit(RouteId(0), Monotonic::default()).await.unwrap());
                send_with(&upstream, get(path), ask).await
            };
            let whole = response(admitted("/").await);
            assert_eq!(in_flight(), 1);
            whole.collect().await.unwrap();
            assert_eq!(in_flight(), 0);
            let left = response(admitted("/").await);
            assert_eq!(in_flight(), 1);
            drop(left);
            assert_eq!(in_flight(), 0);
            // A stream waits, it doesn't work.
            let events = response(admitted("/events").await);
            assert_eq!(in_flight(), 0);
            drop(events);
            assert!(tokio::time::timeout(EVERY, admitted("/silent")).await.is_err());
            assert_eq!(in_flight(), 0);
        });
    });
}

#[test]
fn an_answer_outlives_its_upstream_and_its_time_still_runs() {
    both(|| {
        let app =
            upstream::Upstream::start(|_| Answer::new().send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").hold())
                .unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let mut ask = ask();
            ask.timeouts.body_idle = EVERY;
            let sent = send_with(&upstream, get("/"), ask).await;
            drop(upstream);
            assert_eq!(outcome(sent).await, "200 \"abc\" then upstream.timeout");
            assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
        });
    });
}
