//! Fields of `application/x-www-form-urlencoded`.

use super::Found;

/// The value of a field.
pub(super) fn find(body: &[u8], name: &str) -> Found {
    let mut found = Found::Absent;
    // Some readers take `;` for `&`; what they would see twice is refused too.
    for pair in body.split(|byte| matches!(byte, b'&' | b';')) {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let (key, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if decode(key) == name.as_bytes() {
            let value = String::from_utf8(decode(value)).unwrap_or_default();
            found = found.and(Some(value));
        }
    }
    found
}

/// `+` is a blank, and `%` with two digits a byte; anything else is what it is.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return decoded,
            [b'+', after @ ..] => {
                decoded.push(b' ');
                after
            }
            [b'%', high, low, after @ ..] if digit(*high).is_some() && digit(*low).is_some() => {
                decoded.push(digit(*high).unwrap_or_default() << 4 | digit(*low).unwrap_or_default());
                after
            }
            [byte, after @ ..] => {
                decoded.push(*byte);
                after
            }
        };
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
