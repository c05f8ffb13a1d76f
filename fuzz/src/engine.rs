//! The HTTP/1.1 engine over the bytes of one connection, however they arrive.

use bytes::BytesMut;
use http::HeaderMap;
use palisade_http1::{Decoded, Decoder, Fault, Fields, Framing, Limits, Piece};

/// Sizes that short inputs reach.
pub const SMALL: Limits = Limits {
    head_bytes_max: 400,
    fields_max: 8,
    target_bytes_max: 40,
    chunk_line_bytes_max: 24,
    chunk_extension_bytes_max: 32,
    trailer_bytes_max: 64,
};

/// Sizes that no input reaches.
pub const BOUNDLESS: Limits = Limits {
    head_bytes_max: 1 << 30,
    fields_max: 1 << 30,
    target_bytes_max: 1 << 30,
    chunk_line_bytes_max: 1 << 30,
    chunk_extension_bytes_max: 1 << 30,
    trailer_bytes_max: 1 << 30,
};

/// What is read of a connection, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A head.
    Head(Head),
    /// Content; what arrived in parts is one.
    Data(Vec<u8>),
    /// Trailers, sorted by name.
    Trailers(Vec<(String, Vec<u8>)>),
    /// A message ends before this byte of the input.
    End(usize),
    /// The connection ended in the middle of a head or a body.
    Cut,
    /// Nothing after is read.
    Fault(Fault),
}

/// A head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first line: its parts with one blank between them.
    pub line: String,
    /// The fields in their order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection may be kept, and whatever else the head says about it.
    pub terms: Vec<bool>,
}

/// Reads `input`, which arrives in pieces of this size. `head` takes a head off the front of a
/// buffer.
///
/// # Panics
///
/// If the engine changes or takes a byte behind the end of a message.
pub fn read(
    input: &[u8],
    piece: usize,
    limits: &Limits,
    mut head: impl FnMut(&mut BytesMut) -> Result<Option<Head>, Fault>,
) -> Vec<Event> {
    let (mut buffer, mut body, mut events) = (BytesMut::new(), None::<Decoder>, Vec::new());
    let mut arrived = 0;
    for bytes in input.chunks(piece.max(1)) {
        buffer.extend_from_slice(bytes);
        arrived += bytes.len();
        let advanced = advance(&mut buffer, &mut body, limits, &mut head, &mut events, |buffer| {
            let end = arrived - buffer.len();
            assert!(input[end..arrived] == *buffer, "what is behind a message is not touched");
            end
        });
        if let Err(fault) = advanced {
            events.push(Event::Fault(fault));
            return events;
        }
    }
    match body {
        Some(mut decoder) => {
            let whole = decoder.close().is_ok();
            events.push(if whole { Event::End(input.len()) } else { Event::Cut });
        }
        None if !buffer.is_empty() => events.push(Event::Cut),
        None => {}
    }
    events
}

/// Reads whatever there is.
fn advance(
    buffer: &mut BytesMut,
    body: &mut Option<Decoder>,
    limits: &Limits,
    head: &mut impl FnMut(&mut BytesMut) -> Result<Option<Head>, Fault>,
    events: &mut Vec<Event>,
    end: impl Fn(&[u8]) -> usize,
) -> Result<(), Fault> {
    loop {
        let Some(decoder) = body else {
            let Some(head) = head(buffer)? else { return Ok(()) };
            *body = Some(Decoder::new(head.framing, limits));
            events.push(Event::Head(head));
            continue;
        };
        match decoder.decode(buffer)? {
            Decoded::Piece(Piece::Data(data)) => {
                assert!(!data.is_empty(), "a piece is never empty");
                match events.last_mut() {
                    Some(Event::Data(all)) => all.extend_from_slice(&data),
                    _ => events.push(Event::Data(data.to_vec())),
                }
            }
            Decoded::Piece(Piece::Trailers(map)) => events.push(Event::Trailers(sorted(&map))),
            Decoded::More => return Ok(()),
            Decoded::End => {
                assert!(decoder.is_complete());
                events.push(Event::End(end(buffer)));
                *body = None;
            }
        }
    }
}

/// The fields in their order.
pub fn list(fields: &Fields) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

/// The fields of a map, which keeps the order of equal names only.
pub fn sorted(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> =
        map.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}
