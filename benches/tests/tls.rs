//! The load generator within TLS. The application speaks none, so a small server stands here for a
//! proxy.

// All of this is test code.
#![allow(clippy::unwrap_used)]

use std::io::{self, BufRead as _, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{iter, thread};

use benches::client::{Client, Progress, Request};
use benches::events::{Events, Wait};
use benches::socket::Transport;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(20);

const SENT: Progress = Progress::Waiting { unsent: false };

/// A server for any number of connections, each on a thread of its own.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = config();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket.unwrap());
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn config() -> Arc<ServerConfig> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["app.example.com".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]).with_no_client_auth();
    Arc::new(config.with_single_cert(vec![cert.der().clone()], key).unwrap())
}

/// Answers 100 KB, in many records, until the client goes.
fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>) -> io::Result<()> {
    let answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".as_slice(), &[b'x'; 100_000]].concat();
    loop {
        take_request(&mut stream)?;
        stream.write_all(&answer)?;
    }
}

fn take_request(stream: &mut StreamOwned<ServerConnection, TcpStream>) -> io::Result<()> {
    let mut body_bytes = 0;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(length) = line.strip_prefix("Content-Length: ") {
            body_bytes = length.trim().parse().unwrap();
        }
    }
    io::copy(&mut stream.take(body_bytes), &mut io::sink()).map(drop)
}

#[test]
fn every_request_is_answered() {
    let address = server().to_string();
    for (arguments, done) in [
        ("closed --connections 8 --requests 1000", 1_000),
        ("closed --connections 8 --requests 1000 --spin", 1_000),
        ("closed --connections 2 --requests 20 --body 3000000", 20),
    ] {
        let mut load = Command::new(env!("CARGO_BIN_EXE_load"));
        load.args(arguments.split(' ')).args(["--tls", "--seconds", "20", "--to", &address]);
        let output = load.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains(&format!("\"done\":{done},\"bad\":0,\"broken\":0")), "{arguments}: {said}");
    }
}

/// Readiness is that of the socket; nothing announces what is decrypted already.
#[test]
fn what_is_decrypted_is_not_left_behind() {
    let mut client = Client::connect(&Transport::tls().unwrap(), server()).unwrap();
    let mut events = Events::new(Wait::Asleep).unwrap();
    events.watch(&client.socket, 0).unwrap();
    let mut progress = client.send(&Request::new("/", 0), 0);
    while progress == SENT {
        assert!(events.wait(Some(LIMIT)).unwrap().any(|ready| ready.readable), "nothing comes any more");
        // Far less than a record.
        progress = client.pull(&mut [0; 100]);
    }
    assert_eq!(progress, Progress::Answered(200));
}

/// The socket may be full when TLS has taken a whole request.
#[test]
fn what_is_said_to_be_sent_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell_count, count) = mpsc::channel();
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config()).unwrap(), socket);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        (0..count.recv().unwrap()).try_for_each(|_| take_request(&mut stream))
    });
    let mut client = Client::connect(&Transport::tls().unwrap(), address).unwrap();
    let request = Request::new("/", 60_000);
    let sent = iter::repeat_with(|| client.send(&request, 0)).take_while(|progress| *progress == SENT).count();
    tell_count.send(sent).unwrap();
    server.join().unwrap().unwrap();
}
