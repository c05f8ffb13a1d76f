//! Requests on their way through the gateway: read by our own engine, written again as the proxy
//! does, and read by somebody strict. The input is what a client sends on one connection.
//!
//! One request in is exactly one request out, and it is the same.

#![cfg_attr(fuzzing, no_main)]

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use palisade_core::{Edited, Head as _, HeaderEdits};
use palisade_fuzz::engine::list;
use palisade_fuzz::strict::{self, End, Message, Stop};
use palisade_http1::{Decoded, Decoder, Fields, Framing, Limits, Outbox, Piece, Request, RequestParser, write};
use palisade_proxy::hop;
use palisade_proxy::retry::Payload;

palisade_fuzz::target!(law);

fn law(input: &[u8]) {
    // How much is read and sent at a time must not matter.
    for (read, sent) in [(usize::MAX, usize::MAX), (1, 3), (7, 11), (5_000, 4_000)] {
        let mut wire = Incoming::new(input, read);
        while let Some(request) = wire.head() {
            unchanged_fields_are_the_same(&request.fields);
            if !pass(request, &mut wire, sent) {
                break;
            }
        }
    }
}

/// What a client sends, as it arrives.
struct Incoming<'a> {
    pieces: Box<dyn Iterator<Item = &'a [u8]> + 'a>,
    buffer: BytesMut,
    parser: RequestParser,
}

impl<'a> Incoming<'a> {
    fn new(input: &'a [u8], piece: usize) -> Self {
        let pieces = Box::new(input.chunks(piece));
        Self { pieces, buffer: BytesMut::new(), parser: RequestParser::new(Limits::default()) }
    }

    fn more(&mut self) -> Option<()> {
        self.buffer.extend_from_slice(self.pieces.next()?);
        Some(())
    }

    fn head(&mut self) -> Option<Request> {
        loop {
            match self.parser.parse(&mut self.buffer).ok()? {
                Some(request) => return Some(request),
                None => self.more()?,
            }
        }
    }

    /// The next part of a body; `None` if it breaks off.
    fn part(&mut self, decoder: &mut Decoder) -> Option<Decoded> {
        loop {
            match decoder.decode(&mut self.buffer).ok()? {
                Decoded::More => self.more()?,
                decoded => return Some(decoded),
            }
        }
    }
}

/// What an application is sent, a few bytes at a time.
struct Sent {
    outbox: Outbox,
    bytes: Vec<u8>,
    step: usize,
}

impl Sent {
    /// Makes room for more.
    fn flush(&mut self, is_enough: impl Fn(&Outbox) -> bool) {
        while !is_enough(&self.outbox) {
            let step: Vec<u8> =
                self.outbox.slices().iter().flat_map(|slice| slice.iter().copied()).take(self.step).collect();
            assert!(!step.is_empty(), "there is something to send");
            self.outbox.advance(step.len());
            self.bytes.extend(step);
        }
    }
}

/// What is in a body.
struct Content {
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
}

/// Forwards one request. Whether another may follow.
fn pass(request: Request, wire: &mut Incoming<'_>, step: usize) -> bool {
    let Request { method, target, fields, framing, persistent, .. } = request;
    let payload =
        if matches!(framing, Framing::None | Framing::Length(0)) { Payload::Empty } else { Payload::Streamed };
    let mut edits = HeaderEdits::none();
    // Refused before it is forwarded.
    if hop::prepare(&method, &fields, payload, &|_| true, &mut edits).is_err() {
        return false;
    }
    let mut sent = Sent { outbox: Outbox::default(), bytes: Vec::new(), step };
    let out = sent.outbox.buffer();
    write::request_line(out, &method, &target);
    let mut kept = Vec::new();
    Edited { head: &fields, edits: &edits }.fields(&mut |name, value| {
        kept.push((String::from_utf8(name.to_vec()).expect("a name is a token"), value.to_vec()));
    });
    write::edited(out, &fields, &edits, &mut |name| name != b"content-length" && name != b"transfer-encoding");
    match framing {
        Framing::None | Framing::Length(0) => {}
        Framing::Length(length) => write::length_field(out, length),
        Framing::Chunked | Framing::Close => write::field(out, "transfer-encoding", b"chunked"),
    }
    write::end_of_head(out);
    let meant = forward_body(wire, framing, &mut sent);
    sent.flush(Outbox::is_empty);
    let read = strict::request(&sent.bytes, 0).expect("the head is whole");
    is_the_same_head(&read, &method, &target, kept, framing);
    match meant {
        Some(Content { body, trailers }) => {
            assert_eq!(read.end, Ok(End::At(sent.bytes.len())), "exactly one request");
            assert_eq!((read.body, read.trailers), (body, trailers));
            persistent
        }
        None => {
            assert_eq!(read.end, Err(Stop::Cut), "what broke off is never whole");
            false
        }
    }
}

/// Sends a body on. Gives what it was; `None` if it broke off.
fn forward_body(wire: &mut Incoming<'_>, framing: Framing, sent: &mut Sent) -> Option<Content> {
    let mut decoder = Decoder::new(framing, &Limits::default());
    let (mut body, mut trailers) = (Vec::new(), None::<HeaderMap>);
    loop {
        match wire.part(&mut decoder)? {
            Decoded::Piece(Piece::Data(data)) => {
                body.extend_from_slice(&data);
                put(framing, data, sent);
            }
            Decoded::Piece(Piece::Trailers(map)) => trailers = Some(map),
            Decoded::End => break,
            Decoded::More => unreachable!("more was read"),
        }
    }
    if framing == Framing::Chunked {
        sent.flush(Outbox::has_room);
        write::last_chunk(sent.outbox.buffer(), trailers.as_ref());
    }
    let list = |map: HeaderMap| map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    Some(Content { body, trailers: trailers.map_or_else(Vec::new, list) })
}

fn put(framing: Framing, data: Bytes, sent: &mut Sent) {
    sent.flush(Outbox::has_room);
    if framing == Framing::Chunked { sent.outbox.put_chunk(data) } else { sent.outbox.put(data) }
}

fn is_the_same_head(read: &Message, method: &Method, target: &str, mut kept: Vec<(String, Vec<u8>)>, framing: Framing) {
    assert_eq!(read.line, [method.as_str(), target, "HTTP/1.1"]);
    for (name, _) in &kept {
        let is_ours = ["connection", "te", "upgrade"].contains(&name.as_str());
        let is_hop_by_hop = matches!(name.as_str(), "content-length" | "transfer-encoding" | "keep-alive" | "expect");
        assert!(is_ours || !is_hop_by_hop && !name.starts_with("proxy-"), "{name} is for one connection");
    }
    match framing {
        Framing::None | Framing::Length(0) => {}
        Framing::Length(length) => kept.push(("content-length".to_owned(), length.to_string().into_bytes())),
        Framing::Chunked | Framing::Close => kept.push(("transfer-encoding".to_owned(), b"chunked".to_vec())),
    }
    assert_eq!(read.fields, kept);
}

/// A table that is written as a block, without a look at most of its fields, holds the same fields,
/// also when some were taken out.
fn unchanged_fields_are_the_same(fields: &Fields) {
    for length in [0, 1, 4] {
        let mut fields = fields.clone();
        fields.retain(|name| name.len() != length && name != b"content-length" && name != b"transfer-encoding");
        let mut out = BytesMut::from("GET / HTTP/1.1\r\n");
        write::Writable::write(&fields, &mut out, &mut |_| true);
        write::end_of_head(&mut out);
        let read = strict::request(&out, 0).expect("a head");
        assert_eq!(read.fields, list(&fields));
    }
}
