//! What an application can do wrong, and what becomes of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http_body::Frame;
use http_body_util::BodyExt;
use palisade_proxy::{Answer as Answered, Engine, RequestBody, Timeouts, Upstream};
use palisade_testkit::upstream::{self, Answer};

use crate::worker::{
    Fed, LIMIT, ambient, ask, both, engine, get, outcome, post, request, response, run, send, send_with, settings,
};

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[test]
fn broken_answers() {
    both(|| {
        let long_name = format!("{OK}A: {}\r\n\r\n", "x".repeat(70_000));
        let many_fields = format!("{OK}{}\r\n", "A: b\r\n".repeat(257));
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(60_000);
        // What hyper repairs before anybody sees it.
        let (hidden, late) = match engine() {
            Engine::Own => ("upstream.malformed", "200 \"\" then upstream.malformed"),
            Engine::Hyper => ("200 ok", "200 ok"),
        };
        let cases: Vec<(&str, Answer, &str)> = vec![
            ("both lengths", Answer::both_lengths(), "upstream.malformed"),
            ("two lengths", raw("Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "upstream.malformed"),
            ("a length that is none", raw("Content-Length: +1\r\n\r\na"), "upstream.malformed"),
            ("gzip as framing", raw("Transfer-Encoding: gzip\r\n\r\nab"), "upstream.malformed"),
            ("chunked twice", raw("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), "upstream.malformed"),
            ("no HTTP", Answer::new().send("hello\r\n\r\n").closed(), "upstream.malformed"),
            ("space before the colon", raw("A : b\r\nContent-Length: 0\r\n\r\n"), "upstream.malformed"),
            ("a folded field", raw("A: b\r\n c\r\nContent-Length: 0\r\n\r\n"), "upstream.malformed"),
            (
                "a switch nobody asked for",
                Answer::new().send("HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n"),
                "upstream.malformed",
            ),
            ("a head beyond 64 KiB", Answer::new().send(long_name).hold(), "upstream.malformed"),
            ("more than 256 fields", Answer::new().send(many_fields).hold(), "upstream.malformed"),
            ("interim answers without end", Answer::new().send(interim).hold(), "upstream.malformed"),
            ("closed before a byte", Answer::close(), "upstream.reset"),
            ("reset before a byte", Answer::new().reset(), "upstream.reset"),
            ("closed within the head", Answer::new().send("HTTP/1.1 200 OK\r\nA: b").closed(), "upstream.reset"),
            ("cut", Answer::cut(b"0123456789", 4), "200 \"0123\" then upstream.reset"),
            ("cut between chunks", Answer::cut_chunks(b"0123"), "200 \"0123\" then upstream.reset"),
            ("a chunk size that is none", chunked("3\r\nabc\r\nx\r\n"), "200 \"abc\" then upstream.malformed"),
            ("chunk data without its end", chunked("3\r\nabcd\r\n"), "200 \"abc\" then upstream.malformed"),
            (
                "reset in the body",
                begun("3\r\nabc\r\n").pause(Duration::from_millis(50)).reset(),
                "200 \"abc\" then upstream.reset",
            ),
            // A body without any length ends with its connection, by the standard.
            ("no length", raw("\r\nall of it"), "200 all of it"),
            (
                "interim answers",
                Answer::new().send("HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\n").full(200, &[], "ok"),
                "200 ok",
            ),
            ("equal lengths", raw("Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"), hidden),
            ("a bare line feed", Answer::new().send("HTTP/1.1 200 OK\nContent-Length: 2\n\nok").closed(), hidden),
            ("blanks behind a chunk's size", begun("2 \r\nok\r\n0\r\n\r\n").closed(), late),
        ];
        for (what, answer, expected) in cases {
            let app = upstream::Upstream::start(move |_| answer.clone()).unwrap();
            run(async {
                let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
                // A method that is never sent again, so that each case is seen once.
                let seen = outcome(send(&upstream, request(Method::POST, "/", RequestBody::Empty)).await).await;
                assert_eq!(seen, expected, "{what}");
                assert_eq!(app.seen().requests(), 1, "{what}");
                if !expected.starts_with("200 ok") {
                    assert!(app.reached(LIMIT, |seen| seen.open() == 0).await, "{what}");
                }
            });
        }
    });
}

fn raw(rest: &str) -> Answer {
    Answer::new().send(format!("{OK}{rest}")).closed()
}

fn begun(body: &str) -> Answer {
    Answer::new().send(format!("{OK}Transfer-Encoding: chunked\r\n\r\n{body}"))
}

fn chunked(body: &str) -> Answer {
    begun(body).hold()
}

fn impatient() -> Timeouts {
    Timeouts { response: Duration::from_millis(200), body_idle: Duration::from_millis(200), ..Timeouts::default() }
}

#[test]
fn an_application_that_says_nothing_is_not_waited_for() {
    both(|| {
        let app = upstream::Upstream::start(|request| match request.target().as_str() {
            "/body" => Answer::new().send(format!("{OK}Content-Length: 9\r\n\r\nabc")).hold(),
            "/events" => Answer::chunks("text/event-stream", ["a", "b"], Duration::from_millis(600)),
            "/lines" => Answer::chunks("application/x-ndjson", ["{}", "[]"], Duration::from_millis(600)),
            _ => Answer::silent(),
        })
        .unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            for (path, expected) in [
                ("/", "upstream.timeout"),
                ("/body", "200 \"abc\" then upstream.timeout"),
                // A stream of messages may pause for longer.
                ("/events", "200 ab"),
                ("/lines", "200 {}[]"),
            ] {
                let start = Instant::now();
                let mut ask = ask();
                ask.timeouts = impatient();
                assert_eq!(outcome(send_with(&upstream, get(path), ask).await).await, expected);
                assert!(start.elapsed() >= Duration::from_millis(200), "{path}: {:?}", start.elapsed());
            }
            assert!(app.reached(LIMIT, |seen| seen.open() == 1).await);
        });
    });
}

#[test]
fn an_upload_may_take_longer_than_an_answer() {
    both(|| {
        let app = upstream::Upstream::start(|_| Answer::echo()).unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let (feed, parts) = Fed::parts();
            let feeding = async move {
                for _ in 0..8 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    feed.send(Ok(Frame::data(Bytes::from_static(b"x")))).await.unwrap();
                }
            };
            let mut ask = ask();
            ask.timeouts = impatient();
            let sent = send_with(&upstream, request(Method::POST, "/", RequestBody::new(parts)), ask);
            let (sent, ()) = tokio::join!(sent, feeding);
            assert_eq!(outcome(sent).await, "200 xxxxxxxx");
        });
    });
}

