//! Values of limits that are written as text.

use palisade_core::config::{Fault, Shape, Text, nearest};

use super::super::{Key, KeyError};

/// Length of an address prefix, as a key of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrefixBits<const MAX: u8>(u8);

impl<const MAX: u8> PrefixBits<MAX> {
    /// The number of bits.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl<const MAX: u8> Text for PrefixBits<MAX> {
    fn parse(text: &str) -> Result<Self, Fault> {
        let bits = text.strip_prefix('/').unwrap_or(text).parse().ok();
        let range = || Fault::out_of_range(format!("is no prefix length from 8 to {MAX}"));
        bits.filter(|bits| (8..=MAX).contains(bits)).map(Self).ok_or_else(range)
    }

    fn shape() -> Shape {
        Shape::Text { syntax: format!("bits, 8 to {MAX}"), examples: &[] }
    }
}

const PARTS: &str =
    "ip, user, api_key, route, header.<name>, claim.<path>, body.<field>, global; several with + between them";

impl Text for Key {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::parse(text).map_err(|error| {
            let fault = Fault::invalid(error.to_string());
            let KeyError::Part(part) = error else { return fault };
            let known = ["ip", "user", "api_key", "route", "global", "header.", "claim.", "body."];
            match nearest(&part, known) {
                Some(meant) => fault.label(format!("did you mean `{meant}`?")),
                None => fault.label(PARTS),
            }
        })
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "key".to_owned(), examples: &["ip", "user", "user + route", "header.x-tenant"] }
    }
}
