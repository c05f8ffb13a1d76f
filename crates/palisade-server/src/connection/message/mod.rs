//! Where HTTP/1.1 messages begin and end, followed byte by byte before the parser sees them.
//!
//! The parser behind forgives: it drops `Content-Length` beside `Transfer-Encoding`, takes a bare
//! LF for a line's end and merges equal lengths, and whoever reads the same bytes behind us might
//! not. So nothing reaches it that has two readings. This follower is stricter than RFC 9112
//! allows it to be lenient, knows no header beyond framing, and keeps nothing but a line that
//! isn't complete yet.
//!
//! A head: lines end in CRLF; names are tokens and touch their colon; values hold no control
//! bytes; no line is folded (RFC 9112 §2.2, §5). Its body has one length: `Content-Length` once
//! and in plain digits, or `Transfer-Encoding` once and exactly `chunked`, never both (§6.3). In
//! trailers, which come too late to say where the body ends, neither may stand (RFC 9110 §6.5.1).

use memchr::memchr;
use palisade_http1::{Fault, Limits};

/// Follows the requests of one connection.
#[derive(Debug)]
pub struct Follower {
    limits: Limits,
    stage: Stage,
    /// The beginning of a line that isn't complete.
    line: Vec<u8>,
    /// Bytes of the head, or of the trailers, so far.
    bytes: usize,
    fields: usize,
    extensions: usize,
    framing: Framing,
}

/// How far bytes were followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// How many bytes belong to this message and may pass.
    pub used: usize,
    /// What may not, right after them.
    pub fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before the request line; one empty line is skipped (RFC 9112 §2.2).
    Start,
    RequestLine,
    Field,
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailer,
    Complete,
}

