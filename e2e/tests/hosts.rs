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
async fn the_application_sees_the_host_that_is_served() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let listed = "hosts = [\"www.briefly.example\"]";
    let any = "hosts = [\"*\"]\ninsecure_any_host = true";
    for (hosts, host, seen) in [
        (listed, "BRIEFLY.example:81", "briefly.example"),
        (listed, "localhost", "briefly.example"),
        (listed, "www.briefly.example", "www.briefly.example"),
        (listed, "WWW.briefly.example:443", "WWW.briefly.example:443"),
        (any, "briefly.example:81", "briefly.example"),
        (any, "other.example", "other.example"),
        (any, "localhost", "localhost"),
    ] {
        let public = "public_url = \"https://briefly.example\"";
        let gateway = Launch::config(format!("[app]\nupstream = \"{}\"\n{public}\n{hosts}\n", upstream.url()));
        let gateway = gateway.start().await;
        assert_eq!(ask(&gateway, host).await, "200", "{host} with {hosts}");
        let head = upstream.seen().heads().pop().unwrap();
        assert_eq!(head.values("host"), [seen], "{host} with {hosts}");
        assert_eq!(head.value("x-forwarded-host").as_deref(), Some(seen), "{host} with {hosts}");
    }
}

#[tokio::test]
async fn any_host_is_taken_while_the_own_one_is_unknown() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    assert_eq!(ask(&gateway, "evil.example").await, "200");
}
