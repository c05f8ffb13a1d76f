//! Tunnels, through a small gateway of the test: hyper towards the client, the proxy behind it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use palisade_proxy::{Answer, BodyError, Carried, RequestBody, Timeouts, TunnelEnd, Upstream};
use palisade_testkit::upstream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::worker::{LIMIT, ambient, ask, both, made, run, send_with, settings};

const HANDSHAKE: &str = "GET /socket HTTP/1.1\r\nHost: briefly.example\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

type Ends = Rc<RefCell<Vec<Carried>>>;

/// A gateway on a free port, and what its tunnels carried.
async fn gateway(app: &upstream::Upstream, timeouts: Timeouts) -> (SocketAddr, Ends) {
    let upstream = Upstream::<Incoming>::new(settings(&[&app.url()]), ambient()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ends = Ends::default();
    let tunnels = Rc::clone(&ends);
    spawn_local(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (upstream, ends) = (Rc::clone(&upstream), Rc::clone(&tunnels));
            let service = service_fn(move |request| forward(Rc::clone(&upstream), request, timeouts, Rc::clone(&ends)));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            spawn_local(connection.with_upgrades());
        }
    });
    (address, ends)
}

async fn forward(
    upstream: Rc<Upstream<Incoming>>,
    mut request: Request<Incoming>,
    timeouts: Timeouts,
    ends: Ends,
) -> Result<Response<UnsyncBoxBody<Bytes, BodyError>>, Infallible> {
    let client = hyper::upgrade::on(&mut request);
    let mut ask = ask();
    ask.timeouts = timeouts;
    Ok(match send_with(&upstream, request.map(RequestBody::new), ask).await.answer {
        Ok(Answer::Switch(received)) => {
            let (head, tunnel) = made(received).into_parts();
            spawn_local(async move {
                let client = async { client.await.ok().map(TokioIo::new) };
                let carried = tunnel.run(client, std::future::pending::<()>()).await;
                ends.borrow_mut().push(carried);
            });
            Response::from_parts(head, Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync())
        }
        Ok(Answer::Response(response)) => {
            let (head, body) = made(response).into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            Response::from_parts(head, Full::new(body).map_err(|never| match never {}).boxed_unsync())
        }
        Err(failure) => {
            let text = format!("{failure:?}");
            Response::builder()
                .status(502)
                .body(Full::new(text.into()).map_err(|never| match never {}).boxed_unsync())
                .unwrap()
        }
    })
}

async fn handshake(address: SocketAddr) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    (socket, String::from_utf8(head).unwrap())
}

async fn ended(ends: &Ends) -> Carried {
    let limit = tokio::time::Instant::now() + LIMIT;
    loop {
        if let Some(carried) = ends.borrow().first() {
            return *carried;
        }
        assert!(tokio::time::Instant::now() < limit);
        tokio::task::yield_now().await;
    }
}

#[test]
fn ten_thousand_messages_both_ways_and_the_close_code() {
    both(|| {
        let app = upstream::Upstream::start(|_| upstream::Answer::websocket()).unwrap();
        run(async {
            let (address, ends) = gateway(&app, Timeouts::default()).await;
            let (socket, head) = handshake(address).await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            assert!(
                head.to_ascii_lowercase().contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
                "{head}"
            );
            let (mut read, mut write) = socket.into_split();
            let writing = spawn_local(async move {
                for number in 0..10_000u32 {
                    let [a, b, c, d] = number.to_be_bytes();
                    // A binary message of four bytes under a mask of zeros, every other one with more.
                    write.write_all(&[0x82, 0x84, 0, 0, 0, 0, a, b, c, d]).await.unwrap();
                }
                write.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x0f, 0xa1]).await.unwrap();
                write
            });
            for number in 0..10_000u32 {
                let mut frame = [0; 6];
                read.read_exact(&mut frame).await.unwrap();
                assert_eq!((frame[0], frame[1], &frame[2..]), (0x82, 4, number.to_be_bytes().as_slice()));
            }
            let mut rest = Vec::new();
            read.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, [0x88, 2, 0x0f, 0xa1]);
            drop((read, writing.await.unwrap()));
            let carried = ended(&ends).await;
            assert_eq!(carried, Carried { up: 100_008, down: 60_004, end: TunnelEnd::Closed });
        });
    });
}

#[test]
fn one_side_may_end_before_the_other() {
    both(|| {
        // An application that answers when the client has said all.
        let app = upstream::Upstream::start(|_| {
        upstream::Answer::new()
            .send("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nfirst")
            .until_end()
            .send("last")
            .closed()
    })
    .unwrap();
        run(async {
            let (address, ends) = gateway(&app, Timeouts::default()).await;
            let (mut socket, _) = handshake(address).await;
            socket.write_all(b"all").await.unwrap();
            socket.shutdown().await.unwrap();
            let mut read = String::new();
            socket.read_to_string(&mut read).await.unwrap();
            assert_eq!(read, "firstlast");
            assert_eq!(ended(&ends).await, Carried { up: 3, down: 9, end: TunnelEnd::Closed });
        });
    });
}

#[test]
fn a_tunnel_ends_with_its_sides_or_after_its_idle_time() {
    both(|| {
        let app = upstream::Upstream::start(|_| upstream::Answer::websocket()).unwrap();
        run(async {
            let (address, ends) = gateway(&app, Timeouts::default()).await;
            let (socket, _) = handshake(address).await;
            socket.set_zero_linger().unwrap();
            drop(socket);
            assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
            assert!(matches!(ended(&ends).await.end, TunnelEnd::ClientLost | TunnelEnd::Closed));

            let impatient = Timeouts { stream_idle: Duration::from_millis(300), ..Timeouts::default() };
            let (address, ends) = gateway(&app, impatient).await;
            let (mut socket, _) = handshake(address).await;
            assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
            assert_eq!(ended(&ends).await.end, TunnelEnd::Idle);
            assert!(app.reached(LIMIT, |seen| seen.open() == 0).await);
        });
    });
}

#[test]
fn a_tunnel_opens_only_after_the_matching_answer() {
    both(|| {
        let wrong = "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n\r\n";
        for (answer, expected) in [
            (upstream::Answer::new().send(wrong).hold(), "HTTP/1.1 502 "),
            (upstream::Answer::status(403, &[], "no"), "HTTP/1.1 403 "),
            (upstream::Answer::close(), "HTTP/1.1 502 "),
        ] {
            let app = upstream::Upstream::start(move |_| answer.clone()).unwrap();
            run(async {
                let (address, ends) = gateway(&app, Timeouts::default()).await;
                let (_socket, head) = handshake(address).await;
                assert!(head.starts_with(expected), "{head}");
                assert_eq!(ends.borrow().len(), 0);
            });
        }
    });
}
