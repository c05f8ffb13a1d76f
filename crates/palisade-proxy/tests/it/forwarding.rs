//! What passes, and what is kept for the next request.

use bytes::Bytes;
use http::Method;
use http_body::Frame;
use http_body_util::BodyExt;
use palisade_proxy::{HostHeader, RequestBody, Settings, Upstream};
use palisade_testkit::upstream::{self, Answer, digest};

use crate::worker::{Fed, LIMIT, ambient, both, get, outcome, post, request, response, run, send, settings};

fn scripted(script: impl Fn(&upstream::Request) -> Answer + Send + Sync + 'static) -> upstream::Upstream {
    upstream::Upstream::start(script).unwrap()
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    both(|| {
        let app = scripted(|request| match request.target().as_str() {
            "/chunks" => Answer::chunks("text/plain", ["a", "b"], std::time::Duration::ZERO),
            "/none" => Answer::status(204, &[], ""),
            "/same" => Answer::status(304, &[("Content-Length", "5")], ""),
            "/head" => Answer::new().read().send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            "/echo" => Answer::echo(),
            _ => Answer::ok("hello"),
        });
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            for _ in 0..3 {
                assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 hello");
                assert_eq!(outcome(send(&upstream, get("/chunks")).await).await, "200 ab");
                assert_eq!(outcome(send(&upstream, get("/none")).await).await, "204 ");
                assert_eq!(outcome(send(&upstream, get("/same")).await).await, "304 ");
                assert_eq!(outcome(send(&upstream, post("/echo", b"body")).await).await, "200 body");
                let head = response(send(&upstream, request(Method::HEAD, "/head", RequestBody::Empty)).await);
                assert_eq!(head.headers()["content-length"], "9");
            }
            assert_eq!((app.seen().requests(), app.seen().connections()), (18, 1));
        });
    });
}

#[test]
fn an_answer_that_is_not_read_to_its_end_closes_its_connection() {
    both(|| {
        let app = scripted(|_| Answer::ok("x".repeat(200_000)));
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            drop(response(send(&upstream, get("/")).await));
            assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
            assert_eq!(response(send(&upstream, get("/")).await).collect().await.unwrap().to_bytes().len(), 200_000);
            assert_eq!(app.seen().connections(), 2);
        });
    });
}

#[test]
fn bodies_arrive_as_they_were_sent() {
    both(|| {
        let app = scripted(|_| Answer::echo());
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            for size in [0, 1, 65_535, 10_000_000] {
                let bytes: Bytes = (0..size).map(|place: u32| (place ^ (place >> 8)) as u8).collect();
                let known = send(&upstream, post("/", &bytes)).await;
                assert!(response(known).collect().await.unwrap().to_bytes() == bytes, "{size}");
                let (feed, parts) = Fed::parts();
                let rest = bytes.clone();
                let feeding = async move {
                    for chunk in rest.chunks(10_007) {
                        feed.send(Ok(Frame::data(Bytes::copy_from_slice(chunk)))).await.unwrap();
                    }
                };
                let unknown = request(Method::POST, "/", RequestBody::new(parts));
                let (sent, ()) = tokio::join!(send(&upstream, unknown), feeding);
                assert!(response(sent).collect().await.unwrap().to_bytes() == bytes, "{size}");
            }
            let bodies = app.seen().bodies();
            assert_eq!(bodies.last().map(|body| body.length), Some(10_000_000));
            assert_eq!(app.seen().connections(), 1);
            let heads = app.seen().heads();
            assert_eq!(heads[2].value("content-length").as_deref(), Some("1"));
            assert_eq!(heads[3].value("transfer-encoding").as_deref(), Some("chunked"));
            assert_eq!(bodies[0].digest, digest(b""));
        });
    });
}

#[test]
fn one_request_in_is_one_request_out() {
    both(|| {
        let app = scripted(|_| Answer::echo());
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            // A GET with a body of unknown length has a body.
            let (feed, parts) = Fed::parts();
            let sent = send(&upstream, request(Method::GET, "/", RequestBody::new(parts)));
            let feeding = async move { feed.send(Ok(Frame::data(Bytes::from_static(b"abc")))).await.unwrap() };
            let (sent, ()) = tokio::join!(sent, feeding);
            assert_eq!(outcome(sent).await, "200 abc");
            // Lengths and encodings of the head are not believed.
            let mut lying = post("/", b"abcd");
            lying.headers_mut().insert("content-length", "400".parse().unwrap());
            lying.headers_mut().insert("transfer-encoding", "gzip".parse().unwrap());
            assert_eq!(outcome(send(&upstream, lying).await).await, "200 abcd");
            let mut lying = get("/");
            lying.headers_mut().insert("content-length", "7".parse().unwrap());
            assert_eq!(outcome(send(&upstream, lying).await).await, "200 ");
            let mut bare = post("/", b"");
            bare.headers_mut().remove("content-length");
            assert_eq!(outcome(send(&upstream, bare).await).await, "200 ");
            let heads = app.seen().heads();
            assert_eq!(
                (heads[1].values("content-length"), heads[3].values("content-length")),
                (vec!["4".to_owned()], vec!["0".to_owned()])
            );
            assert_eq!(heads[1].values("transfer-encoding").len() + heads[2].values("content-length").len(), 0);
        });
    });
}

