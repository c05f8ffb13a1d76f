//! HTTP/2 towards the application, with and without TLS, and TLS itself.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use http_body::Frame;
use palisade_proxy::{Protocol, RequestBody, Settings, SetupError, Upstream};
use palisade_testkit::upstream::{self, Answer};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use crate::worker::{Fed, ambient, ask, get, outcome, post, request, run, send, send_with, settings};

/// What an HTTP/2 application saw.
#[derive(Default)]
struct Seen {
    connections: Cell<usize>,
    requests: Cell<usize>,
    resets: Cell<usize>,
}

/// An application that answers with the request's authority and body.
async fn application(acceptor: Option<TlsAcceptor>) -> (SocketAddr, Rc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Rc::new(Seen::default());
    let inside = Rc::clone(&seen);
    spawn_local(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Rc::clone(&inside));
            spawn_local(async move {
                match acceptor {
                    None => connection(socket, seen).await,
                    Some(acceptor) => {
                        if let Ok(socket) = acceptor.accept(socket).await {
                            connection(socket, seen).await;
                        }
                    }
                }
            });
        }
    });
    (address, seen)
}

async fn connection(socket: impl AsyncRead + AsyncWrite + Unpin + 'static, seen: Rc<Seen>) {
    seen.connections.set(seen.connections.get() + 1);
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        seen.requests.set(seen.requests.get() + 1);
        let seen = Rc::clone(&seen);
        spawn_local(async move {
            let (head, mut body) = request.into_parts();
            assert!(!head.headers.contains_key("host") && !head.headers.contains_key("connection"));
            if head.uri.path() == "/silent" {
                let reset = std::future::poll_fn(|context| respond.poll_reset(context)).await;
                seen.resets.set(seen.resets.get() + usize::from(reset.is_ok()));
                return;
            }
            if head.uri.path() == "/early" {
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                let reset = std::future::poll_fn(|context| stream.poll_reset(context)).await;
                seen.resets.set(seen.resets.get() + usize::from(reset.is_ok()));
                return;
            }
            if head.uri.path() == "/refused" && seen.requests.get() == 1 {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut read = Vec::new();
            while let Some(Ok(chunk)) = body.data().await {
                read.extend_from_slice(&chunk);
                let _ = body.flow_control().release_capacity(chunk.len());
            }
            let text = format!("{} {}", head.uri.authority().map_or("", |authority| authority.as_str()), read.len());
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(text.into(), true).unwrap();
        });
    }
}

fn h2c(address: SocketAddr) -> Settings {
    Settings { protocol: Protocol::H2c, ..settings(&[&format!("http://{address}")]) }
}

#[test]
fn many_requests_share_a_connection() {
    run(async {
        let (address, seen) = application(None).await;
        let upstream = Upstream::new(h2c(address), ambient()).unwrap();
        let clients = (0..50).map(|_| {
            let upstream = Rc::clone(&upstream);
            spawn_local(async move { outcome(send(&upstream, post("/", b"body")).await).await })
        });
        for client in clients.collect::<Vec<_>>() {
            assert_eq!(client.await.unwrap(), "200 briefly.example 4");
        }
        assert_eq!((seen.connections.get(), seen.requests.get()), (1, 50));
        let (feed, parts) = Fed::parts();
        let feeding = async move {
            for _ in 0..100 {
                feed.send(Ok(Frame::data(Bytes::from(vec![0; 100_000])))).await.unwrap();
            }
        };
        let upload = send(&upstream, request(Method::POST, "/", RequestBody::new(parts)));
        let (sent, ()) = tokio::join!(upload, feeding);
        assert_eq!(outcome(sent).await, "200 briefly.example 10000000");
    });
}

#[test]
fn more_streams_than_one_connection_takes_open_another() {
    run(async {
        let (address, seen) = application(None).await;
        let upstream = Upstream::new(h2c(address), ambient()).unwrap();
        let clients = (0..250).map(|_| {
            let upstream = Rc::clone(&upstream);
            spawn_local(async move { outcome(send(&upstream, get("/")).await).await })
        });
        for client in clients.collect::<Vec<_>>() {
            assert_eq!(client.await.unwrap(), "200 briefly.example 0");
        }
        assert!((2..=3).contains(&seen.connections.get()), "{}", seen.connections.get());
    });
}

#[test]
fn who_stops_waiting_resets_the_stream_only() {
    run(async {
        let (address, seen) = application(None).await;
        let upstream = Upstream::new(h2c(address), ambient()).unwrap();
        let (feed, parts) = Fed::parts();
        let (early_feed, early_parts) = Fed::parts();
        for (path, body) in [
            ("/silent", RequestBody::Empty),
            ("/silent", RequestBody::new(parts)),
            ("/early", RequestBody::Empty),
            ("/early", RequestBody::new(early_parts)),
        ] {
            let before = seen.resets.get();
            let sent = send(&upstream, request(Method::POST, path, body));
            let answered = tokio::time::timeout(Duration::from_millis(100), sent).await;
            assert_eq!(answered.is_ok(), path == "/early");
            drop(answered);
            while seen.resets.get() == before {
                tokio::task::yield_now().await;
            }
        }
        assert!(feed.is_closed() && early_feed.is_closed());
        assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 briefly.example 0");
        assert_eq!(seen.connections.get(), 1);
    });
}

