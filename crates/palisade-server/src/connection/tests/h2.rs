use super::super::frames::tests::frame;
use super::super::frames::{Frames, Kind};
use super::*;

/// `GET`, `http`, `/`, and an authority: HPACK's static table and one literal.
const HEAD: &[u8] = &[0x82, 0x86, 0x84, 0x01, 0x01, b'a'];

/// The same with another method and path. In the static table 2 is `GET` and 3 is `POST`.
fn head(method: u8, path: &[u8]) -> Vec<u8> {
    let mut head = vec![0x80 | method, 0x86, 0x04, path.len() as u8];
    head.extend_from_slice(path);
    head.extend_from_slice(&[0x01, 0x01, b'a']);
    head
}

fn with_payload(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(payload.len() as u32, kind, flags, stream);
    bytes.truncate(9);
    bytes.extend_from_slice(payload);
    bytes
}

async fn connect() -> Client {
    let mut client = Client::connect(Engine::H2);
    client.send(PREFACE).await;
    client.send(frame(0, 4, 0, 0)).await;
    client
}

/// The kinds of all frames that came, and the error code of the last GOAWAY.
fn kinds(bytes: &[u8]) -> (Vec<Kind>, Option<u8>) {
    let mut frames = Frames::of_server();
    let mut rest = bytes;
    let mut kinds = Vec::new();
    let mut code = None;
    while let Some(frame) = frames.next(&mut rest) {
        if frame.kind == Kind::GoAway {
            code = rest.get(7).copied();
        }
        kinds.push(frame.kind);
    }
    (kinds, code)
}

const ENHANCE_YOUR_CALM: u8 = 0xb;

