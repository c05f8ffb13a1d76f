//! A connection's bytes, read to their end in pieces of any size.

use std::fmt;

use bytes::BytesMut;
use http::Method;
use palisade_http1::{Decoded, Decoder, Fault, Fields, Framing, Limits, Piece, RequestParser, ResponseParser};

/// What the bytes of one connection were read as.
#[derive(Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) messages: Vec<Message>,
    pub(crate) end: End,
}

/// One message, as far as it was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    /// Everything in the head, as text.
    pub(crate) head: String,
    pub(crate) framing: Framing,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
}

/// Where reading ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Between,
    Head,
    Body,
    Fault(Fault),
}

impl fmt::Display for Read {
    /// The framings of all messages, then what is incomplete or wrong: `none, length 3, head`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = self
            .messages
            .iter()
            .map(|message| match message.framing {
                Framing::None => "none".to_owned(),
                Framing::Length(length) => format!("length {length}"),
                Framing::Chunked => "chunked".to_owned(),
                Framing::Close => "close".to_owned(),
            })
            .collect();
        words.extend(match self.end {
            End::Between => None,
            End::Head => Some("head".to_owned()),
            End::Body => Some("body".to_owned()),
            End::Fault(fault) => Some(format!("{fault:?}")),
        });
        f.write_str(&words.join(", "))
    }
}

/// One side of a connection.
enum Side {
    Server(RequestParser),
    /// The methods of the requests that were sent, the next one last.
    Client(ResponseParser, Vec<Method>),
}

impl Side {
    /// The head at the front of the buffer.
    fn head(&mut self, buffer: &mut BytesMut) -> Result<Option<(String, Framing, Fields)>, Fault> {
        match self {
            Self::Server(parser) => {
                Ok(parser.parse(buffer)?.map(|head| (format!("{head:?}"), head.framing, head.fields)))
            }
            Self::Client(parser, methods) => {
                let method = methods.last().cloned().unwrap_or_default();
                let Some(head) = parser.parse(buffer, &method)? else { return Ok(None) };
                if !head.status.is_informational() {
                    methods.pop();
                }
                Ok(Some((format!("{head:?}"), head.framing, head.fields)))
            }
        }
    }

    fn has_begun(&self, buffer: &BytesMut) -> bool {
        match self {
            Self::Server(parser) => parser.has_begun(),
            Self::Client(..) => !buffer.is_empty(),
        }
    }

    fn read<'a>(mut self, limits: Limits, pieces: impl Iterator<Item = &'a [u8]>) -> Read {
        let mut buffer = BytesMut::new();
        let mut read = Read { messages: Vec::new(), end: End::Between };
        let mut body: Option<Decoder> = None;
        for piece in pieces {
            buffer.extend_from_slice(piece);
            if let Err(fault) = self.advance(&limits, &mut buffer, &mut body, &mut read.messages) {
                read.end = End::Fault(fault);
                return read;
            }
        }
        let is_in_body = body.is_some_and(|mut body| body.close().is_err());
        read.end = if is_in_body {
            End::Body
        } else if self.has_begun(&buffer) {
            End::Head
        } else {
            End::Between
        };
        read
    }

    /// Everything that can be read of the buffer.
    fn advance(
        &mut self,
        limits: &Limits,
        buffer: &mut BytesMut,
        body: &mut Option<Decoder>,
        messages: &mut Vec<Message>,
    ) -> Result<(), Fault> {
        loop {
            if let Some(decoder) = body {
                let message = messages.last_mut().unwrap();
                match decoder.decode(buffer)? {
                    Decoded::Piece(Piece::Data(data)) => message.body.extend_from_slice(&data),
                    Decoded::Piece(Piece::Trailers(map)) => {
                        message.trailers =
                            map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
                    }
                    Decoded::More => return Ok(()),
                    Decoded::End => *body = None,
                }
            } else {
                let Some((head, framing, fields)) = self.head(buffer)? else { return Ok(()) };
                let (fields, trailers) = (list(&fields), Vec::new());
                messages.push(Message { head, framing, fields, body: Vec::new(), trailers });
                *body = Some(Decoder::new(framing, limits));
            }
        }
    }
}

/// The fields, in their order.
pub(crate) fn list(fields: &Fields) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

/// Reads requests that arrive in these pieces.
pub(crate) fn requests<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Read {
    Side::Server(RequestParser::new(Limits::default())).read(Limits::default(), pieces)
}

/// Reads answers, to requests of these methods, that arrive in these pieces.
pub(crate) fn responses<'a>(methods: &[Method], pieces: impl Iterator<Item = &'a [u8]>) -> Read {
    let methods = methods.iter().rev().cloned().collect();
    Side::Client(ResponseParser::new(Limits::ANSWER), methods).read(Limits::ANSWER, pieces)
}

/// Bytes cut at these places.
pub(crate) fn cut<'a>(mut bytes: &'a [u8], places: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut places = places.iter().cycle();
    std::iter::from_fn(move || {
        let place = places.next().map_or(bytes.len(), |place| (*place).max(1)).min(bytes.len());
        let (piece, rest) = bytes.split_at(place);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// How these requests are read, however they arrive.
pub(crate) fn check_requests(text: impl AsRef<[u8]>, expected: &str) {
    let text = text.as_ref();
    for places in [&[][..], &[1], &[2], &[7]] {
        let read = requests(cut(text, places)).to_string();
        assert_eq!(read, expected, "cut at {places:?}: {}", beginning(text));
    }
}

/// How these answers to requests of one method are read, however they arrive.
pub(crate) fn check_responses(method: &Method, text: impl AsRef<[u8]>, expected: &str) {
    let text = text.as_ref();
    let methods = vec![method.clone(); 8];
    for places in [&[][..], &[1], &[2], &[7]] {
        let read = responses(&methods, cut(text, places)).to_string();
        assert_eq!(read, expected, "cut at {places:?}: {}", beginning(text));
    }
}

/// As much of a text as is needed to recognize it.
fn beginning(text: &[u8]) -> impl fmt::Display {
    text.get(..300).unwrap_or(text).escape_ascii()
}
