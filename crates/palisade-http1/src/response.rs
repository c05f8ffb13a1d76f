//! Answers: one head after the other off the front of a connection's buffer.
//!
//! A status line is a version, three digits and a reason, with one space between them (RFC 9112
//! §4). The reason means nothing and may be empty or missing; it is not kept.

use bytes::BytesMut;
use http::{Method, StatusCode};

use crate::declared::Declared;
use crate::fault::Fault;
use crate::fields::Fields;
use crate::framing::Framing;
use crate::limits::Limits;
use crate::lines::Lines;
use crate::section::Section;
use crate::token::has_control;
use crate::version::Version;

/// The head of an answer, interim ones included.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The version of the server.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the server lets the connection be kept after this exchange.
    pub persistent: bool,
}

/// Finds the heads of answers at the front of a connection's buffer as it grows.
///
/// Between two calls that return no head, bytes may only be added to the buffer. After a head it
/// is ready for the next one; after a fault it is never used again.
#[derive(Debug)]
pub struct ResponseParser {
    limits: Limits,
    line: Option<StatusLine>,
    section: Section,
}

#[derive(Debug)]
struct StatusLine {
    status: StatusCode,
    declared: Declared,
}

impl ResponseParser {
    /// Before the first byte of an answer.
    pub fn new(limits: Limits) -> Self {
        Self { limits, line: None, section: Section::default() }
    }

    /// Takes one complete head off the front of `buffer`. `None`: more bytes are needed. `method`
    /// is that of the request, which decides whether there is a body.
    pub fn parse(&mut self, buffer: &mut BytesMut, method: &Method) -> Result<Option<Response>, Fault> {
        if self.line.is_none() {
            self.line = self.begin(buffer)?;
        }
        let Some(line) = &mut self.line else { return Ok(None) };
        let Limits { head_bytes_max, fields_max, .. } = self.limits;
        let learn = |name: &[u8], value: &[u8]| line.declared.learn(name, value);
        let Some(end) = self.section.read(buffer, head_bytes_max, fields_max, learn)? else { return Ok(None) };
        // Contradictions are refused also where there is no body: somebody might expect one.
        let declared_framing = line.declared.framing()?;
        let status = line.status;
        let body = Body::of(method, status);
        let framing = match body {
            Body::Follows => declared_framing.unwrap_or(Framing::Close),
            Body::Elsewhere | Body::Never => Framing::None,
        };
        // A body that can't be there might be sent all the same, and be read as the next answer.
        let is_clear = match (body, declared_framing) {
            (Body::Follows, _) => framing != Framing::Close,
            (Body::Never, Some(declared)) => declared == Framing::Length(0),
            (Body::Never, None) | (Body::Elsewhere, _) => true,
        };
        let response = Response {
            status,
            version: line.declared.version,
            fields: Fields::new(buffer.split_to(end).freeze(), std::mem::take(&mut self.section.entries)),
            framing,
            persistent: is_clear && line.declared.is_persistent(),
        };
        (self.line, self.section.lines) = (None, Lines::default());
        Ok(Some(response))
    }

    fn begin(&mut self, buffer: &[u8]) -> Result<Option<StatusLine>, Fault> {
        let Some(line) = self.section.lines.next(buffer) else {
            return if buffer.len() > self.limits.head_bytes_max { Err(Fault::HeadTooLarge) } else { Ok(None) };
        };
        if line.end > self.limits.head_bytes_max {
            return Err(Fault::HeadTooLarge);
        }
        let line = buffer.get(line).and_then(|line| line.strip_suffix(b"\r\n")).ok_or(Fault::Malformed)?;
        StatusLine::parse(line).map(Some).ok_or(Fault::Malformed)
    }
}

impl StatusLine {
    fn parse(line: &[u8]) -> Option<Self> {
        let (version, rest) = line.split_first_chunk::<8>()?;
        let (status, reason) = rest.strip_prefix(b" ")?.split_first_chunk::<3>()?;
        if !matches!(reason, [] | [b' ', ..]) || has_control(reason) {
            return None;
        }
        let status = StatusCode::from_bytes(status).ok()?;
        Some(Self { status, declared: Declared::new(Version::parse(version)?) })
    }
}

/// Whether there is a body (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// After the head.
    Follows,
    /// The head is that of an answer with a body, which isn't sent.
    Elsewhere,
    /// Such an answer has none, whatever its head says.
    Never,
}

impl Body {
    fn of(method: &Method, status: StatusCode) -> Self {
        if status.is_informational() || status == StatusCode::NO_CONTENT {
            Self::Never
        } else if *method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
            Self::Elsewhere
        } else {
            Self::Follows
        }
    }
}
