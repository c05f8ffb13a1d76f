use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

/// Sends bytes and reads what comes back until the upstream closes or `length` bytes came.
fn talk(upstream: &Upstream, send: &[u8], length: usize) -> String {
    let mut socket = TcpStream::connect(upstream.address()).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.write_all(send).unwrap();
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while read.len() < length {
        match socket.read(&mut buffer).unwrap() {
            0 => break,
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8(read).unwrap()
}

#[test]
fn it_answers_by_script_and_keeps_what_it_saw() {
    let upstream = Upstream::start(|request| match request.target().as_str() {
        "/echo" => Answer::echo(),
        _ => Answer::ok("hello"),
    })
    .unwrap();
    let two = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET / HTTP/1.1\r\nA: 1\r\na: 2\r\n\r\n";
    let echo = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Digest: {:016x}\r\n\r\nabcde", digest(b"abcde"));
    let both = format!("{echo}HTTP/1.1 200 Scripted\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(talk(&upstream, two.as_bytes(), both.len()), both);
    assert_eq!((upstream.seen().requests(), upstream.seen().connections()), (2, 1));
    assert_eq!(upstream.seen().bodies(), [Body { number: 0, length: 5, digest: digest(b"abcde") }]);
    assert_eq!(upstream.seen().heads()[1].values("a"), ["1", "2"]);
    assert!(upstream.until(LIMIT, |seen| seen.open() == 0));
}

#[test]
fn it_breaks_off_where_it_was_told() {
    let upstream = Upstream::start(|_| Answer::cut(b"0123456789", 4)).unwrap();
    let answer = talk(&upstream, b"GET / HTTP/1.1\r\n\r\n", usize::MAX);
    assert!(answer.ends_with("Content-Length: 10\r\n\r\n0123"), "{answer}");
}

#[test]
fn it_waits_for_its_cue() {
    let cue = Cue::new();
    let given = cue.clone();
    let upstream = Upstream::start(move |_| Answer::new().send("one").wait(&cue).send("two")).unwrap();
    let mut socket = TcpStream::connect(upstream.address()).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut read = [0; 16];
    assert_eq!(socket.read(&mut read).unwrap(), 3, "what follows is held back");
    given.give();
    assert_eq!(socket.read(&mut read).unwrap(), 3);
    assert_eq!(&read[..3], b"two");
}

#[test]
fn a_websocket_sends_messages_back_unmasked() {
    let upstream = Upstream::start(|_| Answer::websocket()).unwrap();
    let request = [
        b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".as_slice(),
        // "hi" under the mask 1, 2, 3, 4; then a close frame with code 1000.
        &[0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2, 0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8],
    ]
    .concat();
    let mut socket = TcpStream::connect(upstream.address()).unwrap();
    socket.write_all(&request).unwrap();
    let mut read = Vec::new();
    socket.read_to_end(&mut read).unwrap();
    assert!(read.ends_with(b"\r\n\r\n\x81\x02hi\x88\x02\x03\xe8"), "{read:?}");
}

#[test]
fn dropping_it_closes_everything() {
    let upstream = Upstream::start(|_| Answer::silent()).unwrap();
    let mut socket = TcpStream::connect(upstream.address()).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(upstream.until(LIMIT, |seen| seen.requests() == 1));
    let address = upstream.address().to_owned();
    drop(upstream);
    assert_eq!(socket.read(&mut [0; 1]).unwrap(), 0);
    assert!(TcpStream::connect(address).is_err());
}