#[tokio::test(start_paused = true)]
async fn a_request_is_answered() {
    locally(async {
        let mut client = connect().await;
        client.send(with_payload(1, 5, 1, HEAD)).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        client.io.shutdown().await.unwrap();
        let (kinds, _) = kinds(&client.rest().await.0);
        assert!(kinds.contains(&Kind::Headers), "{kinds:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn floods_are_cut_with_a_last_word() {
    locally(async {
        let mut resets = Vec::new();
        for stream in (1..1_000_u32).step_by(2) {
            resets.push([with_payload(1, 5, stream, HEAD), with_payload(3, 0, stream, &[0, 0, 0, 8])].concat());
        }
        for (name, flood, limit) in [
            ("settings", vec![frame(0, 4, 0, 0); 30_000], ConnectionLimit::H2Oddities),
            ("ping", vec![frame(8, 6, 0, 0); 30_000], ConnectionLimit::H2Oddities),
            ("unknown", vec![frame(0, 99, 0, 0); 30_000], ConnectionLimit::H2Oddities),
            ("priority", vec![with_payload(2, 0, 1, &[0, 0, 0, 0, 1]); 30_000], ConnectionLimit::H2Oddities),
            ("rapid reset", resets, ConnectionLimit::H2Resets),
        ] {
            let client = connect().await;
            let (mut reader, mut writer) = tokio::io::split(client.io);
            let sending = tokio::task::spawn_local(async move {
                for frames in flood {
                    if writer.write_all(&frames).await.is_err() {
                        return "cut";
                    }
                }
                "never cut"
            });
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).await.unwrap();
            assert_eq!(client.around.counters.limit(limit), 1, "{name}");
            assert_eq!(kinds(&bytes).1, Some(ENHANCE_YOUR_CALM), "{name}");
            assert_eq!(client.serving.await.unwrap(), Some(Close::Linger), "{name}");
            assert_eq!(sending.await.unwrap(), "cut", "{name}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_floods_and_does_not_read_is_cut_too() {
    locally(async {
        for control in [frame(0, 4, 0, 0), frame(8, 6, 0, 0)] {
            let mut client = connect().await;
            let sending = tokio::task::spawn_local(async move {
                while client.io.write_all(&control).await.is_ok() {}
                client.around
            });
            client.serving.await.unwrap();
            let around = sending.await.unwrap();
            let cut = |limit| around.counters.limit(limit);
            assert_eq!(cut(ConnectionLimit::H2Control) + cut(ConnectionLimit::SlowReader), 1);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn times_end_connections() {
    locally(async {
        for (name, bytes, limit, expected) in [
            ("nothing", Vec::new(), ConnectionLimit::FirstByte, 10..11),
            (
                "an open header block",
                [PREFACE.to_vec(), with_payload(1, 1, 1, HEAD)].concat(),
                ConnectionLimit::HeadTime,
                10..11,
            ),
            ("idle", [PREFACE.to_vec(), frame(0, 4, 0, 0)].concat(), ConnectionLimit::Idle, 60..67),
            (
                "idle after a request",
                [PREFACE.to_vec(), frame(0, 4, 0, 0), with_payload(1, 5, 1, HEAD)].concat(),
                ConnectionLimit::Idle,
                60..67,
            ),
        ] {
            let mut client = Client::connect(Engine::H2);
            client.send(&bytes).await;
            let (bytes, seconds) = client.rest().await;
            assert_eq!(client.limit(limit), 1, "{name}");
            assert!(expected.contains(&seconds), "{name} {seconds}");
            assert_eq!(kinds(&bytes).0.contains(&Kind::GoAway), limit == ConnectionLimit::Idle, "{name}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_is_answered_and_others_live_on() {
    locally(async {
        let mut client = connect().await;
        client.send(with_payload(1, 4, 1, &head(3, b"/body"))).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        client.send(with_payload(1, 5, 3, HEAD)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        client.send(with_payload(1, 5, 5, HEAD)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.io.shutdown().await.unwrap();
        let bytes = client.rest().await.0;
        // HPACK: status 408 is a literal, 200 is in the static table.
        let text = String::from_utf8_lossy(&bytes);
        let answers = kinds(&bytes).0.iter().filter(|kind| **kind == Kind::Headers).count();
        assert_eq!(answers, 3, "{text}");
        assert_eq!(client.limit(ConnectionLimit::SlowBody), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_keeps_its_windows_closed_is_cut() {
    locally(async {
        let mut client = connect().await;
        client.send(with_payload(1, 5, 1, &head(2, b"/large"))).await;
        let (bytes, seconds) = client.rest().await;
        assert!((30..34).contains(&seconds), "{seconds}");
        assert_eq!(client.limit(ConnectionLimit::SlowReader), 1);
        assert_eq!(kinds(&bytes).1, Some(ENHANCE_YOUR_CALM));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn windows_have_the_pace_of_any_reader() {
    locally(async {
        // The first window, and by how much it grows every second of which number.
        for (window, grows, every, cut) in [
            // What the first window let through earns no more than the longest pause.
            (65_535, 1, 20, Some(30..34)),
            (65_535, 1, 1, Some(30..34)),
            (65_535, 120, 1, Some(60..67)),
            (65_535, 300, 1, None),
            (65_535, 3_000, 10, None),
            // Nothing was earned: the grace, from the first look on.
            (0, 1, 20, Some(5..9)),
            (0, 300, 1, None),
        ] {
            let mut client = Client::connect(Engine::H2);
            client.send(PREFACE).await;
            client.send(with_payload(4, 0, 0, &[&[0, 4][..], &u32::to_be_bytes(window)].concat())).await;
            client.send(with_payload(1, 5, 1, &head(2, b"/large"))).await;
            let (mut reader, mut writer) = tokio::io::split(client.io);
            let growing = tokio::task::spawn_local(async move {
                loop {
                    tokio::time::sleep(Duration::from_secs(every)).await;
                    let more = u32::to_be_bytes(grows);
                    let updates = [with_payload(8, 0, 0, &more), with_payload(8, 0, 1, &more)].concat();
                    if writer.write_all(&updates).await.is_err() {
                        return;
                    }
                }
            });
            let mut bytes = Vec::new();
            let reading = tokio::time::timeout(Duration::from_secs(300), reader.read_to_end(&mut bytes));
            let end = reading.await.ok().map(|read| read.map(|_| client.began.elapsed().as_secs()).unwrap());
            growing.abort();
            assert_eq!(end.is_some(), cut.is_some(), "{window} {grows} {every}: {end:?}");
            let limit = client.around.counters.limit(ConnectionLimit::SlowReader);
            assert_eq!(limit, u64::from(cut.is_some()), "{window} {grows} {every}");
            if let (Some(end), Some(cut)) = (end, cut) {
                assert!(cut.contains(&end), "{window} {grows} {every}: {end}");
                assert_eq!(kinds(&bytes).1, Some(ENHANCE_YOUR_CALM));
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_be_quiet() {
    locally(async {
        let mut client = connect().await;
        client.send(with_payload(1, 5, 1, &head(2, b"/quiet"))).await;
        let mut bytes = Vec::new();
        let reading = tokio::time::timeout(QUIET + Duration::from_secs(1), client.io.read_to_end(&mut bytes));
        assert!(reading.await.is_err(), "closed after {:?}", client.began.elapsed());
        let (kinds, _) = kinds(&bytes);
        let pieces = kinds.iter().filter(|kind| **kind == Kind::Data).count();
        assert!(pieces >= 2 && !kinds.contains(&Kind::GoAway), "{kinds:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn draining_says_goodbye() {
    locally(async {
        let mut client = connect().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        client.around.registry.drain();
        client.io.read_exact(&mut [0; 1]).await.unwrap();
        client.io.shutdown().await.unwrap();
        let mut bytes = vec![0];
        bytes.extend(client.rest().await.0);
        assert!(kinds(&bytes).0.contains(&Kind::GoAway));
    })
    .await;
}