#[derive(Clone, Copy, Debug, Default)]
struct Framing {
    version: Version,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Version {
    #[default]
    Http10,
    Http11,
}

const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";

const METHOD_BYTES_MAX: usize = 32;

/// Room for a method and a version beside the target on a request line.
const AROUND_TARGET: usize = METHOD_BYTES_MAX + " ".len() + " HTTP/1.1\r\n".len();

impl Follower {
    /// Before the first byte of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            stage: Stage::Start,
            line: Vec::new(),
            bytes: 0,
            fields: 0,
            extensions: 0,
            framing: Framing::default(),
        }
    }

    /// The message was followed to its end; what comes next is another one.
    pub fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// A head has begun and isn't complete.
    pub fn is_in_head(&self) -> bool {
        match self.stage {
            Stage::Start | Stage::RequestLine => !self.line.is_empty(),
            Stage::Field => true,
            Stage::Length(_)
            | Stage::ChunkSize
            | Stage::ChunkData(_)
            | Stage::ChunkEnd
            | Stage::Trailer
            | Stage::Complete => false,
        }
    }

    /// The head is complete and the body isn't.
    pub fn is_in_body(&self) -> bool {
        match self.stage {
            Stage::Length(_) | Stage::ChunkSize | Stage::ChunkData(_) | Stage::ChunkEnd | Stage::Trailer => true,
            Stage::Start | Stage::RequestLine | Stage::Field | Stage::Complete => false,
        }
    }

    /// Begins with the next message.
    pub fn begin(&mut self) {
        self.stage = Stage::Start;
        self.bytes = 0;
        self.fields = 0;
        self.extensions = 0;
        self.framing = Framing::default();
    }

    /// Follows `bytes` to the end of this message, or to what can't be let pass. Nothing may be
    /// followed after a fault.
    pub fn follow(&mut self, bytes: &[u8]) -> Followed {
        let mut rest = bytes;
        let mut fault = None;
        while !rest.is_empty() && self.stage != Stage::Complete {
            rest = match self.stage {
                Stage::Length(left) => {
                    let (rest, left) = pass(rest, left);
                    self.stage = if left == 0 { Stage::Complete } else { Stage::Length(left) };
                    rest
                }
                Stage::ChunkData(left) => {
                    let (rest, left) = pass(rest, left);
                    self.stage = if left == 0 { Stage::ChunkEnd } else { Stage::ChunkData(left) };
                    rest
                }
                Stage::Start
                | Stage::RequestLine
                | Stage::Field
                | Stage::ChunkSize
                | Stage::ChunkEnd
                | Stage::Trailer
                | Stage::Complete => match self.follow_line(rest) {
                    Ok(rest) => rest,
                    Err(found) => {
                        fault = Some(found);
                        break;
                    }
                },
            };
        }
        Followed { used: bytes.len() - rest.len(), fault }
    }

    fn follow_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Fault> {
        let Some((part, rest)) = memchr(b'\n', bytes).and_then(|end| bytes.split_at_checked(end + 1)) else {
            self.count(bytes.len())?;
            self.line.extend_from_slice(bytes);
            self.check_partial()?;
            return Ok(&[]);
        };
        self.count(part.len())?;
        if self.line.is_empty() {
            self.end_line(part)?;
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(part);
            self.end_line(&line)?;
        }
        Ok(rest)
    }

    /// Counts bytes of lines against what their kind may have in all.
    fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes += bytes;
        match self.stage {
            Stage::Field if self.bytes > self.limits.head_bytes_max => Err(Fault::HeadTooLarge),
            Stage::Trailer if self.bytes > self.limits.trailer_bytes_max => Err(Fault::Malformed),
            Stage::Start
            | Stage::RequestLine
            | Stage::Field
            | Stage::Length(_)
            | Stage::ChunkSize
            | Stage::ChunkData(_)
            | Stage::ChunkEnd
            | Stage::Trailer
            | Stage::Complete => Ok(()),
        }
    }

    /// A line without an end must still be able to become a good one.
    fn check_partial(&self) -> Result<(), Fault> {
        match self.stage {
            Stage::Start | Stage::RequestLine => check_length(&self.line, self.limits.target_bytes_max),
            Stage::ChunkSize if self.line.len() > self.limits.chunk_line_bytes_max => Err(Fault::Malformed),
            Stage::ChunkEnd if self.line != b"\r" => Err(Fault::Malformed),
            Stage::Field
            | Stage::Length(_)
            | Stage::ChunkSize
            | Stage::ChunkData(_)
            | Stage::ChunkEnd
            | Stage::Trailer
            | Stage::Complete => Ok(()),
        }
    }

    fn end_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        if matches!(self.stage, Stage::Start | Stage::RequestLine) {
            // First, as for a line that isn't complete: how it arrives must not matter.
            check_length(line, self.limits.target_bytes_max)?;
        }
        let line = line.strip_suffix(b"\r\n").ok_or(Fault::Malformed)?;
        self.stage = match self.stage {
            Stage::Start if line.is_empty() => Stage::RequestLine,
            Stage::Start | Stage::RequestLine => {
                self.framing.version = request_line(line, self.limits.target_bytes_max)?;
                Stage::Field
            }
            Stage::Field if line.is_empty() => self.framing.body()?,
            Stage::Field => {
                self.fields += 1;
                if self.fields > self.limits.fields_max {
                    return Err(Fault::HeadTooLarge);
                }
                let (name, value) = field(line)?;
                self.framing.learn(name, value)?;
                Stage::Field
            }
            Stage::ChunkSize => {
                if line.len() + 2 > self.limits.chunk_line_bytes_max {
                    return Err(Fault::Malformed);
                }
                let (size, extension) = chunk_size(line)?;
                self.extensions += extension;
                if self.extensions > self.limits.chunk_extension_bytes_max {
                    return Err(Fault::Malformed);
                }
                self.bytes = 0;
                if size == 0 { Stage::Trailer } else { Stage::ChunkData(size) }
            }
            Stage::ChunkEnd if line.is_empty() => Stage::ChunkSize,
            Stage::Trailer if line.is_empty() => Stage::Complete,
            Stage::Trailer => {
                let (name, _) = field(line)?;
                if is_framing(name) {
                    return Err(Fault::Malformed);
                }
                Stage::Trailer
            }
            Stage::ChunkEnd | Stage::Length(_) | Stage::ChunkData(_) | Stage::Complete => {
                return Err(Fault::Malformed);
            }
        };
        Ok(())
    }
}

