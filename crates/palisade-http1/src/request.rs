//! Requests: one head after the other off the front of a connection's buffer.
//!
//! A request line is a method, a target and a version with one space between them (RFC 9112 §3).
//! What a target means is not asked here; it holds neither blanks nor control bytes and is UTF-8.

use std::ops::Range;

use bytes::{Buf as _, BytesMut};
use http::Method;

use crate::declared::Declared;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::framing::Framing;
use crate::limits::Limits;
use crate::lines::Lines;
use crate::section::Section;
use crate::text::Text;
use crate::token::{has_blank_or_control, is_token};
use crate::version::Version;

/// The head of a request.
#[derive(Debug)]
pub struct Request {
    /// The method, case-sensitive as it was sent.
    pub method: Method,
    /// The target as it was sent.
    pub target: Text,
    /// The version of the client.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client lets the connection be kept after this exchange.
    pub persistent: bool,
    /// Whether the client waits for a 100 before it sends its body.
    pub expects_continue: bool,
}

/// Finds the heads of requests at the front of a connection's buffer as it grows.
///
/// Between two calls that return no head, bytes may only be added to the buffer. After a head it
/// is ready for the next one; after a fault it is never used again.
#[derive(Debug)]
pub struct RequestParser {
    limits: Limits,
    /// Bytes of the empty line before the head.
    skipped: usize,
    /// Whether a first line was begun.
    begun: bool,
    line: Option<RequestLine>,
    section: Section,
}

#[derive(Debug)]
struct RequestLine {
    /// It comes first, and is a token.
    method_bytes: usize,
    /// Where the target is. It is UTF-8.
    target: Range<usize>,
    declared: Declared,
}

const METHOD_BYTES_MAX: usize = 32;

/// Room for a method and a version beside the target on a request line.
const AROUND_TARGET: usize = METHOD_BYTES_MAX + " ".len() + " HTTP/1.1\r\n".len();

impl RequestParser {
    /// Before the first byte of a connection.
    pub fn new(limits: Limits) -> Self {
        Self { limits, skipped: 0, begun: false, line: None, section: Section::default() }
    }

    /// Takes one complete head off the front of `buffer`. `None`: more bytes are needed.
    pub fn parse(&mut self, buffer: &mut BytesMut) -> Result<Option<Request>, Fault> {
        if self.line.is_none() {
            self.line = self.begin(buffer)?;
        }
        let Some(line) = &mut self.line else { return Ok(None) };
        let bytes_max = self.limits.head_bytes_max.saturating_sub(self.skipped);
        let learn = |name: &[u8], value: &[u8]| line.declared.learn(name, value);
        let Some(end) = self.section.read(buffer, bytes_max, self.limits.fields_max, learn)? else { return Ok(None) };
        let framing = line.declared.framing()?.unwrap_or(Framing::None);
        let block = buffer.split_to(end).freeze();
        let method = block.get(..line.method_bytes).unwrap_or_default();
        let request = Request {
            method: Method::from_bytes(method).map_err(|_| Fault::Malformed)?,
            target: Text::known(block.slice(line.target.clone())),
            version: line.declared.version,
            framing,
            persistent: line.declared.is_persistent(),
            expects_continue: line.declared.expects_continue(),
            fields: Fields::new(block, std::mem::take(&mut self.section.entries)),
        };
        (self.skipped, self.begun, self.line, self.section.lines) = (0, false, None, Lines::default());
        Ok(Some(request))
    }

    /// Whether a head has begun and isn't complete, as far as the last call saw.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    fn begin(&mut self, buffer: &mut BytesMut) -> Result<Option<RequestLine>, Fault> {
        loop {
            self.begun = !buffer.is_empty();
            let Some(line) = self.section.lines.next(buffer) else {
                check_length(buffer, self.limits.target_bytes_max)?;
                return Ok(None);
            };
            let line = buffer.get(line).unwrap_or_default();
            // First, as for a line that isn't complete: how it arrives must not matter.
            check_length(line, self.limits.target_bytes_max)?;
            let line = line.strip_suffix(b"\r\n").ok_or(Fault::Malformed)?;
            if !line.is_empty() || self.skipped > 0 {
                return RequestLine::parse(line, self.limits.target_bytes_max).map(Some);
            }
            // One empty line is skipped (RFC 9112 §2.2). It counts as part of the head.
            self.skipped = b"\r\n".len();
            self.section.lines = Lines::default();
            buffer.advance(self.skipped);
        }
    }
}

impl RequestLine {
    fn parse(line: &[u8], target_bytes_max: usize) -> Result<Self, Fault> {
        let malformed = || match line.split(|byte| *byte == b' ').collect::<Vec<_>>()[..] {
            [_, target, _] if target.len() > target_bytes_max => Fault::TargetTooLong,
            _ => Fault::Malformed,
        };
        Self::read(line).filter(|line| line.target.len() <= target_bytes_max).ok_or_else(malformed)
    }

    fn read(line: &[u8]) -> Option<Self> {
        let method = line.iter().take(METHOD_BYTES_MAX + 1).position(|byte| *byte == b' ')?;
        let (method, rest) = line.split_at_checked(method)?;
        let (rest, version) = rest.split_last_chunk::<8>()?;
        let [b' ', target @ .., b' '] = rest else { return None };
        let is_utf8 = target.is_ascii() || std::str::from_utf8(target).is_ok();
        if !is_token(method) || target.is_empty() || has_blank_or_control(target) || !is_utf8 {
            return None;
        }
        let start = method.len() + 1;
        Some(Self {
            method_bytes: method.len(),
            target: start..start + target.len(),
            declared: Declared::new(Version::parse(version)?),
        })
    }
}

/// A request line with its end, or as much of it as there is, must have room for its target alone.
fn check_length(line: &[u8], target_bytes_max: usize) -> Result<(), Fault> {
    if line.len() <= target_bytes_max + AROUND_TARGET {
        return Ok(());
    }
    let has_method = line.iter().take(AROUND_TARGET).any(|byte| *byte == b' ');
    Err(if has_method { Fault::TargetTooLong } else { Fault::Malformed })
}
