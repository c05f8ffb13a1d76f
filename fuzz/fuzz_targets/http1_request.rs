//! Requests as our own engine reads them. The input is what a client sends on one connection.
//!
//! Three readers must agree about where each message ends: the engine however the bytes arrive,
//! the follower that stands before hyper, and one that has everything before it.

#![cfg_attr(fuzzing, no_main)]

use bytes::BytesMut;
use palisade_fuzz::agree::agree;
use palisade_fuzz::engine::{self, BOUNDLESS, Event, Head, SMALL, list};
use palisade_fuzz::strict;
use palisade_http1::{Decoded, Decoder, Fault, Limits, RequestParser, Version};
use palisade_server::connection::message::Follower;

palisade_fuzz::target!(law);

fn law(input: &[u8]) {
    let boundless = read(input, input.len(), BOUNDLESS);
    agree(
        input,
        &boundless,
        |start| strict::request(input, start),
        |_, _, message| message.into_iter().for_each(ends_with_its_last_byte),
    );
    let small = read(input, input.len(), SMALL);
    only_adds_a_fault(&small, &boundless);
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(read(input, piece, BOUNDLESS), boundless, "how the bytes arrive does not matter: {piece}");
        assert_eq!(read(input, piece, SMALL), small, "nor with small limits: {piece}");
    }
    for piece in [1, 7, input.len().max(1)] {
        follows(input, piece, SMALL);
        follows(input, piece, Limits::default());
    }
}

fn read(input: &[u8], piece: usize, limits: Limits) -> Vec<Event> {
    let mut parser = RequestParser::new(limits);
    engine::read(input, piece, &limits, |buffer| {
        let Some(request) = parser.parse(buffer)? else { return Ok(None) };
        assert!(!parser.has_begun(), "the next head has not begun");
        let version = match request.version {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        };
        Ok(Some(Head {
            line: format!("{} {} {version}", request.method, request.target),
            fields: list(&request.fields),
            framing: request.framing,
            terms: vec![request.persistent, request.expects_continue],
        }))
    })
}

/// A message is complete with its last byte, not before, and what follows does not matter.
fn ends_with_its_last_byte(message: &[u8]) {
    let used = |bytes: &[u8]| {
        let mut buffer = BytesMut::from(bytes);
        let request = RequestParser::new(BOUNDLESS).parse(&mut buffer).ok()??;
        let mut decoder = Decoder::new(request.framing, &BOUNDLESS);
        loop {
            match decoder.decode(&mut buffer).ok()? {
                Decoded::Piece(_) => {}
                Decoded::More => return None,
                Decoded::End => return Some(bytes.len() - buffer.len()),
            }
        }
    };
    assert_eq!(used(&message[..message.len() - 1]), None);
    for after in [b"\n".as_slice(), b"\0\xff", b"GET / HTTP/1.1\r\n"] {
        assert_eq!(used(&[message, after].concat()), Some(message.len()));
    }
}

/// A limit changes nothing about what is read before it acts.
fn only_adds_a_fault(small: &[Event], boundless: &[Event]) {
    let (last, before) = match small {
        [before @ .., Event::Fault(_)] => (true, before),
        all => (false, all),
    };
    for (number, event) in before.iter().enumerate() {
        match (event, boundless.get(number)) {
            // The rest of it may come behind the fault.
            (Event::Data(less), Some(Event::Data(more))) if last && number + 1 == before.len() => {
                assert!(more.starts_with(less));
            }
            (event, other) => assert_eq!(Some(event), other),
        }
    }
    assert!(last || small.len() == boundless.len());
}

/// What both tell about a connection: ends of messages, and between pieces whether a head or a body
/// has begun.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    End(usize),
    Within { head: bool, body: bool },
    Fault(Fault),
}

/// The engine and the follower tell the same.
fn follows(input: &[u8], piece: usize, limits: Limits) {
    let (engine, follower) = (by_engine(input, piece, limits), by_follower(input, piece, limits));
    if engine == follower {
        return;
    }
    // What the follower leaves to hyper: a target that is no text.
    let ends = engine.iter().rev().find_map(|told| if let Told::End(end) = told { Some(*end) } else { None });
    let line = input[ends.unwrap_or(0)..].split(|byte| *byte == b'\n').find(|line| !matches!(line, [] | [b'\r']));
    let is_text = std::str::from_utf8(line.unwrap_or_default()).is_ok();
    let last = engine.len() - 1;
    assert!(
        !is_text && engine[last] == Told::Fault(Fault::Malformed) && engine[..last] == follower[..last],
        "{engine:?}, the follower {follower:?}"
    );
}

fn by_engine(input: &[u8], piece: usize, limits: Limits) -> Vec<Told> {
    let (mut parser, mut body) = (RequestParser::new(limits), None::<Decoder>);
    let (mut buffer, mut told, mut arrived) = (BytesMut::new(), Vec::new(), 0);
    for bytes in input.chunks(piece) {
        buffer.extend_from_slice(bytes);
        arrived += bytes.len();
        loop {
            let stepped = match &mut body {
                None => parser.parse(&mut buffer).map(|request| {
                    body = request.map(|request| Decoder::new(request.framing, &limits));
                    body.is_some()
                }),
                Some(decoder) => decoder.decode(&mut buffer).map(|decoded| match decoded {
                    Decoded::Piece(_) => true,
                    Decoded::More => false,
                    Decoded::End => {
                        told.push(Told::End(arrived - buffer.len()));
                        body = None;
                        !buffer.is_empty()
                    }
                }),
            };
            match stepped {
                Ok(true) => {}
                Ok(false) => break,
                Err(fault) => {
                    told.push(Told::Fault(fault));
                    return told;
                }
            }
        }
        let is_in_body = body.as_ref().is_some_and(|body| !body.is_complete());
        told.push(Told::Within { head: parser.has_begun(), body: is_in_body });
    }
    told
}

fn by_follower(input: &[u8], piece: usize, limits: Limits) -> Vec<Told> {
    let mut follower = Follower::new(limits);
    let (mut told, mut at) = (Vec::new(), 0);
    for mut bytes in input.chunks(piece) {
        while !bytes.is_empty() {
            if follower.is_complete() {
                follower.begin();
            }
            let followed = follower.follow(bytes);
            at += followed.used;
            if let Some(fault) = followed.fault {
                told.push(Told::Fault(fault));
                return told;
            }
            bytes = &bytes[followed.used..];
            if follower.is_complete() {
                told.push(Told::End(at));
            }
        }
        told.push(Told::Within { head: follower.is_in_head(), body: follower.is_in_body() });
    }
    told
}