#[test]
fn who_stops_waiting_stops_the_application_at_once() {
    both(|| {
        let app = upstream::Upstream::start(|_| Answer::silent()).unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let waiting = tokio::time::timeout(Duration::from_millis(100), send(&upstream, get("/"))).await;
            assert!(waiting.is_err());
            assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
            let gauges = upstream.gauges(palisade_core::Monotonic::default()).next().unwrap();
            assert_eq!((gauges.in_flight, gauges.open, gauges.idle), (0, 0, 0));
        });
    });
}

#[test]
fn who_leaves_an_early_answer_stops_the_upload_as_well() {
    both(|| {
        let app = upstream::Upstream::start(|_| Answer::new().send(format!("{OK}Content-Length: 9\r\n\r\nabc")).hold())
            .unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let (feed, parts) = Fed::parts();
            feed.send(Ok(Frame::data(Bytes::from_static(b"some")))).await.unwrap();
            drop(response(send(&upstream, request(Method::POST, "/", RequestBody::new(parts))).await));
            assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
            assert!(feed.is_closed());
        });
    });
}

#[test]
fn a_request_body_that_fails_is_not_the_applications_fault() {
    both(|| {
        let app = upstream::Upstream::start(|_| Answer::echo()).unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let (feed, parts) = Fed::parts();
            let feeding = async move {
                feed.send(Ok(Frame::data(Bytes::from_static(b"abc")))).await.unwrap();
                feed.send(Err(std::io::Error::other("left"))).await.unwrap();
            };
            let sent = send(&upstream, request(Method::POST, "/", RequestBody::new(parts)));
            let (sent, ()) = tokio::join!(sent, feeding);
            assert_eq!(sent.attempts[0].error, None);
            assert_eq!(outcome(sent).await, "body: left");
            // The application must not take the part for the whole.
            assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
            assert_eq!(app.seen().bodies(), []);
        });
    });
}

