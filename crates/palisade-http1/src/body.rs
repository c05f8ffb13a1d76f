//! One body, piece by piece off the front of a connection's buffer.
//!
//! Content is never copied or held back: what has arrived of a chunk is a piece. Chunk sizes and
//! extensions end here; whoever sends the body on frames it anew. Trailers come too late to say
//! where the body ends, so neither field that could may stand in them (RFC 9110 §6.5.1).

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;

use crate::chunk::ChunkSize;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::framing::Framing;
use crate::limits::Limits;
use crate::lines::Lines;
use crate::section::Section;

/// Reads one body.
#[derive(Debug)]
pub struct Decoder {
    stage: Stage,
    /// The length of the content, as long as none of it was read.
    length: Option<u64>,
    limits: Limits,
    /// Bytes of chunk extensions so far.
    extension_bytes: usize,
    /// The line that is being read, and trailers.
    section: Section,
}

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Content, never empty.
    Data(Bytes),
    /// The fields after the content.
    Trailers(HeaderMap),
}

/// What is at the front of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// The next part.
    Piece(Piece),
    /// Nothing whole: more bytes are needed.
    More,
    /// The body is complete. What is left in the buffer belongs to the next message.
    End,
}

/// The connection ended in the middle of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection ended in the middle of a body")]
pub struct Cut;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// So many bytes, never 0.
    Length(u64),
    Close,
    ChunkSize,
    /// So many bytes, never 0.
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    Complete,
}

impl Decoder {
    /// Before the first byte of a body.
    pub fn new(framing: Framing, limits: &Limits) -> Self {
        let (stage, length) = match framing {
            Framing::None | Framing::Length(0) => (Stage::Complete, Some(0)),
            Framing::Length(length) => (Stage::Length(length), Some(length)),
            Framing::Chunked => (Stage::ChunkSize, None),
            Framing::Close => (Stage::Close, None),
        };
        Self { stage, length, limits: *limits, extension_bytes: 0, section: Section::default() }
    }

    /// Takes the next piece off the front of `buffer`. Trailers come once, if there are any.
    /// Between two calls that need more bytes they may only be added. After a fault it is never
    /// used again.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, Fault> {
        loop {
            match self.stage {
                Stage::Length(left) => {
                    let Some((data, left)) = take(buffer, left) else { return Ok(Decoded::More) };
                    self.length = None;
                    self.stage = if left == 0 { Stage::Complete } else { Stage::Length(left) };
                    return Ok(Decoded::Piece(Piece::Data(data)));
                }
                Stage::Close => {
                    let Some((data, _)) = take(buffer, u64::MAX) else { return Ok(Decoded::More) };
                    return Ok(Decoded::Piece(Piece::Data(data)));
                }
                Stage::ChunkSize => {
                    let Some(size) = self.chunk_size(buffer)? else { return Ok(Decoded::More) };
                    self.stage = if size == 0 { Stage::Trailers } else { Stage::ChunkData(size) };
                }
                Stage::ChunkData(left) => {
                    let Some((data, left)) = take(buffer, left) else { return Ok(Decoded::More) };
                    self.stage = if left == 0 { Stage::ChunkEnd } else { Stage::ChunkData(left) };
                    return Ok(Decoded::Piece(Piece::Data(data)));
                }
                Stage::ChunkEnd => match buffer.get(..2) {
                    Some(b"\r\n") => {
                        buffer.advance(2);
                        self.stage = Stage::ChunkSize;
                    }
                    None if matches!(**buffer, [] | [b'\r']) => return Ok(Decoded::More),
                    Some(_) | None => return Err(Fault::Malformed),
                },
                Stage::Trailers => {
                    let Some(trailers) = self.trailers(buffer)? else { return Ok(Decoded::More) };
                    self.stage = Stage::Complete;
                    if !trailers.is_empty() {
                        return Ok(Decoded::Piece(Piece::Trailers(trailers.to_map())));
                    }
                }
                Stage::Complete => return Ok(Decoded::End),
            }
        }
    }

    /// Whether all of it was read.
    pub fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// Bytes of content that are certainly still to come, if framing tells: the rest of the
    /// length, or of the current chunk.
    pub fn remaining(&self) -> Option<u64> {
        match self.stage {
            Stage::Length(left) | Stage::ChunkData(left) => Some(left),
            Stage::Trailers | Stage::Complete => Some(0),
            Stage::Close | Stage::ChunkSize | Stage::ChunkEnd => None,
        }
    }

    /// The length of the content, if it was declared and none of it was read.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The connection has ended, and everything it brought was decoded.
    pub fn close(&mut self) -> Result<(), Cut> {
        match self.stage {
            Stage::Close | Stage::Complete => {
                self.stage = Stage::Complete;
                Ok(())
            }
            Stage::Length(_) | Stage::ChunkSize | Stage::ChunkData(_) | Stage::ChunkEnd | Stage::Trailers => Err(Cut),
        }
    }

    fn chunk_size(&mut self, buffer: &mut BytesMut) -> Result<Option<u64>, Fault> {
        let line = self.section.lines.next(buffer);
        let bytes = line.as_ref().map_or(buffer.len(), |line| line.end);
        if bytes > self.limits.chunk_line_bytes_max {
            return Err(Fault::Malformed);
        }
        let Some(line) = line else { return Ok(None) };
        let line = buffer.get(line).and_then(|line| line.strip_suffix(b"\r\n")).ok_or(Fault::Malformed)?;
        let size = ChunkSize::parse(line)?;
        self.extension_bytes += size.extension_bytes;
        if self.extension_bytes > self.limits.chunk_extension_bytes_max {
            return Err(Fault::Malformed);
        }
        buffer.advance(bytes);
        self.section.lines = Lines::default();
        Ok(Some(size.bytes))
    }

    fn trailers(&mut self, buffer: &mut BytesMut) -> Result<Option<Fields>, Fault> {
        let refuse_framing = |name: &[u8], _: &[u8]| match name {
            b"content-length" | b"transfer-encoding" => Err(Fault::Malformed),
            _ => Ok(()),
        };
        let read = self.section.read(buffer, self.limits.trailer_bytes_max, usize::MAX, refuse_framing);
        // The head was long ago, so whatever is wrong is not its size.
        let Some(end) = read.map_err(|_| Fault::Malformed)? else { return Ok(None) };
        let entries = std::mem::take(&mut self.section.entries);
        Ok(Some(Fields::new(buffer.split_to(end).freeze(), entries)))
    }
}

/// What there is of the next `left` bytes, and how many of those are still to come.
fn take(buffer: &mut BytesMut, left: u64) -> Option<(Bytes, u64)> {
    let here = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    (here > 0).then(|| (buffer.split_to(here).freeze(), left - here as u64))
}
