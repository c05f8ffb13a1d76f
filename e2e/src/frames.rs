//! HTTP/2 frame by frame, so that a scenario can send what no library would.

use std::io;
use std::net::SocketAddr;

use crate::Wire;

/// What every HTTP/2 connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 §6).
pub mod kind {
    #![allow(missing_docs)]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Frame flags.
pub mod flag {
    #![allow(missing_docs)]
    pub const NONE: u8 = 0;
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
}

/// Error codes (RFC 9113 §7).
pub mod code {
    #![allow(missing_docs)]
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const CANCEL: u32 = 8;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// A frame as received.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// How a stream, or with it the whole connection, was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By an answer with this status.
    Answered(u16),
    /// By a reset of the stream with this code.
    Reset(u32),
    /// By a GOAWAY with this code.
    GoAway(u32),
    /// By the end of the connection, without a word.
    Closed,
}

/// A connection that speaks HTTP/2 by prior knowledge.
pub struct Frames {
    wire: Wire,
    next_stream: u32,
}

impl Frames {
    /// Connects and exchanges settings.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let mut frames = Self { wire: Wire::try_open(address).await?, next_stream: 1 };
        frames.wire.send(PREFACE).await?;
        frames.send(kind::SETTINGS, flag::NONE, 0, &[]).await?;
        loop {
            let frame = frames.receive().await?;
            if frame.kind == kind::SETTINGS && frame.flags & flag::ACK == 0 {
                frames.send(kind::SETTINGS, flag::ACK, 0, &[]).await?;
                return Ok(frames);
            }
        }
    }

    /// The id of the next stream of ours.
    pub fn stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// Sends one frame.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.wire.send(frame(kind, flags, stream, payload)).await
    }

    /// Sends bytes as they are: many frames at once.
    pub async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.send(bytes).await
    }

    /// The next frame.
    pub async fn receive(&mut self) -> io::Result<Frame> {
        let head = self.wire.exactly(9).await?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], flags: head[4], stream, payload: self.wire.exactly(length).await? })
    }

    /// Reads until `stream` has its answer's head, is reset, or the connection ends.
    pub async fn outcome(&mut self, stream: u32) -> Ended {
        while let Ok(frame) = self.receive().await {
            match frame.kind {
                kind::HEADERS if frame.stream == stream => return Ended::Answered(status(&frame.payload)),
                kind::RST_STREAM if frame.stream == stream => return Ended::Reset(number(&frame.payload)),
                kind::GOAWAY => return Ended::GoAway(number(&frame.payload[4..])),
                kind::PING if frame.flags & flag::ACK == 0 => {
                    drop(self.send(kind::PING, flag::ACK, 0, &frame.payload).await);
                }
                _ => (),
            }
        }
        Ended::Closed
    }

    /// Opens a stream with these fields and no body, and reads what becomes of it.
    pub async fn ask(&mut self, fields: &[(&str, &str)]) -> Ended {
        let stream = self.stream();
        let payload = fields_block(fields);
        match self.send(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &payload).await {
            Ok(()) => self.outcome(stream).await,
            Err(_) => Ended::Closed,
        }
    }

    /// An ordinary GET.
    pub async fn get(&mut self, path: &str) -> Ended {
        self.ask(&get_fields(path)).await
    }

    /// Reads until the GOAWAY or the end of the connection.
    pub async fn end(&mut self) -> Ended {
        self.outcome(u32::MAX).await
    }
}

/// The fields of an ordinary GET.
pub fn get_fields(path: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", path)]
}

/// The bytes of one frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A field block in HPACK that uses no table and no Huffman code (RFC 7541 §6.2.2).
pub fn fields_block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

fn string(block: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 127 {
        block.push(length as u8);
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push((length % 128) as u8 | 128);
            length /= 128;
        }
        block.push(length as u8);
    }
    block.extend(text.as_bytes());
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The status that a field block begins with. Only what a first answer on a connection may use:
/// the static table, or a literal with the static table's name.
fn status(block: &[u8]) -> u16 {
    let block = match block {
        // A change of the table's size comes first, if at all.
        [0x20..=0x3f, rest @ ..] => rest,
        _ => block,
    };
    match block {
        [index @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        [0x48 | 0x08 | 0x18, length, rest @ ..] if length & 0x80 == 0 => {
            String::from_utf8_lossy(&rest[..usize::from(*length)]).parse().unwrap()
        }
        [0x48 | 0x08 | 0x18, length, rest @ ..] => huffman_digits(&rest[..usize::from(length & 0x7f)]),
        _ => panic!("no status in {block:02x?}"),
    }
}

/// Three digits in the Huffman code of RFC 7541: 0 to 2 take five bits, 3 to 9 six.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let mut at = 0;
    let mut status = 0;
    for _ in 0..3 {
        let take = |count: usize| bits[at..at + count].iter().fold(0_u16, |value, bit| value << 1 | u16::from(*bit));
        let digit = match take(5) {
            short @ 0..=2 => {
                at += 5;
                short
            }
            _ => {
                let long = take(6) - 0b01_1001 + 3;
                at += 6;
                long
            }
        };
        status = status * 10 + digit;
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Indexed and literal, plain and in Huffman code; the latter two are examples of RFC 7541.
    #[test]
    fn statuses_are_read() {
        for (block, expected) in [
            (&[0x88][..], 200),
            (&[0x3f, 0x8c][..], 400),
            (b"\x48\x03405".as_slice(), 405),
            (&[0x48, 0x82, 0x64, 0x02], 302),
            (&[0x48, 0x83, 0x64, 0x0e, 0xff], 307),
        ] {
            assert_eq!(status(block), expected, "{block:02x?}");
        }
    }
}
