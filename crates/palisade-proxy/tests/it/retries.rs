//! When a request is sent again, and where.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use palisade_core::Monotonic;
use palisade_proxy::health::Standing;
use palisade_proxy::{RequestBody, Upstream};
use palisade_testkit::upstream::{self, Answer};
use tokio::task::spawn_local;

use crate::worker::{Fed, ambient, both, get, outcome, post, request, run, send, settings};

/// Answers the first request of each connection and closes at the second, without an answer.
fn forgetful() -> upstream::Upstream {
    let known = Mutex::new(HashSet::new());
    upstream::Upstream::start(move |request| {
        if known.lock().unwrap().insert(request.connection) {
            Answer::ok("hello").after(Duration::from_millis(20))
        } else {
            Answer::new().read().closed()
        }
    })
    .unwrap()
}

#[test]
fn a_dead_connection_is_replaced_if_that_is_safe() {
    both(|| {
        let fed = |body: &[u8]| RequestBody::new(Fed::Whole((!body.is_empty()).then(|| body.to_vec().into())));
        for (method, body, expected, tries) in [
            (Method::GET, "", "200 hello", 2),
            (Method::DELETE, "", "200 hello", 2),
            (Method::PUT, "x", "upstream.reset", 1),
            (Method::POST, "", "upstream.reset", 1),
            (Method::POST, "x", "upstream.reset", 1),
        ] {
            let app = forgetful();
            run(async {
                let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
                assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 hello");
                let sent = send(&upstream, request(method.clone(), "/x", fed(body.as_bytes()))).await;
                assert_eq!(sent.attempts.len(), tries, "{method} {body}");
                let spans: Vec<_> = sent.attempts.iter().map(|attempt| attempt.span_id.to_string()).collect();
                assert_eq!(outcome(sent).await, expected, "{method} {body}");
                // Each try has a span of its own.
                let seen = app.seen().heads().split_off(1);
                let sent_spans: Vec<_> =
                    seen.iter().map(|head| head.value("traceparent").unwrap()[36..52].to_owned()).collect();
                assert_eq!(sent_spans, spans, "{method} {body}");
            });
        }
    });
}

#[test]
fn one_dead_connection_speaks_for_all_kept_ones() {
    both(|| {
        let app = forgetful();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let at_once = [(); 5].map(|()| {
                let upstream = Rc::clone(&upstream);
                spawn_local(async move { outcome(send(&upstream, get("/")).await).await })
            });
            for sent in at_once {
                assert_eq!(sent.await.unwrap(), "200 hello");
            }
            assert_eq!(app.seen().connections(), 5);
            let sent = send(&upstream, get("/")).await;
            assert_eq!(sent.attempts.len(), 2);
            assert_eq!(outcome(sent).await, "200 hello");
        });
    });
}

#[test]
fn never_after_a_byte_of_the_answer() {
    both(|| {
        let app = upstream::Upstream::start(|request| match request.number {
            0 => Answer::ok("hello"),
            _ => Answer::new().send("HTTP/1.1 2").closed(),
        })
        .unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 hello");
            assert_eq!(outcome(send(&upstream, get("/")).await).await, "upstream.reset");
            assert_eq!(app.seen().requests(), 2);
        });
    });
}

#[test]
fn a_server_that_closes_new_connections_is_asked_once() {
    both(|| {
        let app = upstream::Upstream::start(|_| Answer::close()).unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let sent = send(&upstream, get("/")).await;
            assert_eq!((sent.attempts.len(), app.seen().requests()), (1, 1));
            assert_eq!(outcome(sent).await, "upstream.reset");
        });
    });
}

#[test]
fn at_most_two_more_tries_each_elsewhere() {
    both(|| {
        let apps = [(); 4].map(|()| upstream::Upstream::start(|_| Answer::close()).unwrap());
        run(async {
            let urls = apps.each_ref().map(upstream::Upstream::url);
            let upstream = Upstream::new(settings(&urls.each_ref().map(String::as_str)), ambient()).unwrap();
            let sent = send(&upstream, get("/")).await;
            let asked: HashSet<_> = sent.attempts.iter().map(|attempt| attempt.server.clone()).collect();
            assert_eq!((sent.attempts.len(), asked.len()), (3, 3));
            assert_eq!(outcome(sent).await, "upstream.reset");
        });
    });
}

