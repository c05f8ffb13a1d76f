use tokio::net::TcpListener;

use super::*;
use crate::admission::{Admission, AdmissionRule};
use crate::memory::Usage;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends `text` and reads until the connection closes: the statuses of all answers.
async fn statuses(text: &[u8]) -> (String, Client) {
    let mut client = Client::connect(Engine::H1);
    client.send(text).await;
    let (bytes, _) = client.rest().await;
    (found(&bytes), client)
}

fn found(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let codes: Vec<_> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    codes.join(" ")
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_one_after_the_other() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        for _ in 0..3 {
            client.send(GET).await;
            assert!(client.answer().await.starts_with("HTTP/1.1 200"));
        }
        client.send(GET.repeat(5)).await;
        for _ in 0..5 {
            assert!(client.answer().await.starts_with("HTTP/1.1 200"));
        }
        for piece in "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n"
            .split_inclusive("a")
        {
            client.send(piece).await;
        }
        assert!(client.answer().await.contains("content-length: 3"));
        assert!(client.answer().await.contains("content-length: 0"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_malformed_is_answered_and_nothing_after_it_is_read() {
    both(async || {
        let big = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(40_000));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9_000));
        for (text, expected, code) in [
            ("GET / HTTP/1.1\nHost: a\n\n", "400", "http.malformed"),
            ("GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400", "http.malformed"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400", "http.malformed"),
            (&big, "431", "http.head_too_large"),
            (&long, "414", "http.target_too_long"),
            // The engine's own finding, which it would answer without a body.
            ("GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n", "400", "http.malformed"),
        ] {
            // Ours hands over what it has read, and the service refuses it.
            if text.contains("[::1") && HTTP1.get() == palisade_proxy::Engine::Own {
                continue;
            }
            for before in ["", GET] {
                let expected = format!("{}{expected}", if before.is_empty() { "" } else { "200 " });
                let mut client = Client::connect(Engine::H1);
                client.send(format!("{before}{text}{GET}")).await;
                let (bytes, seconds) = client.rest().await;
                let answers = String::from_utf8_lossy(&bytes);
                assert_eq!((found(&bytes), seconds), (expected, 0), "{text}");
                assert!(answers.ends_with('}') && answers.contains(&format!("\"code\":\"{code}\"")), "{answers}");
                assert!(answers.contains("connection: close\r\n"), "{answers}");
                let reason = Reason::find(code).unwrap();
                assert_eq!(client.around.counters.refusal(reason), 1, "{text}");
                assert_eq!(client.close().await, Some(Close::Linger), "{text}");
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_malformed_body_is_the_services_to_refuse() {
    both(async || {
        let body =
            "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n+1\r\nx\r\n0\r\n\r\n";
        let (found, client) = statuses(format!("{body}{GET}").as_bytes()).await;
        assert_eq!(found, "400");
        assert_eq!(client.around.counters.refusal(Reason::HttpMalformed), 0);
        assert_eq!(client.close().await, Some(Close::Linger));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_byte_closes_silently() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        assert_eq!(client.rest().await, (Vec::new(), 10));
        assert_eq!(client.limit(ConnectionLimit::FirstByte), 1);
        assert_eq!(client.close().await, Some(Close::Now));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_head_has_ten_seconds_from_its_first_byte() {
    both(async || {
        for before in ["", GET] {
            let mut client = Client::connect(Engine::H1);
            if !before.is_empty() {
                client.send(before).await;
                client.answer().await;
            }
            tokio::time::sleep(Duration::from_secs(7)).await;
            for byte in "GET / HTTP/1.1".bytes() {
                client.send([byte]).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let (bytes, seconds) = client.rest().await;
            assert_eq!((found(&bytes).as_str(), seconds), ("408", 17));
            assert_eq!(client.limit(ConnectionLimit::HeadTime), 1);
            assert_eq!(client.around.counters.refusal(Reason::HttpTimeout), 1);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_closes_silently() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(8)).await;
            client.send(GET).await;
            client.answer().await;
        }
        let (bytes, seconds) = client.rest().await;
        assert_eq!(bytes, b"");
        assert!((24 + 60..=24 + 66).contains(&seconds), "{seconds}");
        assert_eq!(client.limit(ConnectionLimit::Idle), 1);
    })
    .await;
}

/// Nothing marks when a connection becomes idle; the limit is kept all the same, whatever it is.
#[tokio::test(start_paused = true)]
async fn an_idle_limit_is_kept_to_a_tenth() {
    for engine in [Engine::H1, Engine::H2] {
        both(async || {
            for idle_ms in [500, 1_000, 7_000, 60_000, 600_000] {
                let idle = Duration::from_millis(idle_ms);
                let mut client = Client::within(Limits { idle, ..Limits::default() }, engine);
                match engine {
                    Engine::H1 => {
                        client.send(GET).await;
                        client.answer().await;
                    }
                    Engine::H2 => client.send([PREFACE.as_slice(), &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat()).await,
                }
                client.rest().await;
                let took = client.began.elapsed();
                // HTTP/2 says goodbye first, and this client doesn't answer to it.
                let goodbye = if engine == Engine::H2 { client.around.limits.linger } else { Duration::ZERO };
                let late = (idle / 10).max(Duration::from_millis(100)) + Duration::from_millis(10) + goodbye;
                assert!((idle..=idle + late).contains(&took), "{engine:?}: {took:?}, not {idle:?}");
                assert_eq!(client.limit(ConnectionLimit::Idle), 1);
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_ends() {
    both(async || {
        let head = "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
        for (first, slow, expected) in [
            // Nothing: the grace.
            (0, 0, 5),
            // As fast as allowed: never.
            (0, 240, 0),
            // Half of it: when the grace is used up.
            (0, 120, 10),
            // Fast, then silent: the longest pause.
            (50_000, 0, 30),
        ] {
            let mut client = Client::connect(Engine::H1);
            client.send(head).await;
            client.send(vec![0; first]).await;
            let mut sent = first;
            while slow > 0 && sent < 100_000 && client.limit(ConnectionLimit::SlowBody) == 0 {
                client.send(vec![0; slow.min(100_000 - sent)]).await;
                sent += slow;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let answer = client.answer().await;
            if expected == 0 {
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                continue;
            }
            let seconds = client.began.elapsed().as_secs();
            assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
            assert!((expected..=expected + 1).contains(&seconds), "{first} {slow}: {seconds}");
            assert_eq!(client.limit(ConnectionLimit::SlowBody), 1);
            assert_eq!(client.rest().await.0, b"");
            assert_eq!(client.close().await, Some(Close::Linger));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_reset() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let close = (&mut client.serving).await.unwrap();
        assert_eq!(close, Some(Close::Reset));
        // The pipe took 4 KiB at once: that is 17 seconds at the slowest pace, and the grace.
        assert_eq!(client.began.elapsed().as_secs(), 22);
        assert_eq!(client.limit(ConnectionLimit::SlowReader), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_slow_while_the_service_is() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.send(GET).await;
        for _ in 0..2 {
            assert!(client.answer().await.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(client.began.elapsed().as_secs(), 600);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_be_quiet() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        client.send("GET /quiet HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.answer().await;
        assert_eq!(client.began.elapsed(), QUIET);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_cancels_the_request() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.io.shutdown().await.unwrap();
        (&mut client.serving).await.unwrap();
        assert_eq!(client.began.elapsed().as_secs(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_gets_through_and_ends_the_connection() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        client.send("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc").await;
        assert!(client.answer().await.starts_with("HTTP/1.1 413"));
        assert_eq!(client.close().await, Some(Close::Linger));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_is_whole() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        client.send("GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let (bytes, seconds) = client.rest().await;
        assert!(bytes.len() > 10 << 20 && seconds == 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_has_no_limits_and_loses_nothing() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        let ask = "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        // Bytes sent ahead belong to the tunnel.
        client.send(format!("{ask}\0\x01early")).await;
        assert!(client.answer().await.starts_with("HTTP/1.1 101"));
        let mut bytes = [0; 7];
        client.io.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"\0\x01early");
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        client.send("late").await;
        client.io.read_exact(&mut bytes[..4]).await.unwrap();
        assert_eq!(&bytes[..4], b"late");
        assert_eq!(client.close().await, None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn draining_ends_connections_after_their_request() {
    both(async || {
        let mut idle = Client::connect(Engine::H1);
        idle.send(GET).await;
        idle.answer().await;
        idle.around.registry.drain();
        assert_eq!(idle.rest().await, (Vec::new(), 0));

        let mut busy = Client::connect(Engine::H1);
        busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        busy.around.registry.drain();
        let answer = busy.answer().await;
        assert!(answer.contains("connection: close"), "{answer}");
        assert_eq!(busy.rest().await, (Vec::new(), 600));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn connections_are_not_kept_when_memory_is_short() {
    both(async || {
        for (used, kept) in [(67, true), (68, false)] {
            let mut client = Client::connect(Engine::H1);
            client.around.memory.set(Usage { used, limit: 100 });
            client.send(GET).await;
            let answer = client.answer().await;
            assert_eq!(!answer.contains("connection: close"), kept, "{used} {answer}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_cut_answer_never_ends_like_a_whole_one() {
    both(async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rule = AdmissionRule { connections_max: 9, per_address_max: 9, trusts: Box::new(|_| false) };
        let admission = Arc::new(Admission::new(rule));
        for (path, version, whole) in
            [("/cut", "1.0", false), ("/cut", "1.1", false), ("/large", "1.0", true), ("/large", "1.1", true)]
        {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (socket, peer) = listener.accept().await.unwrap();
            let slot = admission.admit(peer.ip()).unwrap();
            let serving = tokio::task::spawn_local(serve(socket, peer, slot, scripted(Limits::default())));
            let ask = format!("GET {path} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n");
            client.write_all(ask.as_bytes()).await.unwrap();
            let end = client.read_to_end(&mut Vec::new()).await.map(drop).map_err(|error| error.kind());
            // HTTP/1.1 tells by its framing that something is missing.
            let told = whole || version == "1.1";
            assert_eq!(end, if told { Ok(()) } else { Err(io::ErrorKind::ConnectionReset) }, "{path} {version}");
            serving.await.unwrap();
        }
    })
    .await;
}

/// A body that doesn't come must not take the time away from an answer that isn't read.
#[tokio::test(start_paused = true)]
async fn who_neither_sends_nor_reads_is_cut_in_time() {
    locally(async {
        for framing in ["Content-Length: 1000\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
            let mut client = Client::connect(Engine::H1);
            client.send(format!("POST /both HTTP/1.1\r\nHost: a\r\n{framing}")).await;
            let close = (&mut client.serving).await.unwrap();
            assert_eq!(close, Some(Close::Reset), "{framing}");
            assert!(client.began.elapsed().as_secs() < 30, "{:?}", client.began.elapsed());
            let limits = [ConnectionLimit::SlowBody, ConnectionLimit::SlowReader].map(|limit| client.limit(limit));
            assert_eq!(limits, [1, 1], "{framing}");
        }
    })
    .await;
}

/// Nobody knows whether a client that waits for a 100 sends its body after a refusal, or the next
/// request.
#[tokio::test(start_paused = true)]
async fn nothing_is_read_after_a_refusal_that_no_body_was_sent_for() {
    locally(async {
        let mut client = Client::connect(Engine::H1);
        client.send("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\nExpect: 100-continue\r\n\r\n").await;
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("connection: close\r\n"), "{answer}");
        client.send(GET).await;
        assert_eq!(client.rest().await.0, b"");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_before_a_long_body_says_that_it_is_the_last() {
    locally(async {
        let mut client = Client::connect(Engine::H1);
        client.send("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc").await;
        let answer = client.answer().await;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    })
    .await;
}

/// Hints are worth nothing to a client that doesn't take them, and must not pile up for it.
#[tokio::test(start_paused = true)]
async fn hints_that_are_not_taken_are_dropped() {
    locally(async {
        let mut client = Client::connect(Engine::H1);
        client.send("GET /hints HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let (bytes, _) = client.rest().await;
        let text = String::from_utf8(bytes).unwrap();
        let hints = text.matches("HTTP/1.1 103 ").count();
        assert!((1..10).contains(&hints), "{hints}");
        assert_eq!(found(text.as_bytes()), "103 ".repeat(hints) + "200");
    })
    .await;
}

/// What is left of a refused body is waited for no longer than any body.
#[tokio::test(start_paused = true)]
async fn a_refused_body_that_does_not_come_ends_the_connection() {
    both(async || {
        let mut client = Client::connect(Engine::H1);
        client.send("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc").await;
        assert!(client.answer().await.starts_with("HTTP/1.1 413"));
        assert!(client.rest().await.1 <= 6);
    })
    .await;
}
