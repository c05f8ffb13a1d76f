//! Where answers say how many tokens were used.

use http::HeaderName;

use super::super::body::{Found, json};

/// The field in which an application tells the gateway.
pub(in crate::limits) static USED_FIELD: HeaderName = HeaderName::from_static("palisade-tokens-used");

/// Where a usage stands, by the interfaces of several providers.
const PLACES: [&str; 3] = ["usage", "message.usage", "response.usage"];

/// The usage that a JSON text tells.
pub(super) fn read(text: &[u8]) -> Option<u64> {
    // Most events have none, and looking for the word is cheaper than reading.
    if !text.windows(7).any(|part| part == b"\"usage\"") {
        return None;
    }
    PLACES.iter().find_map(|place| at(text, place))
}

fn at(text: &[u8], place: &str) -> Option<u64> {
    const NAMES: [&str; 7] = [
        "total_tokens",
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "promptTokens",
        "completionTokens",
    ];
    let names = NAMES.map(|name| format!("{place}.{name}"));
    let found = json::find_each(text, names.each_ref().map(String::as_str));
    let [total, pairs @ ..] = found.each_ref().map(number);
    total.or_else(|| {
        pairs.chunks_exact(2).find_map(|pair| match pair {
            [None, None] => None,
            pair => Some(pair.iter().flatten().fold(0, |sum: u64, tokens| sum.saturating_add(*tokens))),
        })
    })
}

/// A whole number that isn't negative; anything else is none.
pub(super) fn number(found: &Found) -> Option<u64> {
    match found {
        Found::One(text) => whole(text.as_bytes()),
        Found::Absent | Found::Twice => None,
    }
}

/// Digits alone, and no more than a count of tokens can have.
pub(super) fn whole(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok()?.trim();
    let is_plain = !digits.is_empty() && digits.len() <= 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}
