//! Messages at random: good ones, ones that are almost good, and what they mean.
//!
//! It knows HTTP, and nothing of this crate, so that other readers can be held against the same
//! messages.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A message as its sender means it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The first line without its end.
    pub(crate) line: String,
    /// Names as they are sent, values without the blanks around them. Framing isn't among them.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Body,
}

/// What follows a head.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    None,
    Length(Vec<u8>),
    Chunked { chunks: Vec<Vec<u8>>, extension: String, trailers: Vec<(String, Vec<u8>)> },
}

impl Message {
    /// The message as bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{}\r\n", self.line).into_bytes();
        put_fields(&mut out, &self.fields);
        match &self.body {
            Body::None => out.extend_from_slice(b"\r\n"),
            Body::Length(content) => {
                out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", content.len()).as_bytes());
                out.extend_from_slice(content);
            }
            Body::Chunked { chunks, extension, trailers } => {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in chunks {
                    out.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
                    out.extend_from_slice(chunk);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(format!("0{extension}\r\n").as_bytes());
                put_fields(&mut out, trailers);
                out.extend_from_slice(b"\r\n");
            }
        }
        out
    }

    /// Its content.
    pub(crate) fn content(&self) -> Vec<u8> {
        match &self.body {
            Body::None => Vec::new(),
            Body::Length(content) => content.clone(),
            Body::Chunked { chunks, .. } => chunks.concat(),
        }
    }
}

fn put_fields(out: &mut Vec<u8>, fields: &[(String, Vec<u8>)]) {
    for (name, value) in fields {
        // Blanks around a value mean nothing, so they vary with what is there.
        let (before, after) = match value.len() % 4 {
            0 => ("", ""),
            1 => (" ", ""),
            2 => (" ", " \t"),
            _ => ("\t ", "\t"),
        };
        out.extend_from_slice(format!("{name}:{before}").as_bytes());
        out.extend_from_slice(value);
        out.extend_from_slice(format!("{after}\r\n").as_bytes());
    }
}

/// Names of fields that don't frame, in any case.
pub(crate) fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["Host", "Connection", "Expect", "Cookie", "content-lengt", "TE", "Upgrade"])
            .prop_map(str::to_owned),
        "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,24}".prop_filter("a field that frames", |name| {
            !["content-length", "transfer-encoding"].iter().any(|framing| name.eq_ignore_ascii_case(framing))
        }),
    ]
}

/// Values without blanks around them.
pub(crate) fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => 0x20..0x7f_u8, 1 => Just(b'\t'), 1 => 0x80..=0xff_u8];
    let any = prop::collection::vec(byte, 0..60).prop_map(|value| {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
        let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
        value[start..end].to_vec()
    });
    let known = select(vec!["close", "keep-alive", "100-continue", "chunked", "3", "websocket, Close", ""]);
    prop_oneof![3 => any, 1 => known.prop_map(|value| value.as_bytes().to_vec())]
}

pub(crate) fn fields(most: usize) -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    prop::collection::vec((name(), value()), 0..=most)
}

/// A content of up to a few hundred bytes.
pub(crate) fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..300), Just(b"\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec())]
}

pub(crate) fn body() -> impl Strategy<Value = Body> {
    let chunks = prop::collection::vec(content().prop_filter("the last chunk", |chunk| !chunk.is_empty()), 0..4);
    prop_oneof![
        Just(Body::None),
        content().prop_map(Body::Length),
        (chunks, "(;[a-z]{0,9}(=[ -~]{0,9})?)?", fields(3)).prop_map(|(chunks, extension, trailers)| Body::Chunked {
            chunks,
            extension,
            trailers
        }),
    ]
}

pub(crate) fn method() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["GET", "POST", "HEAD", "OPTIONS"]).prop_map(str::to_owned),
        "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}"
    ]
}

pub(crate) fn target() -> impl Strategy<Value = String> {
    prop_oneof![Just("*".to_owned()), "/[!-~]{0,60}", "http://[a-z.]{1,9}/[!-~é€]{0,20}"]
}

/// A request that everybody reads the same way.
pub(crate) fn request() -> impl Strategy<Value = Message> {
    (method(), target(), fields(8), body(), any::<bool>()).prop_map(|(method, target, fields, body, is_old)| {
        let is_old = is_old && !matches!(body, Body::Chunked { .. });
        Message { line: format!("{method} {target} HTTP/1.{}", if is_old { 0 } else { 1 }), fields, body }
    })
}

/// An answer to a GET that everybody reads the same way, and that does not end with its connection.
pub(crate) fn response() -> impl Strategy<Value = Message> {
    let reason = prop_oneof![Just(String::new()), " [ -~é\t]{0,20}"];
    let status = prop_oneof![select(vec![100_u16, 103, 204, 304, 200, 404, 500]), 100..=999_u16];
    (status, reason, fields(8), body()).prop_map(|(status, reason, fields, body)| {
        let has_body = status >= 200 && status != 204 && status != 304;
        let body = match body {
            Body::None if has_body => Body::Length(Vec::new()),
            body if has_body => body,
            _ => Body::None,
        };
        Message { line: format!("HTTP/1.1 {status}{reason}"), fields, body }
    })
}

/// What a careless or hostile sender changes about good bytes.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    Put(Index, Vec<u8>),
    Replace(Index, u8),
    Remove(Index, usize),
    Repeat(Index, usize),
}

pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    let odd = select(
        [
            "\r\n",
            "\n",
            "\r",
            " ",
            "\t",
            ":",
            "\0",
            "\r\n\r\n",
            "\r\n ",
            "Content-Length: 3\r\n",
            ",",
            ";",
            "+",
            "0x",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "content-length:0\r\n",
            "0\r\n\r\n",
            "\x7f",
            "\x0b",
            "é",
            "HTTP/1.1",
            "HTTP/1.0",
            "GET / HTTP/1.1\r\n",
            "1",
            "f",
            "ffffffffffffffff",
            "-",
        ]
        .to_vec(),
    );
    prop_oneof![
        3 => (any::<Index>(), odd).prop_map(|(at, text)| Mutation::Put(at, text.as_bytes().to_vec())),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        2 => (any::<Index>(), 1_usize..6).prop_map(|(at, bytes)| Mutation::Remove(at, bytes)),
        1 => (any::<Index>(), 1_usize..40).prop_map(|(at, bytes)| Mutation::Repeat(at, bytes)),
    ]
}

impl Mutation {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Put(at, text) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, text.iter().copied());
            }
            Self::Replace(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Remove(at, count) => {
                let at = at.index(bytes.len());
                bytes.drain(at..bytes.len().min(at + count));
            }
            Self::Repeat(at, count) => {
                let at = at.index(bytes.len());
                let again = bytes[at..bytes.len().min(at + count)].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}

/// The bytes of a connection: some messages, and at times a few changes to them.
pub(crate) fn connection(message: impl Strategy<Value = Message>) -> impl Strategy<Value = Vec<u8>> {
    let mutations = prop_oneof![1 => Just(Vec::new()), 2 => prop::collection::vec(mutation(), 1..4)];
    (prop::collection::vec(message, 1..4), mutations).prop_map(|(messages, mutations)| {
        let mut bytes: Vec<u8> = messages.iter().flat_map(Message::bytes).collect();
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        bytes
    })
}
