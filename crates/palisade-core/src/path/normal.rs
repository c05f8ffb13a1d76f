//! How a path gets its normal form.
//!
//! Two ways that must agree. [`is_plain`] looks at each byte once and knows that most paths are
//! normal already. [`form`] does everything; it too allocates only from the first byte on that
//! differs from what was sent.

use std::borrow::Cow;

use super::{EncodedSlash, MalformedPath};

/// Bytes that mean themselves wherever they stand: all visible ASCII but `# % / ? \`.
#[expect(clippy::indexing_slicing, reason = "the loop ends with the array")]
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < plain.len() {
        plain[byte] = (byte as u8).is_ascii_graphic() && !matches!(byte as u8, b'#' | b'%' | b'/' | b'?' | b'\\');
        byte += 1;
    }
    plain
};

/// Whether a path is surely in normal form: no escapes, and no segment that is empty or begins
/// with a dot.
#[expect(clippy::indexing_slicing, reason = "a byte indexes an array of 256")]
pub(super) fn is_plain(raw: &str) -> bool {
    let mut after_slash = false;
    for (at, byte) in raw.bytes().enumerate() {
        if byte == b'/' {
            if after_slash {
                return false;
            }
            after_slash = true;
        } else {
            if !PLAIN[usize::from(byte)] || (after_slash && byte == b'.') || at == 0 {
                return false;
            }
            after_slash = false;
        }
    }
    !raw.is_empty()
}

/// The normal form of any path.
pub(super) fn form(raw: &str, slash: EncodedSlash) -> Result<Cow<'_, str>, MalformedPath> {
    let segments = raw.strip_prefix('/').ok_or(MalformedPath::NotAbsolute)?;
    let mut out = Form { raw, length: 0, own: None };
    out.push(b'/');
    // Each segment is written, then judged as it was written: what an escape hides is seen here.
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        let start = out.length;
        write_segment(&mut out, segment)?;
        match out.since(start) {
            "" | "." => out.cut(start),
            ".." => {
                let parent = out.until(start).strip_suffix('/').and_then(|path| path.rfind('/'));
                out.cut(parent.ok_or(MalformedPath::AboveRoot)? + 1);
            }
            written => {
                judge(written, slash)?;
                if segments.peek().is_some() {
                    out.push(b'/');
                }
            }
        }
    }
    Ok(out.finish())
}

fn write_segment(out: &mut Form<'_>, segment: &str) -> Result<(), MalformedPath> {
    // Overlong sequences are told by their first two bytes.
    let mut before = None;
    let mut rest = segment.bytes();
    while let Some(raw) = rest.next() {
        let (byte, escaped) = match raw {
            b'%' => (unescape(&mut rest)?, true),
            b'#' | b'?' => return Err(MalformedPath::Delimiter),
            b' ' => return Err(MalformedPath::Space),
            _ => (raw, false),
        };
        match byte {
            b'\\' => return Err(MalformedPath::Backslash),
            0..0x20 | 0x7F => return Err(MalformedPath::Control),
            0x80.. => {
                if before.is_some_and(|lead| is_overlong(lead, byte)) {
                    return Err(MalformedPath::Overlong);
                }
                out.push_escaped(byte);
            }
            _ if escaped && !is_unreserved(byte) => out.push_escaped(byte),
            _ => out.push(byte),
        }
        before = Some(byte);
    }
    Ok(())
}

/// The byte that the two digits after a `%` stand for.
fn unescape(rest: &mut impl Iterator<Item = u8>) -> Result<u8, MalformedPath> {
    match (rest.next().and_then(digit), rest.next().and_then(digit)) {
        (Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(MalformedPath::BadEscape),
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether a UTF-8 sequence that begins like this takes more bytes than its character needs. The
/// sequences of five and six bytes were never standard, but decoders of them exist.
fn is_overlong(lead: u8, next: u8) -> bool {
    match lead {
        0xC0 | 0xC1 => next < 0xC0,
        0xE0 => next < 0xA0,
        0xF0 => next < 0x90,
        0xF8 => next < 0x88,
        0xFC => next < 0x84,
        _ => false,
    }
}

/// Refuses a segment, its escapes in normal form, that readers could take for another one.
fn judge(segment: &str, slash: EncodedSlash) -> Result<(), MalformedPath> {
    let is_dots = |piece: &str| {
        let name = piece.split(';').next().unwrap_or(piece);
        matches!(name.split("%3B").next(), Some("." | ".."))
    };
    if segment.split("%2F").any(is_dots) {
        return Err(MalformedPath::DotSegment);
    }
    if slash == EncodedSlash::Refuse && segment.contains("%2F") {
        return Err(MalformedPath::EncodedSlash);
    }
    for (at, _) in segment.match_indices("%25") {
        let mut after = segment.bytes().skip(at + 3);
        let hidden = unescape(&mut after).ok();
        if hidden.is_some_and(|byte| is_unreserved(byte) || matches!(byte, b'/' | b'\\' | b'%' | 0)) {
            return Err(MalformedPath::EscapedTwice);
        }
    }
    Ok(())
}

/// A path being written: a prefix of what was sent for as long as it is one, then its own text.
struct Form<'a> {
    raw: &'a str,
    length: usize,
    own: Option<String>,
}

impl<'a> Form<'a> {
    /// Writes one ASCII character.
    fn push(&mut self, byte: u8) {
        if self.own.is_none() && self.raw.as_bytes().get(self.length) != Some(&byte) {
            let mut own = String::with_capacity(self.raw.len() + 2);
            own.push_str(self.until(self.length));
            self.own = Some(own);
        }
        if let Some(own) = &mut self.own {
            own.push(char::from(byte));
        }
        self.length += 1;
    }

    fn push_escaped(&mut self, byte: u8) {
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'A' + value - 10 };
        self.push(b'%');
        self.push(digit(byte >> 4));
        self.push(digit(byte & 15));
    }

    /// Takes back everything from `length` on.
    fn cut(&mut self, length: usize) {
        self.length = length;
        if let Some(own) = &mut self.own {
            own.truncate(length);
        }
    }

    fn until(&self, end: usize) -> &str {
        self.own.as_deref().unwrap_or(self.raw).get(..end).unwrap_or_default()
    }

    fn since(&self, start: usize) -> &str {
        self.until(self.length).get(start..).unwrap_or_default()
    }

    fn finish(self) -> Cow<'a, str> {
        match self.own {
            Some(own) => Cow::Owned(own),
            None => Cow::Borrowed(self.raw.get(..self.length).unwrap_or_default()),
        }
    }
}
