//! Floods of HTTP/2 frames end with a GOAWAY, and honest clients don't notice them.

use std::time::Duration;

use e2e::frames::{Ended, PREFACE, code, fields_block, flag, frame, get_fields, kind};
use e2e::{Frames, Gateway, Launch, Traffic, Wire};
use palisade_testkit::upstream::{Answer, Upstream};

/// More than any budget of the gateway.
const FRAMES: u32 = 30_000;
/// Resident memory that all floods together may leave behind.
const GROWTH_MAX: u64 = 64 << 20;

/// A flood: what is sent once, and what is sent over and over, given the number of the round.
struct Flood {
    name: &'static str,
    first: Vec<u8>,
    again: fn(u32) -> Vec<u8>,
}

fn floods() -> Vec<Flood> {
    let flood = |name, again| Flood { name, first: Vec::new(), again };
    let open = |flags| frame(kind::HEADERS, flags, 1, &fields_block(&get_fields("/flood")));
    vec![
        flood("rapid reset", |round| {
            let stream = 2 * round + 1;
            let head = fields_block(&get_fields("/flood"));
            let opened = frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &head);
            [opened, frame(kind::RST_STREAM, flag::NONE, stream, &code::CANCEL.to_be_bytes())].concat()
        }),
        // The server is made to reset each stream: a window that overflows is an error of the stream.
        flood("made to reset", |round| {
            let stream = 2 * round + 1;
            let head = fields_block(&get_fields("/flood"));
            let opened = frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &head);
            [opened, frame(kind::WINDOW_UPDATE, flag::NONE, stream, &[0x7f, 0xff, 0xff, 0xff])].concat()
        }),
        Flood {
            name: "continuation",
            first: open(flag::NONE),
            again: |_| frame(kind::CONTINUATION, flag::NONE, 1, &fields_block(&[("a", "b")])),
        },
        Flood {
            name: "empty continuation",
            first: open(flag::NONE),
            again: |_| frame(kind::CONTINUATION, flag::NONE, 1, &[]),
        },
        Flood {
            name: "empty data",
            first: {
                let head = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/flood")];
                frame(kind::HEADERS, flag::END_HEADERS, 1, &fields_block(&head))
            },
            again: |_| frame(kind::DATA, flag::NONE, 1, &[]),
        },
        flood("settings", |_| frame(kind::SETTINGS, flag::NONE, 0, &[0, 3, 0, 0, 0, 100])),
        flood("ping", |_| frame(kind::PING, flag::NONE, 0, b"01234567")),
        flood("priority", |round| frame(kind::PRIORITY, flag::NONE, 2 * round + 1, &[0, 0, 0, 0, 16])),
        flood("window update", |_| frame(kind::WINDOW_UPDATE, flag::NONE, 0, &[0, 0, 0, 1])),
        flood("unknown frames", |_| frame(0xfe, flag::NONE, 0, b"x")),
    ]
}

/// Sends until the connection breaks, then reads how it ended.
async fn run(gateway: &Gateway, flood: &Flood) -> Ended {
    let mut frames = Frames::open(gateway.public).await.unwrap();
    if frames.send_all(&flood.first).await.is_ok() {
        for batch in 0..FRAMES / 100 {
            let bytes: Vec<u8> = (0..100).flat_map(|round| (flood.again)(batch * 100 + round)).collect();
            if frames.send_all(&bytes).await.is_err() {
                break;
            }
        }
    }
    frames.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_end_and_honest_clients_do_not_notice() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    gateway.get("/").await;
    let before = gateway.memory();
    let mut honest = Frames::open(gateway.public).await.unwrap();
    let traffic = Traffic::start(gateway.public, "/honest", 8, 400);
    let mut wrong = Vec::new();
    for flood in floods() {
        let ended = run(&gateway, &flood).await;
        if ended != Ended::GoAway(code::ENHANCE_YOUR_CALM) {
            wrong.push(format!("{}: {ended:?}", flood.name));
        }
        let answer = honest.get("/honest").await;
        assert_eq!(answer, Ended::Answered(200), "an honest connection during {}", flood.name);
    }
    assert!(wrong.is_empty(), "not calmed down\n{}", wrong.join("\n"));
    traffic.stop().await.assert_all_good(10);
    let growth = gateway.memory().saturating_sub(before);
    assert!(growth < GROWTH_MAX, "memory grew by {growth} bytes");
}

/// Cheap for the client must not be dear for the application.
#[tokio::test]
async fn rapid_reset_reaches_the_application_rarely() {
    let upstream = Upstream::start(|_| Answer::ok("ok").after(Duration::from_millis(50))).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    let flood = floods().into_iter().find(|flood| flood.name == "rapid reset").unwrap();
    assert_eq!(run(&gateway, &flood).await, Ended::GoAway(code::ENHANCE_YOUR_CALM));
    let reached = upstream.seen().requests();
    assert!(reached <= 200, "{reached} of {FRAMES} streams reached the application");
}

#[tokio::test]
async fn a_preface_without_settings_is_closed_in_time() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let config = format!("[app]\nupstream = \"{}\"\n[app.timeouts]\nidle = \"1s\"\n", upstream.url());
    let gateway = Launch::config(config).start().await;
    let mut wire = Wire::open(gateway.public).await;
    wire.send(PREFACE).await.unwrap();
    // Whatever the gateway says of its own, a connection without a request is idle.
    wire.end().await.unwrap();
}