#[test]
fn the_head_is_the_callers_but_for_trace_and_host() {
    both(|| {
        let app = scripted(|_| Answer::status(200, &[("Connection", "x-hop"), ("X-Hop", "1"), ("X-End", "2")], "ok"));
        run(async {
            let mut by_upstream: Settings = settings(&[&app.url()]);
            by_upstream.host = HostHeader::Upstream;
            let own_host = Upstream::new(by_upstream, ambient()).unwrap();
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            for upstream in [&upstream, &own_host] {
                let mut with_hop = get("/a%20b?c=d&c=e");
                with_hop.headers_mut().insert("connection", "x-mine".parse().unwrap());
                with_hop.headers_mut().insert("x-mine", "1".parse().unwrap());
                let sent = send(upstream, with_hop).await;
                assert_eq!(sent.server().map(|server| server.to_string()), Some(app.address().to_owned()));
                let span = sent.attempts[0].span_id;
                let answer = response(sent);
                assert!(!answer.headers().contains_key("x-hop") && !answer.headers().contains_key("connection"));
                assert_eq!(answer.headers()["x-end"], "2");
                let seen = app.seen().heads().pop().unwrap();
                assert_eq!((seen.target().as_str(), seen.values("x-mine").len()), ("/a%20b?c=d&c=e", 0));
                let trace = format!("00-00000000000000000000000000000007-{span}-01");
                assert_eq!(seen.values("traceparent"), [trace]);
                answer.collect().await.unwrap();
            }
            let hosts: Vec<_> = app.seen().heads().iter().map(|head| head.values("host")).collect();
            assert_eq!(hosts, [vec!["briefly.example".to_owned()], vec![app.address().to_owned()]]);
        });
    });
}

#[test]
fn trailers_pass_if_they_were_announced() {
    both(|| {
        let app = scripted(|_| {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Set-Cookie\r\n\r\n";
            Answer::new()
                .read()
                .send(head)
                .chunk(b"hello")
                .send("0\r\nX-Sum: 5\r\nSet-Cookie: a=b\r\nX-Other: 1\r\n\r\n")
        });
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            for _ in 0..2 {
                let answer = response(send(&upstream, get("/")).await);
                let names: Vec<_> = answer.headers().get_all("trailer").iter().cloned().collect();
                assert_eq!(names, ["x-sum"]);
                let collected = answer.collect().await.unwrap();
                let trailers = collected.trailers().unwrap();
                assert_eq!((trailers.len(), trailers["x-sum"].as_bytes()), (1, b"5".as_slice()));
            }
            assert_eq!(app.seen().connections(), 1);
        });
    });
}

#[test]
fn a_unix_socket_is_a_server_too() {
    both(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let app = upstream::Upstream::start_unix(&path, |_| Answer::ok("hello")).unwrap();
        run(async {
            let upstream = Upstream::new(settings(&[&format!("unix:{}", path.display())]), ambient()).unwrap();
            for _ in 0..3 {
                assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 hello");
            }
            assert_eq!(app.seen().connections(), 1);
        });
    });
}

#[test]
fn a_name_is_looked_up() {
    both(|| {
        let app = scripted(|_| Answer::ok("hello"));
        run(async {
            let url = app.url().replace("127.0.0.1", "localhost");
            let upstream = Upstream::new(settings(&[&url]), ambient()).unwrap();
            assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 hello");
            let unknown = Upstream::new(settings(&["http://nothing.invalid"]), ambient()).unwrap();
            assert_eq!(outcome(send(&unknown, get("/")).await).await, "upstream.unreachable");
        });
    });
}

#[test]
fn a_connection_that_the_server_closes_is_not_used_again() {
    both(|| {
        let app = scripted(|_| Answer::ok("hello").closed());
        run(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            for round in 1..=3 {
                let sent = send(&upstream, post("/", b"x")).await;
                assert_eq!((outcome(sent).await.as_str(), app.seen().requests()), ("200 hello", round));
                assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
                let open =
                    || upstream.gauges(palisade_core::Monotonic::default()).map(|server| server.open).sum::<u32>();
                while open() > 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    });
}

#[test]
fn a_connection_that_nobody_uses_is_closed() {
    both(|| {
        let app = scripted(|_| Answer::ok("hello"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tasks = tokio::task::LocalSet::new();
        runtime.block_on(tasks.run_until(async {
            let upstream = Upstream::new(settings(&[&app.url()]), ambient()).unwrap();
            assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 hello");
            tokio::time::pause();
            tokio::time::advance(std::time::Duration::from_secs(50)).await;
            tokio::time::resume();
            assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 hello");
            assert_eq!(app.seen().connections(), 1);
            tokio::time::pause();
            tokio::time::advance(std::time::Duration::from_secs(62)).await;
            tokio::time::resume();
            assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
        }));
    });
}
