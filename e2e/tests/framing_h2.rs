//! One request in is exactly one request out (HTTP/2), frame by frame.

use std::time::Duration;

use e2e::frames::{Ended, code, fields_block, flag, get_fields, kind};
use e2e::{Frames, Gateway, Launch};
use palisade_testkit::upstream::{Answer, Upstream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

const REFUSED: &[Ended] = &[Ended::Reset(code::PROTOCOL_ERROR)];
/// h2 takes bytes that can't be in a name or a value for an error of the connection, not of the
/// stream. Refused, but the connection's other streams with it.
const REFUSED_BY_H2: &[Ended] = &[Ended::GoAway(code::PROTOCOL_ERROR)];
const METHOD: &[Ended] = &[Ended::Answered(405)];

const TOO_LARGE: &[Ended] = &[Ended::Answered(431)];

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    (upstream, gateway)
}

fn with<'a>(further: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [get_fields("/hostile").as_slice(), further].concat()
}

fn replaced<'a>(name: &str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    get_fields("/hostile")
        .into_iter()
        .filter_map(|(field, old)| if field == name { value.map(|value| (field, value)) } else { Some((field, old)) })
        .collect()
}

#[tokio::test]
async fn hostile_heads_never_reach_the_application() {
    let (upstream, gateway) = start().await;
    let large = "x".repeat(40 << 10);
    let rows = vec![
        ("authority and host differ", with(&[("host", "evil.example")]), REFUSED),
        ("authority with a user", replaced(":authority", Some("user@localhost")), REFUSED),
        ("authority with a path", replaced(":authority", Some("localhost/path")), REFUSED),
        ("path without slash", replaced(":path", Some("hostile")), REFUSED),
        ("path empty", replaced(":path", Some("")), REFUSED),
        ("path absent", replaced(":path", None), REFUSED),
        ("path absolute", replaced(":path", Some("http://evil.example/")), REFUSED),
        ("method absent", replaced(":method", None), REFUSED),
        ("method twice", with(&[(":method", "GET")]), REFUSED),
        ("pseudo field unknown", with(&[(":evil", "x")]), REFUSED_BY_H2),
        ("pseudo field behind a field", [&[("a", "b")], get_fields("/").as_slice()].concat(), REFUSED),
        ("connection", with(&[("connection", "close")]), REFUSED),
        ("keep-alive", with(&[("keep-alive", "timeout=5")]), REFUSED),
        ("proxy-connection", with(&[("proxy-connection", "close")]), REFUSED),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")]), REFUSED),
        ("upgrade", with(&[("upgrade", "websocket")]), REFUSED),
        ("te other than trailers", with(&[("te", "gzip")]), REFUSED),
        ("upper case", with(&[("A", "b")]), REFUSED_BY_H2),
        ("name with a blank", with(&[("a b", "c")]), REFUSED_BY_H2),
        ("name with CR", with(&[("a\r", "c")]), REFUSED_BY_H2),
        ("name empty", with(&[("", "c")]), REFUSED_BY_H2),
        ("value with CR LF", with(&[("a", "b\r\nc: d")]), REFUSED_BY_H2),
        ("value with LF", with(&[("a", "b\nc")]), REFUSED_BY_H2),
        ("value with NUL", with(&[("a", "b\0c")]), REFUSED_BY_H2),
        ("value with a leading blank", with(&[("a", " b")]), REFUSED),
        ("value with a trailing tab", with(&[("a", "b\t")]), REFUSED),
        ("path with LF", replaced(":path", Some("/a\nb")), REFUSED),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "5")]), REFUSED),
        ("length without data", with(&[("content-length", "5")]), REFUSED),
        ("TRACE", replaced(":method", Some("TRACE")), METHOD),
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "localhost:80")], METHOD),
        // It was not offered, so h2 takes `:protocol` for a mistake.
        (
            "extended CONNECT",
            [&[(":method", "CONNECT"), (":protocol", "websocket")], &get_fields("/")[1..]].concat(),
            REFUSED,
        ),
        (
            "head over 32 KiB",
            with(&[("a", &large[..15_000]), ("b", &large[..15_000]), ("c", &large[..10_000])]),
            TOO_LARGE,
        ),
    ];
    let mut wrong = Vec::new();
    for (name, fields, expected) in rows {
        let mut frames = Frames::open(gateway.public).await.unwrap();
        // One row that gets no answer must not hide the others.
        let ended = timeout(PATIENCE, ask(&mut frames, &fields)).await.unwrap_or(Ended::Closed);
        if !expected.contains(&ended) {
            wrong.push(format!("{name}: {ended:?}, not {expected:?}"));
        } else if !matches!(ended, Ended::GoAway(_)) && frames.get("/after").await != Ended::Answered(200) {
            wrong.push(format!("{name}: the connection did not live on"));
        }
    }
    let reached: Vec<String> =
        upstream.seen().heads().iter().map(|request| request.target()).filter(|target| target != "/after").collect();
    assert!(wrong.is_empty() && reached.is_empty(), "{}\nreached the application: {reached:?}", wrong.join("\n"));
}

