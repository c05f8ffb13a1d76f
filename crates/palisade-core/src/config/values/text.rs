//! Values that other types know how to read.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;

use super::super::decode::{Fault, Text};
use super::super::shape::Shape;
use crate::client::AddressHeader;
use crate::path::EncodedSlash;
use crate::{Mode, Network, Pattern, Target};

impl Text for String {
    fn parse(text: &str) -> Result<Self, Fault> {
        // Text ends up in header values, labels and lines of logs.
        if text.chars().any(char::is_control) {
            return Err(Fault::invalid("must not contain control characters"));
        }
        Ok(text.to_owned())
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "text".to_owned(), examples: &[] }
    }
}

/// What is said of a port that no address can have.
pub const PORTS: &str = "must have a port between 1 and 65535";

/// Whether the text ends in a port that is too large.
pub fn has_impossible_port(text: &str) -> bool {
    let port = text.rsplit_once(':').map_or("", |(_, port)| port);
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_err()
}

impl Text for SocketAddr {
    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|_| {
            if has_impossible_port(text) {
                return Fault::out_of_range(PORTS);
            }
            let fault = Fault::invalid("is not an address with a port");
            if let Ok(address) = text.parse::<IpAddr>() {
                return fault.label(format!("write \"{}\", say", SocketAddr::new(address, 8080)));
            }
            match text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')) {
                Some(port) => fault.label(format!("write \"127.0.0.1:{port}\" or \"0.0.0.0:{port}\"")),
                None => fault.label("for example \"127.0.0.1:8080\" or \"[::]:8080\""),
            }
        })
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "address with port".to_owned(), examples: &["127.0.0.1:8080", "[::]:8080"] }
    }
}

impl Text for HeaderName {
    fn parse(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|_| Fault::invalid("is not a header name"))
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "header name".to_owned(), examples: &["x-forwarded-for", "cf-connecting-ip"] }
    }
}

impl Text for AddressHeader {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::parse(text).map_err(|_| Fault::invalid("is not a header name"))
    }

    fn shape() -> Shape {
        <HeaderName as Text>::shape()
    }
}

impl Text for Network {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::parse(text).map_err(|error| Fault::invalid("is not a network").label(error.to_string()))
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "network".to_owned(), examples: &["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"] }
    }
}

impl Text for Pattern {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::parse(text).map_err(|error| Fault::invalid("is not a path pattern").label(error.to_string()))
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "pattern".to_owned(), examples: &["/api/chat", "/api/users/{id}", "/api/**"] }
    }
}

impl Text for Target {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::parse(text).map_err(|error| Fault::invalid("is not `[METHOD ]/path`").label(error.to_string()))
    }

    fn shape() -> Shape {
        Shape::Text {
            syntax: "methods and pattern".to_owned(),
            examples: &["/api/**", "POST /api/chat", "GET,POST /search"],
        }
    }
}

/// Reads one of a closed list of words: [`Text`] for an enum.
///
/// ```
/// #[derive(Clone, Copy)]
/// enum Slash { Keep, Refuse }
/// palisade_core::words! { Slash: "keep" = Slash::Keep, "refuse" = Slash::Refuse }
/// ```
#[macro_export]
macro_rules! words {
    ($type:ty: $($word:literal = $value:expr),+ $(,)?) => {
        impl $crate::config::Text for $type {
            fn parse(text: &str) -> Result<Self, $crate::config::Fault> {
                match text {
                    $( $word => Ok($value), )+
                    _ => Err($crate::config::Fault::unknown_word(text, &[ $($word),+ ])),
                }
            }

            fn shape() -> $crate::config::Shape {
                $crate::config::Shape::Words(vec![ $($word),+ ])
            }
        }
    };
}

impl Fault {
    /// The word is none of those that the key takes.
    pub fn unknown_word(written: &str, known: &[&str]) -> Self {
        let fault = Self::invalid(format!("must be one of {}", known.join(", ")));
        match super::super::suggest::nearest(written, known.iter().copied()) {
            Some(meant) => fault.label(format!("did you mean `{meant}`?")),
            None => fault,
        }
    }
}

words! { Mode: "enforce" = Mode::Enforce, "report" = Mode::Report, "off" = Mode::Off }

words! { EncodedSlash: "keep" = EncodedSlash::Keep, "refuse" = EncodedSlash::Refuse }