#[test]
fn a_refused_stream_is_sent_again() {
    run(async {
        let (address, seen) = application(None).await;
        let upstream = Upstream::new(h2c(address), ambient()).unwrap();
        assert_eq!(outcome(send(&upstream, get("/refused")).await).await, "200 briefly.example 0");
        assert_eq!(seen.requests.get(), 2);
    });
}

#[test]
fn a_silent_connection_gets_no_new_requests() {
    run(async {
        let (address, seen) = application(None).await;
        let upstream = Upstream::new(h2c(address), ambient()).unwrap();
        let mut ask = ask();
        ask.timeouts.response = Duration::from_millis(100);
        assert_eq!(outcome(send_with(&upstream, get("/silent"), ask).await).await, "upstream.timeout");
        assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 briefly.example 0");
        assert_eq!(seen.connections.get(), 2);
    });
}

/// A certificate for `localhost`, in PEM, and an acceptor that shows it.
fn tls(protocol: Option<&str>) -> (Arc<[u8]>, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocol.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    (made.cert.pem().into_bytes().into(), TlsAcceptor::from(Arc::new(config)))
}

fn secure(address: SocketAddr, host: &str, private_ca: Option<Arc<[u8]>>, protocol: Protocol) -> Settings {
    Settings { protocol, private_ca, ..settings(&[&format!("https://{host}:{}", address.port())]) }
}

#[test]
fn http2_over_tls() {
    run(async {
        let (pem, acceptor) = tls(Some("h2"));
        let (address, _) = application(Some(acceptor)).await;
        for (host, private_ca, expected) in [
            ("localhost", Some(Arc::clone(&pem)), "200 briefly.example 0"),
            // Nobody vouches for it; another name than the certificate's.
            ("localhost", None, "upstream.unreachable"),
            ("127.0.0.1", Some(Arc::clone(&pem)), "upstream.unreachable"),
            // Only the CA that is named vouches.
            ("localhost", Some(tls(None).0), "upstream.unreachable"),
        ] {
            let upstream = Upstream::new(secure(address, host, private_ca, Protocol::H2), ambient()).unwrap();
            assert_eq!(outcome(send(&upstream, get("/")).await).await, expected, "{host}");
        }
    });
}

#[test]
fn http2_that_was_not_agreed_upon_is_not_spoken() {
    run(async {
        let (pem, acceptor) = tls(None);
        let (address, seen) = application(Some(acceptor)).await;
        let upstream = Upstream::new(secure(address, "localhost", Some(pem), Protocol::H2), ambient()).unwrap();
        assert_eq!(outcome(send(&upstream, get("/")).await).await, "upstream.unreachable");
        assert_eq!(seen.requests.get(), 0);
    });
}

#[test]
fn http1_over_tls_and_a_cut_that_tls_shows() {
    let app = upstream::Upstream::start(|request| match request.target().as_str() {
        "/cut" => Answer::new().send("HTTP/1.1 200 OK\r\n\r\nno length").pause(Duration::from_millis(50)).reset(),
        _ => Answer::ok("hello"),
    })
    .unwrap();
    run(async {
        let (pem, acceptor) = tls(Some("http/1.1"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plain = app.address().to_owned();
        spawn_local(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, plain) = (acceptor.clone(), plain.clone());
                spawn_local(async move {
                    let (Ok(mut outer), Ok(mut inner)) =
                        (acceptor.accept(socket).await, TcpStream::connect(plain).await)
                    else {
                        return;
                    };
                    let _ = copy_bidirectional(&mut outer, &mut inner).await;
                });
            }
        });
        let upstream =
            Upstream::new(secure(address, "localhost", Some(pem.clone()), Protocol::Http1), ambient()).unwrap();
        for _ in 0..3 {
            assert_eq!(outcome(send(&upstream, get("/")).await).await, "200 hello");
        }
        assert_eq!(app.seen().connections(), 1);
        let cut = outcome(send(&upstream, get("/cut")).await).await;
        assert_eq!(cut, "200 \"no length\" then upstream.reset");
        // HTTP/2 that the server doesn't speak is no connection.
        let upstream = Upstream::new(secure(address, "localhost", Some(pem), Protocol::H2), ambient()).unwrap();
        assert_eq!(outcome(send(&upstream, get("/")).await).await, "upstream.unreachable");
    });
}

#[test]
fn settings_that_cannot_work() {
    run(async {
        let new = |settings| Upstream::<Fed>::new(settings, ambient()).map(drop);
        let plain = settings(&["http://127.0.0.1:1"]);
        let h2 = Settings { protocol: Protocol::H2, ..plain.clone() };
        assert!(matches!(new(h2), Err(SetupError::NeedsTls(_))));
        let h2c = Settings { protocol: Protocol::H2c, ..settings(&["https://app"]) };
        assert!(matches!(new(h2c), Err(SetupError::NeedsNoTls(_))));
        assert!(matches!(new(Settings { servers: vec![], ..plain.clone() }), Err(SetupError::NoServer)));
        let many = Settings { servers: vec![plain.servers[0].clone(); 65], ..plain };
        assert!(matches!(new(many), Err(SetupError::TooManyServers)));
        let ca = |pem: &[u8]| Settings { private_ca: Some(pem.into()), ..settings(&["https://app"]) };
        assert!(matches!(new(ca(b"no certificate")), Err(SetupError::PrivateCa)));
    });
}
