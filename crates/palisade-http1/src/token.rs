//! What single bytes may stand for, in names, values and numbers.

use crate::word;

/// The lower-case form of `tchar` (RFC 9110 §5.6.2), and 0 for every other byte.
const LOWER: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        #[expect(clippy::indexing_slicing, reason = "a byte indexes an array of 256, at compile time")]
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// A byte of a token in lower case, or 0 if it can't be in one.
fn lower(byte: u8) -> u8 {
    LOWER.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Whether these are the bytes of a token.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| lower(*byte) != 0)
}

/// Makes the token that `text` begins with lower-case, and tells its length.
pub(crate) fn lower_token(text: &mut [u8]) -> usize {
    let mut length = 0;
    for byte in text {
        let lower = lower(*byte);
        if lower == 0 {
            break;
        }
        *byte = lower;
        length += 1;
    }
    length
}

/// Where the first control byte other than a tab is. Most of a head goes through here.
pub(crate) fn control(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let found = from + low_or_delete(text.get(from..)?, b' ')?;
        if text.get(found) != Some(&b'\t') {
            return Some(found);
        }
        from = found + 1;
    }
}

/// Whether a byte is a control byte other than a tab.
pub(crate) fn has_control(text: &[u8]) -> bool {
    control(text).is_some()
}

/// Whether a byte can't stand in a request target: blanks end it, control bytes are nowhere.
pub(crate) fn has_blank_or_control(text: &[u8]) -> bool {
    low_or_delete(text, b' ' + 1).is_some()
}

/// Where the first byte is that is below `low`, at most 0x80, or DEL.
fn low_or_delete(text: &[u8], low: u8) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let marks = word::low_or_delete(u64::from_le_bytes(*word), low);
        if marks != 0 {
            return Some(at * 8 + word::before(marks));
        }
    }
    let found = rest.iter().position(|byte| *byte < low || *byte == 0x7f)?;
    Some(words.len() * 8 + found)
}

/// Without the blanks before it: spaces and tabs, nothing else (RFC 9110 §5.6.3).
pub(crate) fn trim_start(value: &[u8]) -> &[u8] {
    // One space is what nearly everyone writes.
    let mut rest = value.strip_prefix(b" ").unwrap_or(value);
    while let [b' ' | b'\t', after @ ..] = rest {
        rest = after;
    }
    rest
}

/// Without the blanks after it.
pub(crate) fn trim_end(mut value: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The members of a list, each without the blanks around it.
pub(crate) fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(|member| trim_end(trim_start(member)))
}

/// Digits alone, below 2^63.
pub(crate) fn decimal(value: &[u8]) -> Option<u64> {
    // No number of 19 digits is too large for 64 bits.
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    let mut number = 0;
    for byte in value {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    i64::try_from(number).is_ok().then_some(number)
}
