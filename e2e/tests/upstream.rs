//! Applications that die, come back, or were never there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use e2e::{Engine, Gateway, Launch, Traffic, Wire, within};
use palisade_testkit::upstream::{Answer, Upstream};

/// On a quiet machine 10 ms and 1.5 s (gateway.md); here other tests run beside.
const REFUSED_WITHIN: Duration = Duration::from_millis(250);
const BACK_WITHIN: Duration = Duration::from_secs(3);

fn up(address: SocketAddr) -> Upstream {
    Upstream::start_at(address, |_| Answer::ok("up").after(Duration::from_millis(5))).unwrap()
}

/// Asks until the application answers.
async fn until_up(gateway: &Gateway) {
    within("the application answers again", async { while gateway.get("/").await.status != 200 {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_costs_no_idempotent_request() {
    for engine in Engine::ALL {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (first, second) = (up(any), up(any));
        let (first_address, second_address) = (first.address().to_owned(), second.address().to_owned());
        let config = format!("[app]\nupstream = [\"http://{first_address}\", \"http://{second_address}\"]\n");
        let gateway = Launch::config(config).engine(engine).start().await;

        let traffic = Traffic::start(gateway.public, "/", 16, 200);
        let both = |_: &_| first.seen().requests() > 100 && second.seen().requests() > 100;
        assert!(first.reached(e2e::LIMIT, both).await, "not both servers were used");
        drop(first);
        let after = second.seen().requests();
        assert!(second.reached(e2e::LIMIT, |seen| seen.requests() > after + 200).await);
        traffic.stop().await.assert_all_good(400);

        drop(second);
        for _ in 0..10 {
            let began = Instant::now();
            let answer = gateway.get("/").await;
            assert_eq!(answer.refusal(), "502 upstream.unreachable");
            assert_eq!(answer.field("retry-after").as_deref(), Some("1"));
            assert!(began.elapsed() < REFUSED_WITHIN, "it took {:?}", began.elapsed());
        }

        let _restarted = up(first_address.parse().unwrap());
        let began = Instant::now();
        until_up(&gateway).await;
        assert!(began.elapsed() < BACK_WITHIN, "it took {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn an_application_that_is_not_there_yet() {
    let nowhere = Upstream::nowhere().unwrap();
    let gateway = Launch::config("").argument("--upstream").argument(&nowhere.url()).start().await;
    gateway.says(&nowhere.address().to_string()).await;
    gateway.says("can't be reached").await;
    // What protects it was said before.
    let said = gateway.said();
    let (protection, _) = said.split_once("can't be reached").unwrap();
    for words in ["TRACE and CONNECT get 405", "reports only: 300 requests a minute per address"] {
        assert!(protection.contains(words), "no {words:?} in\n{said}");
    }
    assert_eq!(gateway.get("/").await.refusal(), "502 upstream.unreachable");
    let record = gateway.record("the refusal", |record| record["code"] == "upstream.unreachable").await;
    assert_eq!(record["outcome"], "upstream_error");
    let _upstream = up(nowhere.address());
    until_up(&gateway).await;
}

/// The gateway says so, and stays ready: it answers all the same.
#[tokio::test]
async fn a_server_that_goes_out_of_rotation_and_comes_back_is_told_of() {
    let (nowhere, other) = (Upstream::nowhere().unwrap(), up(SocketAddr::from(([127, 0, 0, 1], 0))));
    let config = format!("[app]\nworkers = 1\nupstream = [\"{}\", \"{}\"]\n", nowhere.url(), other.url());
    let gateway = Launch::config(config).start().await;
    let server = nowhere.address().to_string();
    // Requests go on until the line is there.
    let told = async |event: &str| {
        let asking = async {
            loop {
                gateway.get("/").await;
            }
        };
        tokio::select! {
            line = gateway.line(event, |line| line["event"] == event) => assert_eq!(line["server"], *server),
            () = asking => {}
        }
    };
    let ready = async |target: &str| {
        let answer = Wire::open(gateway.admin).await.get(target).await.unwrap();
        assert_eq!(answer.status, 200, "{target}");
        answer.text()
    };
    told("server_out").await;
    let note = format!("[!]upstream degraded: {server} has been out of rotation");
    assert!(ready("/readyz?verbose").await.contains(&note));
    assert_eq!(ready("/readyz").await, "ok");
    let _upstream = up(nowhere.address());
    told("server_back").await;
    assert!(!ready("/readyz?verbose").await.contains("[!]"));
}

/// Only requests that may be sent twice are.
#[tokio::test]
async fn a_request_that_may_have_been_acted_upon_is_not_repeated() {
    for engine in Engine::ALL {
        let upstream = Upstream::start(|request| match request.target().as_str() {
            "/fine" => Answer::ok(""),
            _ => Answer::new().read().closed(),
        })
        .unwrap();
        let gateway = Launch::before(&upstream).engine(engine).start().await;
        // A kept connection exists, so that its loss could be taken for a stale one.
        assert_eq!(gateway.get("/fine").await.status, 200);
        let mut wire = Wire::open(gateway.public).await;
        wire.send("POST /pay HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        assert_eq!(wire.answer().await.unwrap().refusal(), "502 upstream.reset");
        let paid = upstream.seen().heads().iter().filter(|request| request.target() == "/pay").count();
        assert_eq!(paid, 1);
    }
}
