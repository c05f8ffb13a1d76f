//! What a client may not say, in places where it is easily overlooked.

use e2e::{Launch, Wire};
use palisade_testkit::upstream::{Answer, Upstream};

#[tokio::test]
async fn no_reserved_name_comes_as_a_trailer() {
    let upstream = Upstream::start(|_| Answer::mirror()).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    for name in ["x-nonce", "X-Forwarded-User", "x-middleware-subrequest", "x_original_url", "palisade-user"] {
        let mut wire = Wire::open(gateway.public).await;
        let request = format!(
            "POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: {name}\r\n\r\n\
             2\r\nhi\r\n0\r\n{name}: forged\r\n\r\n"
        );
        wire.send(request).await.unwrap();
        let answer = wire.answer().await.unwrap();
        assert_eq!(answer.status, 200, "{name}");
        assert!(!answer.text().contains("forged"), "{name}: {}", answer.text());
        assert_eq!(upstream.seen().heads().pop().unwrap().value("trailer"), None, "{name}");
    }
}

#[tokio::test]
async fn no_program_is_told_of_a_proxy() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\nProxy: http://evil.example\r\n\r\n").await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 200);
    assert_eq!(upstream.seen().heads().pop().unwrap().value("proxy"), None);
}

#[tokio::test]
async fn our_prefix_is_ours_in_every_spelling() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    for path in ["/.palisade/x", "/.PALISADE/livez", "/.palisade;x/livez", "/.palisade%2flivez", "/.palisade./x"] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.refusal(), "404 http.not_found", "{path}");
    }
    assert_eq!(upstream.seen().requests(), 0);
    assert_eq!(gateway.get("/my.palisade/x").await.status, 200, "only the first segment is ours");
}

#[tokio::test]
async fn a_host_that_an_old_client_does_not_name_is_the_applications() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET / HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 200);
    assert_eq!(upstream.seen().heads().pop().unwrap().values("host"), [upstream.address().to_string()]);
}

#[tokio::test]
async fn the_token_of_a_link_is_not_in_its_record() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    gateway.get("/v?eyJhbGciOiJIUzI1NiJ9&page=1").await;
    let record = gateway.record("the link", |record| record["path"] == "/v").await;
    assert_eq!(record["query_names"], serde_json::json!(["page"]));
}
