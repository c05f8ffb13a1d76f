//! Compression: asked for by the client, read back by it, and no brake on a stream.

use std::io::{Read as _, Write as _};

use e2e::{Gateway, Launch, Received, Wire};
use flate2::read::GzDecoder;
use flate2::write;
use palisade_testkit::upstream::{Answer, Request, Upstream};

const FIRST: &str = "a part that is written before the next one exists";

fn page() -> String {
    "<p>A page repeats itself, as pages do.</p>\n".repeat(500)
}

fn application(request: &Request) -> Answer {
    let page = page();
    let full = |media_type: &str, body: &str| {
        Answer::status(200, &[("Content-Type", media_type), ("ETag", "\"v1\""), ("Accept-Ranges", "bytes")], body)
    };
    match request.target().as_str() {
        "/page" => full("text/html; charset=utf-8", &page),
        "/short" => full("text/html", "short"),
        "/image" => full("image/png", &page),
        "/large" => full("text/plain", &"x".repeat((1 << 20) + 1)),
        "/parts" => Answer::new()
            .read()
            .send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
            .chunk(FIRST.as_bytes())
            .hold(),
        _ => Answer::cut_chunks(page.as_bytes()),
    }
}

async fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start(application).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\ncompress = [\"zstd\", \"gzip\"]\n", upstream.url());
    let gateway = Launch::config(config).start().await;
    (upstream, gateway)
}

fn request(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: br, gzip\r\n\r\n")
}

async fn ask(wire: &mut Wire, path: &str) -> Received {
    wire.send(request(&format!("GET {path}"))).await.unwrap();
    wire.answer().await.unwrap()
}

#[tokio::test]
async fn text_is_compressed_for_who_accepts_it() {
    let (_upstream, gateway) = start().await;
    let mut wire = Wire::open(gateway.public).await;
    let received = ask(&mut wire, "/page").await;
    assert_eq!(received.field("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(received.field("vary").as_deref(), Some("Accept-Encoding"));
    assert_eq!(received.field("etag").as_deref(), Some("W/\"v1\""));
    assert_eq!(received.field("accept-ranges"), None);
    assert!(received.body.len() < page().len() / 10, "{} bytes", received.body.len());
    let mut text = String::new();
    GzDecoder::new(received.body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, page());

    let plain = wire.get("/page").await.unwrap();
    assert_eq!(plain.text(), page());
    assert_eq!(plain.field("content-encoding"), None);
    assert_eq!(plain.field("vary").as_deref(), Some("Accept-Encoding"));
    assert_eq!(plain.field("etag").as_deref(), Some("\"v1\""));

    for path in ["/short", "/image", "/large"] {
        let received = ask(&mut wire, path).await;
        assert_eq!((received.field("content-encoding"), received.field("vary")), (None, None), "{path}");
        assert_eq!(received.field("content-length"), Some(received.body.len().to_string()), "{path}");
    }
    let record = gateway.record("the compressed page", |record| record["path"] == "/page").await;
    assert_eq!(record["outcome"], "ok", "{record}");
}

#[tokio::test]
async fn a_part_can_be_read_before_the_next_is_written() {
    let (_upstream, gateway) = start().await;
    let mut wire = Wire::open(gateway.public).await;
    wire.send(request("GET /parts")).await.unwrap();
    assert_eq!(wire.head().await.unwrap().field("content-encoding").as_deref(), Some("gzip"));
    let mut decoder = write::GzDecoder::new(Vec::new());
    while decoder.get_ref().len() < FIRST.len() {
        decoder.write_all(&wire.chunk().await.unwrap().unwrap()).unwrap();
        decoder.flush().unwrap();
    }
    assert_eq!(decoder.get_ref(), FIRST.as_bytes());
}

#[tokio::test]
async fn what_was_cut_is_not_completed() {
    let (_upstream, gateway) = start().await;
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET /cut HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n").await.unwrap();
    assert!(wire.answer().await.is_err());
}
