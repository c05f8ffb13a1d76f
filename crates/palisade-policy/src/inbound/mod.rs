//! Request headers that only a gateway or a framework may set.
//!
//! **Threat.** An application trusts some headers because "only the gateway sets them": who the
//! user is, where the request came from, that middleware has already run (CVE-2025-29927). Servers
//! fold `_` and `.` into `-`, so `X_Forwarded_User` passes a filter that compares spellings
//! (CVE-2025-64484).
//!
//! **Rule.** Asked at the edge about every field, trailers too, before any policy sees the request.
//! 1. A name's normal form is lower case with every byte that is no letter or digit turned to `-`.
//! 2. A name whose normal form is in the [`table`] is dropped.
//! 3. Any other name with bytes outside letters, digits and `-` is dropped, refused with 400
//!    `http.header_name`, or kept, as `[headers.inbound] odd_names` says.
//! 4. A name in `keep` passes in exactly that spelling, whatever 2 and 3 say. What would let a
//!    client pose as the gateway can't be kept.
//!
//! **Limits.** Values are not looked at. It needs no store.

pub mod config;
pub mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use http::HeaderName;

use table::{Group, TABLE};

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// It passes.
    Keep,
    /// It is taken out.
    Drop,
    /// The whole request is refused.
    Reject,
}

/// What becomes of names with bytes other than letters, digits and `-`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OddNames {
    /// They are taken out.
    #[default]
    Drop,
    /// Their request is refused.
    Reject,
    /// They pass.
    Keep,
}

/// What becomes of fields that ask for another method than the request line's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodOverride {
    /// They are taken out.
    #[default]
    Drop,
    /// They pass.
    Allow,
}

palisade_core::words! { OddNames: "drop" = OddNames::Drop, "reject" = OddNames::Reject, "keep" = OddNames::Keep }
palisade_core::words! { MethodOverride: "drop" = MethodOverride::Drop, "allow" = MethodOverride::Allow }

/// The filter.
#[derive(Clone)]
pub struct InboundFilter {
    odd_names: OddNames,
    keep: Box<[HeaderName]>,
    /// Names that don't begin `x-`, by the class of their first byte.
    plain: Index,
    /// Names that begin `x-`, by the class of their third: nearly all do, so the first tells
    /// nothing.
    extended: Index,
}

#[derive(Clone)]
struct Index(Box<[Vec<Pattern>; CLASSES]>);

/// A name in normal form, or the beginning of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern {
    Whole(&'static [u8]),
    Beginning(&'static [u8]),
}

/// 26 letters, and one class for all the rest.
const CLASSES: usize = 27;

/// Bytes that are neither letters nor digits nor `-`.
#[expect(clippy::indexing_slicing, reason = "the loop ends with the array")]
const ODD: [bool; 256] = {
    let mut odd = [true; 256];
    let mut byte = 0;
    while byte < odd.len() {
        odd[byte] = !((byte as u8).is_ascii_alphanumeric() || byte as u8 == b'-');
        byte += 1;
    }
    odd
};

impl InboundFilter {
    /// A filter that lets `keep` through.
    pub fn new(odd_names: OddNames, keep: Vec<HeaderName>, method_override: MethodOverride) -> Self {
        let (mut plain, mut extended) = (Index::empty(), Index::empty());
        for (group, names) in TABLE {
            if *group == Group::MethodOverride && method_override == MethodOverride::Allow {
                continue;
            }
            for pattern in names.iter().map(|name| Pattern::new(name)) {
                match pattern.text() {
                    [b'x', b'-', third, ..] => extended.add(*third, pattern),
                    [first, ..] => plain.add(*first, pattern),
                    [] => {}
                }
            }
        }
        Self { odd_names, keep: keep.into(), plain, extended }
    }

    /// What becomes of a field of this name. Allocates nothing.
    #[expect(clippy::indexing_slicing, reason = "a byte indexes an array of 256")]
    pub fn verdict(&self, bytes: &[u8]) -> Inbound {
        let patterns = match bytes {
            [b'x' | b'X', second, third, ..] if normal(*second) == b'-' => self.extended.find(*third),
            [first, ..] => self.plain.find(*first),
            [] => &[],
        };
        let listed = patterns.iter().any(|pattern| pattern.matches(bytes));
        // Every byte is looked at, which costs less than to stop.
        let odd = bytes.iter().fold(false, |odd, byte| odd | ODD[usize::from(*byte)]);
        let verdict = match self.odd_names {
            OddNames::Reject if odd => Inbound::Reject,
            OddNames::Drop if odd => Inbound::Drop,
            OddNames::Drop | OddNames::Reject | OddNames::Keep if listed => Inbound::Drop,
            OddNames::Drop | OddNames::Reject | OddNames::Keep => return Inbound::Keep,
        };
        if self.keep.iter().any(|kept| kept.as_str().as_bytes().eq_ignore_ascii_case(bytes)) {
            Inbound::Keep
        } else {
            verdict
        }
    }
}

impl fmt::Debug for InboundFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundFilter").field("odd_names", &self.odd_names).field("keep", &self.keep).finish()
    }
}

impl Index {
    fn empty() -> Self {
        Self(Box::new([const { Vec::new() }; CLASSES]))
    }

    fn add(&mut self, byte: u8, pattern: Pattern) {
        if let Some(patterns) = self.0.get_mut(class(byte)) {
            patterns.push(pattern);
        }
    }

    fn find(&self, byte: u8) -> &[Pattern] {
        self.0.get(class(byte)).map_or(&[], Vec::as_slice)
    }
}

impl Pattern {
    /// `x-invoke-*` is a beginning, `x-invoke` a whole name.
    const fn new(name: &'static str) -> Self {
        match name.as_bytes() {
            [beginning @ .., b'*'] => Self::Beginning(beginning),
            whole => Self::Whole(whole),
        }
    }

    const fn text(self) -> &'static [u8] {
        match self {
            Self::Whole(text) | Self::Beginning(text) => text,
        }
    }

    fn matches(self, name: &[u8]) -> bool {
        let (text, name) = match self {
            Self::Whole(text) if text.len() == name.len() => (text, name),
            Self::Whole(_) => return false,
            Self::Beginning(text) => match name.get(..text.len()) {
                Some(beginning) => (text, beginning),
                None => return false,
            },
        };
        text.iter().zip(name).all(|(text, byte)| *text == normal(*byte))
    }
}

/// A byte of a name's normal form.
const fn normal(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

const fn class(byte: u8) -> usize {
    match byte.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => (letter - b'a') as usize,
        _ => CLASSES - 1,
    }
}
