//! Fields of `multipart/form-data` (RFC 7578).

use super::Found;

/// The boundary among a media type's parameters.
pub(super) fn boundary(parameters: &str) -> Option<Box<[u8]>> {
    let value = parameter(parameters, "boundary")?;
    // RFC 2046 section 5.1.1
    (1..=70).contains(&value.len()).then(|| value.as_bytes().into())
}

/// The value of a field. A file is none.
pub(super) fn find(body: &[u8], boundary: &[u8], name: &str) -> Found {
    let delimiter = [b"\r\n--", boundary].concat();
    // The first one may stand at the very beginning.
    let text = [b"\r\n", body].concat();
    let mut found = Found::Absent;
    let mut rest = text.as_slice();
    let Some(mut at) = position(rest, &delimiter) else { return Found::Absent };
    loop {
        rest = rest.get(at + delimiter.len()..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return found;
        }
        // Without an end it is broken, and has no fields.
        let Some(next) = position(rest, &delimiter) else { return Found::Absent };
        let part = rest.get(..next).unwrap_or_default();
        if let Some(head_end) = position(part, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(part.get(..head_end).unwrap_or_default());
            if is_field(&head, name) {
                let value = part.get(head_end + 4..).unwrap_or_default().to_vec();
                found = found.and(Some(String::from_utf8(value).unwrap_or_default()));
            }
        }
        at = next;
    }
}

fn is_field(head: &str, name: &str) -> bool {
    let disposition = head.split("\r\n").find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    disposition.is_some_and(|disposition| {
        let parameters = disposition.split_once(';').map_or("", |(_, parameters)| parameters);
        parameter(parameters, "filename").is_none() && parameter(parameters, "name").as_deref() == Some(name)
    })
}

/// The value of a parameter; quotation marks are taken off and what they escape is undone.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (value, after) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), after)
            }
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part == wanted)
}