/// Like [`Frames::ask`], with heads that may need more than one frame.
async fn ask(frames: &mut Frames, fields: &[(&str, &str)]) -> Ended {
    let block = fields_block(fields);
    let mut parts = block.chunks(16_000).peekable();
    let stream = frames.stream();
    let mut frame = (kind::HEADERS, flag::END_STREAM);
    while let Some(part) = parts.next() {
        let last = if parts.peek().is_none() { flag::END_HEADERS } else { flag::NONE };
        if frames.send(frame.0, frame.1 | last, stream, part).await.is_err() {
            return Ended::Closed;
        }
        frame = (kind::CONTINUATION, flag::NONE);
    }
    frames.outcome(stream).await
}

/// A body, and how the data that follow the head differ from it.
#[tokio::test]
async fn lengths_that_differ_from_the_data_are_refused() {
    let (_upstream, gateway) = start().await;
    for (length, data, expected) in [
        ("5", "hello", Ended::Answered(200)),
        ("5", "hell", Ended::Reset(code::PROTOCOL_ERROR)),
        ("5", "hello!", Ended::Reset(code::PROTOCOL_ERROR)),
    ] {
        let mut frames = Frames::open(gateway.public).await.unwrap();
        let stream = frames.stream();
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/after"),
            ("content-length", length),
        ];
        frames.send(kind::HEADERS, flag::END_HEADERS, stream, &fields_block(&fields)).await.unwrap();
        frames.send(kind::DATA, flag::END_STREAM, stream, data.as_bytes()).await.unwrap();
        assert_eq!(frames.outcome(stream).await, expected, "{length} announced, {data:?} sent");
        let next = frames.get("/after").await;
        assert!(matches!(next, Ended::Answered(200)), "{length} announced, {data:?} sent: {next:?}");
    }
}

/// h2 drops them before anybody sees them, so they can't be refused; what counts is that they are
/// gone.
#[tokio::test]
async fn pseudo_fields_in_trailers_never_reach_the_application() {
    let (upstream, gateway) = start().await;
    let mut frames = Frames::open(gateway.public).await.unwrap();
    let stream = frames.stream();
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/after"),
        ("trailer", "a, path, :path"),
    ];
    frames.send(kind::HEADERS, flag::END_HEADERS, stream, &fields_block(&head)).await.unwrap();
    frames.send(kind::DATA, flag::NONE, stream, b"hello").await.unwrap();
    let trailers = fields_block(&[(":path", "/evil"), ("a", "b")]);
    frames.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &trailers).await.unwrap();
    let ended = frames.outcome(stream).await;
    assert!([Ended::Answered(200), Ended::Reset(code::PROTOCOL_ERROR)].contains(&ended), "{ended:?}");
    let request = upstream.seen().heads().pop();
    assert!(request.is_none_or(|request| request.target() == "/after" && request.values("path").is_empty()));
    let body = upstream.seen().bodies().pop();
    assert!(body.is_none_or(|body| body.length == 5));
}

#[tokio::test]
async fn crumbs_of_a_cookie_are_joined() {
    let (upstream, gateway) = start().await;
    let mut frames = Frames::open(gateway.public).await.unwrap();
    let fields = [get_fields("/").as_slice(), &[("cookie", "a=1"), ("cookie", "b=2")]].concat();
    assert_eq!(frames.ask(&fields).await, Ended::Answered(200));
    assert_eq!(upstream.seen().heads()[0].values("cookie"), ["a=1; b=2"]);
}