#[test]
fn an_early_answer_gets_through() {
    both(|| {
        for closing in [Closing::Holds, Closing::Closes, Closing::Resets] {
            let app = upstream::Upstream::start(move |_| {
                let early = Answer::early(413, "too large");
                match closing {
                    Closing::Holds => early.hold(),
                    Closing::Closes => early.closed(),
                    Closing::Resets => early.pause(Duration::from_millis(20)).reset(),
                }
            })
            .unwrap();
            run(async {
                let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
                for _ in 0..20 {
                    let (feed, parts) = Fed::parts();
                    let feeding = async move {
                        let chunk = Bytes::from(vec![0; 64 * 1024]);
                        // Until nobody wants the rest.
                        while feed.send(Ok(Frame::data(chunk.clone()))).await.is_ok() {}
                    };
                    let upload = async {
                        outcome(send(&upstream, request(Method::POST, "/", RequestBody::new(parts))).await).await
                    };
                    let (seen, ()) = tokio::join!(upload, feeding);
                    assert_eq!(seen, "413 too large", "{closing:?}");
                }
                assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
            });
        }
    });
}

#[derive(Clone, Copy, Debug)]
enum Closing {
    Holds,
    Closes,
    Resets,
}

#[test]
fn both_directions_stream_at_once() {
    both(|| {
        let app = upstream::Upstream::start(|_| Answer::mirror()).unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let (feed, parts) = Fed::parts();
            let sent = send(&upstream, request(Method::POST, "/", RequestBody::new(parts))).await;
            let mut body = match sent.answer.unwrap() {
                Answered::Response(response) => response.body,
                Answered::Switch(..) => panic!("switch"),
            };
            for part in ["one", "two", "three"] {
                feed.send(Ok(Frame::data(Bytes::from(part)))).await.unwrap();
                assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), part);
            }
            drop(feed);
            assert!(body.frame().await.is_none());
            assert_eq!(outcome(send(&upstream, post("/", b"again")).await).await, "200 again");
            assert_eq!(app.seen().connections(), 1);
        });
    });
}

#[test]
fn nobody_there_is_told_at_once() {
    both(|| {
        let nowhere = upstream::Upstream::nowhere().unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&nowhere.url()]), ambient()).unwrap();
            let mut took = Vec::new();
            for _ in 0..20 {
                let start = Instant::now();
                let sent = send(&upstream, get("/")).await;
                assert_eq!(sent.attempts.len(), 1);
                assert_eq!(outcome(sent).await, "upstream.unreachable");
                took.push(start.elapsed());
            }
            // One of them was not held up by the machine.
            assert!(took.iter().any(|took| *took < Duration::from_millis(10)), "{took:?}");
        });
    });
}

#[test]
fn a_response_body_error_is_final() {
    both(|| {
        let app = upstream::Upstream::start(|_| Answer::cut(b"0123456789", 4)).unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            let mut body = response(send(&upstream, get("/")).await).into_body();
            let mut errors = 0;
            while let Some(frame) = body.frame().await {
                errors += usize::from(frame.is_err());
            }
            assert_eq!(errors, 1);
            assert!(!http_body::Body::is_end_stream(&body));
        });
    });
}
