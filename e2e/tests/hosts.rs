//! Which names the gateway answers to.

use e2e::{Gateway, Launch, Wire};
use palisade_testkit::upstream::{Answer, Upstream};

async fn ask(gateway: &Gateway, host: &str) -> String {
    let mut wire = Wire::open(gateway.public).await;
    wire.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.unwrap();
    let answer = wire.answer().await.unwrap();
    if answer.status == 200 { "200".to_owned() } else { answer.refusal() }
}

#[tokio::test]
async fn a_foreign_host_is_refused_once_the_own_one_is_known() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!(
        "[app]\nupstream = \"{}\"\npublic_url = \"https://briefly.example\"\nhosts = [\"www.briefly.example\"]\n",
        upstream.url()
    );
    let gateway = Launch::config(config).start().await;
    for (host, expected) in [
        ("briefly.example", "200"),
        ("BRIEFLY.example", "200"),
        ("www.briefly.example", "200"),
        ("localhost", "200"),
        ("127.0.0.1", "200"),
        ("[::1]", "200"),
        ("evil.example", "421 http.unknown_host"),
        ("briefly.example.evil.example", "421 http.unknown_host"),
        ("evil.briefly.example", "421 http.unknown_host"),
    ] {
        let before = upstream.seen().requests();
        assert_eq!(ask(&gateway, host).await, expected, "{host}");
        assert_eq!(upstream.seen().requests() - before, usize::from(expected == "200"), "{host}");
    }
}

#[tokio::test]
async fn any_host_is_taken_while_the_own_one_is_unknown() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    assert_eq!(ask(&gateway, "evil.example").await, "200");
}