#[test]
fn retries_have_a_budget() {
    both(|| {
        let apps = [(); 3].map(|()| upstream::Upstream::start(|_| Answer::close()).unwrap());
        run(async {
            let urls = apps.each_ref().map(upstream::Upstream::url);
            let upstream = Upstream::new(settings(&urls.each_ref().map(String::as_str)), ambient()).unwrap();
            for _ in 0..50 {
                assert_eq!(outcome(send(&upstream, get("/")).await).await, "upstream.reset");
            }
            assert_eq!(apps.iter().map(|app| app.seen().requests()).sum::<usize>(), 60);
        });
    });
}

#[test]
fn a_server_that_refuses_is_left_out() {
    both(|| {
        let gone = upstream::Upstream::nowhere().unwrap();
        let app = upstream::Upstream::start(|_| Answer::echo()).unwrap();
        run(async {
            let ambient = ambient();
            let upstream = Upstream::new(settings(&[&gone.url(), &app.url()]), ambient).unwrap();
            let mut tries = 0;
            for _ in 0..100 {
                // Also with a body: nothing of it was read.
                let sent = send(&upstream, post("/", b"body")).await;
                tries += sent.attempts.len();
                assert_eq!(outcome(sent).await, "200 body");
            }
            assert_eq!(tries, 105);
            let standing = upstream.gauges(Monotonic::default()).next().unwrap().standing;
            assert!(matches!(standing, Standing::Out(_)), "{standing:?}");
        });
    });
}

/// Two servers under load; one is killed, then the other; one comes back.
#[test]
fn killed_servers_cost_no_idempotent_request() {
    both(|| {
        let places = [(); 2].map(|()| upstream::Upstream::nowhere().unwrap());
        let servers = places.each_ref().map(|place| {
            let hello = |_: &upstream::Request| Answer::ok("hello").after(Duration::from_millis(5));
            upstream::Upstream::start_at(place.address(), hello).unwrap()
        });
        run(async {
            let urls = servers.each_ref().map(upstream::Upstream::url);
            let upstream = Upstream::new(settings(&urls.each_ref().map(String::as_str)), ambient()).unwrap();
            let [first, second] = servers;
            let failed = Rc::new(std::cell::Cell::new(0));
            let mut load = tokio::task::JoinSet::new();
            let start = Instant::now();
            // 500 requests in a second.
            for _ in 0..10 {
                let (upstream, failed) = (Rc::clone(&upstream), Rc::clone(&failed));
                load.spawn_local(async move {
                    let mut pace = tokio::time::interval(Duration::from_millis(20));
                    while start.elapsed() < Duration::from_secs(2) {
                        pace.tick().await;
                        if outcome(send(&upstream, get("/")).await).await != "200 hello" {
                            failed.set(failed.get() + 1);
                        }
                    }
                });
            }
            tokio::time::sleep(Duration::from_millis(700)).await;
            let killed = spawn_blocking_drop(first);
            killed.await;
            while load.join_next().await.is_some() {}
            assert_eq!(failed.get(), 0);
            spawn_blocking_drop(second).await;
            for _ in 0..20 {
                assert_eq!(outcome(send(&upstream, get("/")).await).await, "upstream.unreachable");
            }
            let _back = upstream::Upstream::start_at(places[1].address(), |_| Answer::ok("back")).unwrap();
            let restarted = Instant::now();
            while outcome(send(&upstream, get("/")).await).await != "200 back" {
                assert!(restarted.elapsed() < Duration::from_millis(1500));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    });
}

/// Kills a server without holding up the worker.
async fn spawn_blocking_drop(server: upstream::Upstream) {
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

#[test]
fn the_emptier_server_gets_more() {
    both(|| {
        let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let servers: Vec<_> = [5, 50]
            .into_iter()
            .enumerate()
            .map(|(place, millis)| {
                let counts = Arc::clone(&counts);
                upstream::Upstream::start(move |_| {
                    counts[place].fetch_add(1, Ordering::SeqCst);
                    Answer::ok("hello").after(Duration::from_millis(millis))
                })
                .unwrap()
            })
            .collect();
        run(async {
            let urls: Vec<_> = servers.iter().map(upstream::Upstream::url).collect();
            let urls: Vec<_> = urls.iter().map(String::as_str).collect();
            let upstream = Upstream::new(settings(&urls), ambient()).unwrap();
            let clients = (0..8).map(|_| {
                let upstream = Rc::clone(&upstream);
                spawn_local(async move {
                    for _ in 0..25 {
                        assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 hello");
                    }
                })
            });
            for client in clients.collect::<Vec<_>>() {
                client.await.unwrap();
            }
            let [fast, slow] = [0, 1].map(|place: usize| counts[place].load(Ordering::SeqCst));
            assert!(fast > 3 * slow, "{fast} {slow}");
        });
    });
}
