//! WebSockets through the gateway, with frames made by hand.

use e2e::{Engine, Launch, Wire};
use palisade_testkit::upstream::{Answer, Upstream};

const MESSAGES: usize = 10_000;
/// Messages under way at once.
const WINDOW: usize = 100;
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const UPGRADE: &str = "GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A masked frame of up to 125 bytes.
fn frame(code: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [code, 0x80 | payload.len() as u8].into_iter().chain(mask).chain(masked).collect()
}

async fn receive(wire: &mut Wire) -> (u8, Vec<u8>) {
    let head = wire.exactly(2).await.unwrap();
    (head[0], wire.exactly(usize::from(head[1])).await.unwrap())
}

async fn open(wire: &mut Wire) {
    wire.send(UPGRADE).await.unwrap();
    let head = wire.head().await.unwrap();
    assert_eq!(head.status, 101);
    assert_eq!(head.field("sec-websocket-accept").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(head.field("x-request-id").is_some());
}

#[tokio::test]
async fn messages_both_ways_and_the_close_code_is_kept() {
    for engine in Engine::ALL {
        let upstream = Upstream::start(|_| Answer::websocket()).unwrap();
        let gateway = Launch::before(&upstream).engine(engine).start().await;
        let mut wire = Wire::open(gateway.public).await;
        open(&mut wire).await;
        for batch in 0..MESSAGES / WINDOW {
            let text = |number: usize| format!("message {}", batch * WINDOW + number);
            let frames: Vec<u8> = (0..WINDOW).flat_map(|number| frame(TEXT, text(number).as_bytes())).collect();
            wire.send(frames).await.unwrap();
            for number in 0..WINDOW {
                assert_eq!(receive(&mut wire).await, (TEXT, text(number).into_bytes()));
            }
        }
        let goodbye = [&4001_u16.to_be_bytes(), b"as asked".as_slice()].concat();
        wire.send(frame(CLOSE, &goodbye)).await.unwrap();
        assert_eq!(receive(&mut wire).await, (CLOSE, goodbye));
        // Each side closes for itself; the tunnel ends with the second one.
        assert!(wire.closes().await);
        drop(wire);
        let record = gateway.record("the record of the socket", |record| record["path"] == "/socket").await;
        assert_eq!((record["status"].as_u64(), record["outcome"].as_str()), (Some(101), Some("ok")), "{record}");
        assert!(
            record["bytes_in"].as_u64().unwrap() > 100_000 && record["bytes_out"].as_u64().unwrap() > 100_000,
            "{record}"
        );
    }
}

#[tokio::test]
async fn a_refused_upgrade_is_a_problem_document() {
    for engine in Engine::ALL {
        let upstream = Upstream::start(|_| Answer::websocket()).unwrap();
        let config = format!("[app]\nupstream = \"{}\"\n[limits]\nper_ip = \"1/10m\"\n", upstream.url());
        let gateway = Launch::config(config).engine(engine).start().await;
        open(&mut Wire::open(gateway.public).await).await;
        let mut wire = Wire::open(gateway.public).await;
        wire.send(UPGRADE).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().refusal(), "429 limits.rate");
        assert_eq!(upstream.seen().requests(), 1);
    }
}

/// The application says no: its answer is passed on, and no tunnel opens.
#[tokio::test]
async fn an_upgrade_that_the_application_declines_stays_http() {
    for engine in Engine::ALL {
        let upstream = Upstream::start(|_| Answer::ok("no")).unwrap();
        let gateway = Launch::before(&upstream).engine(engine).start().await;
        let mut wire = Wire::open(gateway.public).await;
        wire.send(UPGRADE).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().text(), "no");
    }
}

#[tokio::test]
async fn a_wrong_accept_value_opens_no_tunnel() {
    for engine in Engine::ALL {
        let upstream = Upstream::start(|_| {
            Answer::new().send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
            )
        })
        .unwrap();
        let gateway = Launch::before(&upstream).engine(engine).start().await;
        let mut wire = Wire::open(gateway.public).await;
        wire.send(UPGRADE).await.unwrap();
        assert_eq!(wire.answer().await.unwrap().refusal(), "502 upstream.malformed");
    }
}
