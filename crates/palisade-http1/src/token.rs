//! What single bytes may stand for, in names, values and numbers.

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

/// Whether a byte is a control byte other than a tab. Looks at all bytes without stopping, which
/// compiles to vector instructions: most of a head goes through here.
pub(crate) fn has_control(text: &[u8]) -> bool {
    text.iter().fold(false, |found, byte| found | ((*byte < b' ') & (*byte != b'\t')) | (*byte == 0x7f))
}

/// Whether a byte can't stand in a request target: blanks end it, control bytes are nowhere. Looks
/// at all bytes, like [`has_control`].
pub(crate) fn has_blank_or_control(text: &[u8]) -> bool {
    text.iter().fold(false, |found, byte| found | (*byte <= b' ') | (*byte == 0x7f))
}

/// Without the blanks before it: spaces and tabs, nothing else (RFC 9110 §5.6.3).
pub(crate) fn trim_start(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    value
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
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = std::str::from_utf8(value).ok()?.parse::<u64>().ok()?;
    i64::try_from(length).is_ok().then_some(length)
}
