//! The names of a query's parameters, for the record. Never their values.

/// How many names are kept.
const NAMES_MAX: usize = 32;
/// How much of each.
const NAME_BYTES_MAX: usize = 64;

/// The names of a query's parameters, decoded, in order: at most 32, each cut at 64 bytes. What is
/// no UTF-8 is replaced. A part without `=` is no name: links put whole tokens there.
pub fn query_names(query: &str) -> impl Iterator<Item = Box<str>> {
    query.split('&').filter_map(|pair| pair.split_once('=')).take(NAMES_MAX).map(|(name, _)| decode(name))
}

fn decode(name: &str) -> Box<str> {
    let mut bytes = Vec::with_capacity(name.len().min(NAME_BYTES_MAX));
    let mut rest = name.as_bytes();
    // One byte more than is kept tells whether the last character is whole.
    while let Some((&first, after)) = rest.split_first().filter(|_| bytes.len() <= NAME_BYTES_MAX) {
        let escape = after.split_at_checked(2).filter(|_| first == b'%');
        let decoded = escape.and_then(|(digits, after)| Some((hex(digits)?, after)));
        let (byte, after) = decoded.unwrap_or((if first == b'+' { b' ' } else { first }, after));
        bytes.push(byte);
        rest = after;
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.truncate(text.floor_char_boundary(NAME_BYTES_MAX));
    text.into()
}

fn hex(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)? as u8))
}