impl Framing {
    /// Takes from a field what says where the body ends.
    fn learn(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        if name.eq_ignore_ascii_case(CONTENT_LENGTH) {
            // A second field is refused even if it is equal: the next reader may take a list.
            let length = decimal(trim_blanks(value)).ok_or(Fault::Malformed)?;
            if self.length.replace(length).is_some() {
                return Err(Fault::Malformed);
            }
        } else if name.eq_ignore_ascii_case(TRANSFER_ENCODING) {
            let again = std::mem::replace(&mut self.chunked, true);
            if again || self.version == Version::Http10 || !trim_blanks(value).eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::Malformed);
            }
        }
        Ok(())
    }

    /// The stage after the head.
    fn body(self) -> Result<Stage, Fault> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Fault::Malformed),
            (true, None) => Ok(Stage::ChunkSize),
            (false, Some(0) | None) => Ok(Stage::Complete),
            (false, Some(length)) => Ok(Stage::Length(length)),
        }
    }
}

/// The bytes after the first `left`, and how many of those are still to come.
fn pass(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (bytes.get(here..).unwrap_or_default(), left - here as u64)
}

/// A request line with its end, or as much of it as there is, must have room for its target alone.
fn check_length(line: &[u8], target_max: usize) -> Result<(), Fault> {
    if line.len() <= target_max + AROUND_TARGET {
        return Ok(());
    }
    let has_method = line.iter().take(AROUND_TARGET).any(|byte| *byte == b' ');
    Err(if has_method { Fault::TargetTooLong } else { Fault::Malformed })
}

fn request_line(line: &[u8], target_max: usize) -> Result<Version, Fault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::Malformed);
    };
    if target.len() > target_max {
        return Err(Fault::TargetTooLong);
    }
    if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Fault::Malformed);
    }
    if target.is_empty() || has_control(target) || memchr(b'\t', target).is_some() {
        return Err(Fault::Malformed);
    }
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        _ => Err(Fault::Malformed),
    }
}

/// A field's name, and its value with the blanks around it.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    // A token has no blank, so this also refuses folded lines and a blank before the colon.
    let name = line.iter().position(|byte| !is_token(*byte)).ok_or(Fault::Malformed)?;
    let (name, value) = line.split_at_checked(name).ok_or(Fault::Malformed)?;
    if name.is_empty() || value.first() != Some(&b':') || has_control(value) {
        return Err(Fault::Malformed);
    }
    Ok((name, value.strip_prefix(b":").unwrap_or_default()))
}

/// Whether a field says where a body ends.
fn is_framing(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(CONTENT_LENGTH) || name.eq_ignore_ascii_case(TRANSFER_ENCODING)
}

/// Optional blanks around a value are spaces and tabs, nothing else (RFC 9110 §5.6.3).
fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A chunk's size, and how many bytes of extension follow it.
fn chunk_size(line: &[u8]) -> Result<(u64, usize), Fault> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extension) = line.split_at_checked(digits).ok_or(Fault::Malformed)?;
    if size.is_empty() || size.len() > 16 || extension.first().is_some_and(|byte| *byte != b';') {
        return Err(Fault::Malformed);
    }
    if has_control(extension) {
        return Err(Fault::Malformed);
    }
    let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
    match size {
        Some(size) if i64::try_from(size).is_ok() => Ok((size, extension.len())),
        Some(_) | None => Err(Fault::Malformed),
    }
}

/// Digits alone, below 2^63.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = std::str::from_utf8(value).ok()?.parse::<u64>().ok()?;
    i64::try_from(length).is_ok().then_some(length)
}

/// Whether a byte is a control byte other than a tab. Looks at all bytes without stopping, which
/// compiles to vector instructions: most of a head goes through here.
fn has_control(text: &[u8]) -> bool {
    text.iter().fold(false, |found, byte| found | ((*byte < b' ') & (*byte != b'\t')) | (*byte == 0x7f))
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).is_some_and(|token| *token)
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        #[expect(clippy::indexing_slicing, reason = "a byte indexes an array of 256, at compile time")]
        {
            table[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
