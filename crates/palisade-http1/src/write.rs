//! Messages as bytes.
//!
//! Nothing that is written here can begin another message: a part that could, which no parser and
//! no `http` type holds, is left out or written so that it can't.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use palisade_core::{Head, HeaderEdits};

use crate::fields::Fields;
use crate::token::{has_blank_or_control, has_control, is_token};

/// What ends a line, and a chunk's data.
pub const CRLF: &[u8] = b"\r\n";

/// What ends a body of chunks that has no trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The first line of a request.
pub fn request_line(out: &mut BytesMut, method: &Method, target: &str) {
    out.reserve(method.as_str().len() + target.len() + b"  HTTP/1.1\r\n".len());
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    put_target(out, target);
    out.put_slice(b" HTTP/1.1\r\n");
}

/// The first line of an answer.
pub fn status_line(out: &mut BytesMut, status: StatusCode) {
    let reason = status.canonical_reason().unwrap_or_default();
    out.reserve(b"HTTP/1.1 200 \r\n".len() + reason.len());
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(reason.as_bytes());
    out.put_slice(CRLF);
}

/// One field. Its name is a token, and its value holds no control bytes; else nothing is written.
pub fn field(out: &mut BytesMut, name: &str, value: &[u8]) {
    let is_one_line = is_token(name.as_bytes()) && !has_control(value);
    debug_assert!(is_one_line, "not a field: {name:?}");
    if !is_one_line {
        return;
    }
    line(out, name.as_bytes(), value);
}

/// A head that can be written as it is: names are tokens in lower case, and values one line each.
pub trait Writable: Head {
    /// Writes the fields that are to be kept, in their order.
    fn write(&self, out: &mut BytesMut, keep: &mut dyn FnMut(&[u8]) -> bool);
}

impl Writable for Fields {
    fn write(&self, out: &mut BytesMut, keep: &mut dyn FnMut(&[u8]) -> bool) {
        self.write(out, keep);
    }
}

impl Writable for HeaderMap {
    fn write(&self, out: &mut BytesMut, keep: &mut dyn FnMut(&[u8]) -> bool) {
        for (name, value) in self {
            if keep(name.as_str().as_bytes()) {
                line(out, name.as_str().as_bytes(), value.as_bytes());
            }
        }
    }
}

/// A head with its changes: what came and is kept, then what is sent beside it. Of the former only
/// those fields that `keep` lets through.
pub fn edited(out: &mut BytesMut, head: &dyn Writable, edits: &HeaderEdits, keep: &mut dyn FnMut(&[u8]) -> bool) {
    head.write(out, &mut |name| edits.keeps(name) && keep(name));
    for (name, value) in edits.sent() {
        if keep(name.as_str().as_bytes()) {
            line(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

/// A field that is one by its type.
fn line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + b": \r\n".len());
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(CRLF);
}

/// The field that gives a body's length.
pub fn length_field(out: &mut BytesMut, length: u64) {
    out.put_slice(b"content-length: ");
    out.put_slice(itoa::Buffer::new().format(length).as_bytes());
    out.put_slice(CRLF);
}

/// The empty line after the fields.
pub fn end_of_head(out: &mut BytesMut) {
    out.put_slice(CRLF);
}

/// The line before a chunk's data, after which follows [`CRLF`]. An empty chunk would end the body,
/// so none is written.
pub fn chunk_size(out: &mut BytesMut, length: usize) {
    debug_assert!(length > 0, "an empty chunk ends the body");
    if length == 0 {
        return;
    }
    let digits = usize::BITS.div_ceil(4) - length.leading_zeros() / 4;
    for digit in (0..digits).rev() {
        let digit = (length >> (digit * 4)) & 0xf;
        out.put_u8(char::from_digit(digit as u32, 16).map_or(b'0', |digit| digit as u8));
    }
    out.put_slice(CRLF);
}

/// What ends a body of chunks. Trailers that would say where it ends are left out.
pub fn last_chunk(out: &mut BytesMut, trailers: Option<&HeaderMap>) {
    let Some(trailers) = trailers else {
        out.put_slice(LAST_CHUNK);
        return;
    };
    out.put_slice(b"0\r\n");
    for (name, value) in trailers {
        if name != http::header::CONTENT_LENGTH && name != http::header::TRANSFER_ENCODING {
            field(out, name.as_str(), value.as_bytes());
        }
    }
    out.put_slice(CRLF);
}

/// A blank or a control byte would end the target, so what holds one is escaped.
fn put_target(out: &mut BytesMut, target: &str) {
    if !has_blank_or_control(target.as_bytes()) {
        out.put_slice(target.as_bytes());
        return;
    }
    debug_assert!(false, "not a request target: {target:?}");
    for byte in target.bytes() {
        if has_blank_or_control(&[byte]) {
            // Writing to memory does not fail.
            let _ = write!(out, "%{byte:02X}");
        } else {
            out.put_u8(byte);
        }
    }
}
