//! A reader of HTTP/1.1 that has a whole connection before it and takes nothing that has two
//! readings.
//!
//! It shares no line with the engine: lines are cut at LF, words at blanks, fields at their first
//! colon, each message is read from its beginning, and what is allowed is written as it stands in
//! RFC 9110 and 9112. It knows no limits. `e2e/tests/differential` reads with it too.

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The words of the first line: three of a request, two of an answer, whose reason means
    /// nothing.
    pub line: Vec<String>,
    /// Names in lower case, values without the blanks around them.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The content, as far as it is there.
    pub body: Vec<u8>,
    /// The fields after the content.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether the body is whole, cut, or wrong.
    pub end: Result<End, Stop>,
}

/// Where a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Before this byte.
    At(usize),
    /// With the connection.
    Connection,
}

/// Why there is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The connection has ended.
    Cut,
    /// It has two readings, or none.
    Wrong,
}

#[derive(Clone, Copy)]
enum Body {
    None,
    Length(usize),
    Chunks,
    Rest,
}

type Field = (String, Vec<u8>);

/// The request that begins at `start`.
///
/// # Errors
///
/// If its head isn't whole.
pub fn request(input: &[u8], start: usize) -> Result<Message, Stop> {
    let mut at = start;
    let mut first = line(input, &mut at)?;
    if first.is_empty() {
        first = line(input, &mut at)?;
    }
    let words: Vec<&[u8]> = first.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else { return Err(Stop::Wrong) };
    let is_target = |byte: u8| byte > b' ' && byte != 0x7f;
    let good = is_token(method)
        && method.len() <= 32
        && !target.is_empty()
        && target.iter().all(|byte| is_target(*byte))
        && (version == b"HTTP/1.1" || version == b"HTTP/1.0");
    let target = std::str::from_utf8(target).ok().filter(|_| good).ok_or(Stop::Wrong)?;
    let line = vec![text(method), target.to_owned(), text(version)];
    let (fields, declared) = head(input, &mut at, version)?;
    Ok(message(input, at, line, fields, declared.unwrap_or(Body::None)))
}

/// The answer that begins at `start`, to a request that was `HEAD` or wasn't.
///
/// # Errors
///
/// If its head isn't whole.
pub fn response(input: &[u8], start: usize, to_head: bool) -> Result<Message, Stop> {
    let mut at = start;
    let first = line(input, &mut at)?;
    let (begin, reason) = first.split_at_checked("HTTP/1.1 200".len()).ok_or(Stop::Wrong)?;
    let words: Vec<&[u8]> = begin.split(|byte| *byte == b' ').collect();
    let [version, status] = words[..] else { return Err(Stop::Wrong) };
    let is_status = matches!(status, [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9']);
    let is_version = version == b"HTTP/1.1" || version == b"HTTP/1.0";
    let is_reason = (reason.is_empty() || reason.starts_with(b" ")) && is_value(reason);
    if !is_status || !is_version || !is_reason {
        return Err(Stop::Wrong);
    }
    let line = vec![text(version), text(status)];
    let (fields, declared) = head(input, &mut at, version)?;
    let has_none = to_head || status.starts_with(b"1") || status == b"204" || status == b"304";
    let body = if has_none { Body::None } else { declared.unwrap_or(Body::Rest) };
    Ok(message(input, at, line, fields, body))
}

fn message(input: &[u8], mut at: usize, line: Vec<String>, fields: Vec<Field>, body: Body) -> Message {
    let (mut content, mut trailers) = (Vec::new(), Vec::new());
    let end = match body {
        Body::None => Ok(End::At(at)),
        Body::Length(length) => bytes(input, &mut at, length, &mut content).map(|()| End::At(at)),
        Body::Chunks => chunks(input, &mut at, &mut content, &mut trailers).map(|()| End::At(at)),
        Body::Rest => {
            content.extend_from_slice(&input[at..]);
            Ok(End::Connection)
        }
    };
    Message { line, fields, body: content, trailers, end }
}

/// The next line without its end.
fn line<'a>(input: &'a [u8], at: &mut usize) -> Result<&'a [u8], Stop> {
    let rest = &input[*at..];
    let length = rest.iter().position(|byte| *byte == b'\n').ok_or(Stop::Cut)?;
    *at += length + 1;
    rest[..length].strip_suffix(b"\r").ok_or(Stop::Wrong)
}

fn field(line: &[u8]) -> Result<Field, Stop> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Stop::Wrong)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) || !is_value(value) {
        return Err(Stop::Wrong);
    }
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    Ok((text(name).to_ascii_lowercase(), value[start..end].to_vec()))
}

/// The fields of a head, and the body that it declares.
fn head(input: &[u8], at: &mut usize, version: &[u8]) -> Result<(Vec<Field>, Option<Body>), Stop> {
    let (mut fields, mut length, mut chunked) = (Vec::new(), None, false);
    loop {
        let line = line(input, at)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = field(line)?;
        match name.as_str() {
            "content-length" if length.is_some() => return Err(Stop::Wrong),
            "content-length" => length = Some(number(&value).ok_or(Stop::Wrong)?),
            "transfer-encoding" => {
                if chunked || version != b"HTTP/1.1" || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Stop::Wrong);
                }
                chunked = true;
            }
            _ => {}
        }
        fields.push((name, value));
    }
    match (length, chunked) {
        (Some(_), true) => Err(Stop::Wrong),
        (Some(length), false) => Ok((fields, Some(Body::Length(length)))),
        (None, true) => Ok((fields, Some(Body::Chunks))),
        (None, false) => Ok((fields, None)),
    }
}

/// Digits alone, below 2^63. Zeros before them are digits too, up to 19 in all.
fn number(text: &[u8]) -> Option<usize> {
    let digits = (1..=19).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let number: u128 = std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()?;
    if number < 1 << 63 { usize::try_from(number).ok() } else { None }
}

fn bytes(input: &[u8], at: &mut usize, length: usize, content: &mut Vec<u8>) -> Result<(), Stop> {
    let rest = &input[*at..];
    let here = length.min(rest.len());
    content.extend_from_slice(&rest[..here]);
    *at += here;
    if here == length { Ok(()) } else { Err(Stop::Cut) }
}

fn chunks(input: &[u8], at: &mut usize, content: &mut Vec<u8>, trailers: &mut Vec<Field>) -> Result<(), Stop> {
    loop {
        let first = line(input, at)?;
        let digits = first.split(|byte| *byte == b';').next().unwrap_or_default();
        let good = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
        if !good || !is_value(first) {
            return Err(Stop::Wrong);
        }
        let size = u64::from_str_radix(&text(digits), 16).map_err(|_| Stop::Wrong)?;
        if size >= 1 << 63 {
            return Err(Stop::Wrong);
        }
        if size == 0 {
            break;
        }
        bytes(input, at, usize::try_from(size).map_err(|_| Stop::Wrong)?, content)?;
        // Looked at one by one: the first of them may already be wrong.
        for wanted in b"\r\n" {
            if input.get(*at).ok_or(Stop::Cut)? != wanted {
                return Err(Stop::Wrong);
            }
            *at += 1;
        }
    }
    loop {
        let line = line(input, at)?;
        if line.is_empty() {
            return Ok(());
        }
        let (name, value) = field(line)?;
        if name == "content-length" || name == "transfer-encoding" {
            return Err(Stop::Wrong);
        }
        trailers.push((name, value));
    }
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn is_value(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f))
}

fn text(ascii: &[u8]) -> String {
    String::from_utf8_lossy(ascii).into_owned()
}
