//! What is sent: everything that ends in another way.

use std::io;
use std::net::SocketAddr;

use super::client::{Body, Connection};

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Get,
    /// An answer of 1 KiB to 1 MiB.
    Large,
    Head,
    /// With a length.
    Post,
    Chunks,
    Pipelined,
    /// The connection ends with it.
    Close,
    Old,
    /// Goes away in the middle of its own body.
    AbortSending,
    /// Goes away in the middle of the answer.
    AbortReading,
    Malformed,
    /// A handshake that the application declines.
    Handshake,
    /// One that is none.
    HalfHandshake,
}

/// How often each is done, of a hundred.
const ACTS: [(Act, u64); 13] = [
    (Act::Get, 40),
    (Act::Large, 4),
    (Act::Head, 6),
    (Act::Post, 14),
    (Act::Chunks, 14),
    (Act::Pipelined, 5),
    (Act::Close, 4),
    (Act::Old, 2),
    (Act::AbortSending, 2),
    (Act::AbortReading, 1),
    (Act::Malformed, 4),
    (Act::Handshake, 2),
    (Act::HalfHandshake, 2),
];

/// What the application answers, if not asked for more.
const SMALL: usize = 1 << 10;

/// Requests that are sent at once.
const PIPELINED: u64 = 4;

const FIELDS: &str = "Host: app.example.com\r\nUser-Agent: soak\r\nCookie: sid=5f2c1e9d8a7b4c3e9f0a1b2c3d4e5f60\r\n";

/// Rows of the specification that are refused, and their statuses.
const MALFORMED: [(&str, u16); 8] = [
    ("GET / HTTP/1.1\nHost: app.example.com\n\n", 400),
    (
        "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    ("POST / HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: app.example.com\r\nA : b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\x03\n", 400),
    ("TRACE / HTTP/1.1\r\nHost: app.example.com\r\n\r\n", 405),
];

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";

/// Numbers that look random and follow from a seed (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A size up to `2^bits`, small ones as often as large ones.
    fn size(&mut self, bits: u64) -> usize {
        let bound = 1 << self.below(bits + 1);
        self.below(bound) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T; 8]) -> &'a T {
        let [first, ..] = from;
        from.get(self.below(from.len() as u64) as usize).unwrap_or(first)
    }

    pub(super) fn act(&mut self) -> Act {
        let mut at = self.below(ACTS.iter().map(|(_, share)| share).sum());
        for (act, share) in ACTS {
            match at.checked_sub(share) {
                Some(rest) => at = rest,
                None => return act,
            }
        }
        Act::Get
    }
}

/// Does it. Gives how many requests it was; `Err` says why an honest client is not content.
pub(super) fn perform(
    act: &Act,
    random: &mut Random,
    kept: &mut Option<Connection>,
    to: SocketAddr,
) -> Result<u64, String> {
    let work = |error: io::Error| error.to_string();
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(to).map_err(work)?,
    };
    let mut requests = 1;
    let mut keeps = true;
    match act {
        Act::Get => keeps = ask(&mut connection, &head("GET", "/", ""), Body::Follows, SMALL)?,
        Act::Large => {
            let bytes = SMALL + random.size(20);
            keeps = ask(&mut connection, &head("GET", &format!("/bytes/{bytes}"), ""), Body::Follows, bytes)?;
        }
        Act::Head => keeps = ask(&mut connection, &head("HEAD", "/", ""), Body::Missing, 0)?,
        Act::Post => {
            let body = vec![b'p'; random.size(17)];
            let head = head("POST", "/", &format!("Content-Length: {}\r\n", body.len()));
            keeps = ask(&mut connection, &[head, body].concat(), Body::Follows, SMALL)?;
        }
        Act::Chunks => keeps = ask(&mut connection, &chunks(random), Body::Follows, SMALL)?,
        Act::Pipelined => {
            requests = PIPELINED;
            connection.send(&head("GET", "/", "").repeat(PIPELINED as usize)).map_err(work)?;
            for _ in 0..PIPELINED {
                keeps &= receive(&mut connection, Body::Follows, SMALL)?;
            }
        }
        Act::Close => {
            ask(&mut connection, &head("GET", "/", "Connection: close\r\n"), Body::Follows, SMALL)?;
            return if connection.closes() { Ok(1) } else { Err("was not closed".to_owned()) };
        }
        Act::Old => {
            let request = format!("GET / HTTP/1.0\r\n{FIELDS}\r\n");
            ask(&mut connection, request.as_bytes(), Body::Follows, SMALL)?;
            return if connection.closes() { Ok(1) } else { Err("was not closed".to_owned()) };
        }
        Act::AbortSending => {
            let bytes = random.size(15);
            let head = head("POST", "/", "Content-Length: 100000\r\n");
            connection.send(&[head, vec![b'a'; bytes]].concat()).map_err(work)?;
            keeps = false;
        }
        Act::AbortReading => {
            connection.send(&head("GET", "/bytes/1048576", "")).map_err(work)?;
            connection.skip(random.size(16)).map_err(work)?;
            keeps = false;
        }
        Act::Malformed => {
            let (bytes, status) = *random.pick(&MALFORMED);
            return refused(connection, bytes, status);
        }
        Act::Handshake => {
            let fields = format!("{HANDSHAKE}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
            keeps = ask(&mut connection, &head("GET", "/", &fields), Body::Follows, SMALL)?;
        }
        Act::HalfHandshake => {
            let request = format!("GET / HTTP/1.1\r\n{FIELDS}{HANDSHAKE}\r\n");
            return refused(connection, &request, 400);
        }
    }
    *kept = keeps.then_some(connection);
    Ok(requests)
}

fn head(method: &str, path: &str, fields: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\n{FIELDS}{fields}\r\n").into_bytes()
}

fn chunks(random: &mut Random) -> Vec<u8> {
    let mut request = head("POST", "/", "Transfer-Encoding: chunked\r\n");
    for _ in 0..random.below(5) {
        // An empty one would be the last.
        let chunk = vec![b'c'; 1 + random.size(15)];
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(&chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// Sends a request and reads its answer. Whether another may follow.
fn ask(connection: &mut Connection, request: &[u8], body: Body, bytes: usize) -> Result<bool, String> {
    connection.send(request).map_err(|error| error.to_string())?;
    receive(connection, body, bytes)
}

fn receive(connection: &mut Connection, body: Body, bytes: usize) -> Result<bool, String> {
    let answer = connection.answer(body).map_err(|error| error.to_string())?;
    if answer.status == 200 && answer.body_bytes == bytes { Ok(answer.keeps) } else { Err(format!("{answer:?}")) }
}

/// A refusal is an answer, and the end.
fn refused(mut connection: Connection, request: &str, status: u16) -> Result<u64, String> {
    // It may be closed before the last byte is written.
    drop(connection.send(request.as_bytes()));
    let answer = connection.answer(Body::Follows).map_err(|error| error.to_string())?;
    match answer.status {
        found if found != status => Err(format!("{answer:?}, not {status}: {request:?}")),
        _ if !connection.closes() => Err(format!("was not closed: {request:?}")),
        _ => Ok(1),
    }
}
