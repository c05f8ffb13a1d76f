//! The client's address, from trusted hops only.
//!
//! Rule:
//! 1. The peer is the socket's address. Unless it is trusted, it is the client, whatever any
//!    header says.
//! 2. Else one header is read, the configured one, from right to left: each hop appends what it
//!    saw, so an element is as trustworthy as the hop to its right. Trusted addresses are skipped;
//!    the first other one is the client. If all are trusted, it is the leftmost.
//! 3. An element that is not an address ends the walk: the client is the last good hop. Nothing
//!    to the left of it is ever read.
//!
//! Elements are cut from the right, so that what a client puts to the left of a hop's own element,
//! such as a quotation mark that is never closed, can't change how that element is read.
//!
//! Limits: 64 elements. Nothing is allocated.

mod element;
mod forwarded;

use arrayvec::ArrayVec;
use std::fmt;

use http::header::{FORWARDED, HeaderName, InvalidHeaderName};

use crate::{ClientIp, Head, Networks, Single};

use element::{address, trim};

/// How many elements are read, from the right.
pub const ELEMENTS_MAX: usize = 64;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Which peers may speak for their clients, and in which field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hops {
    /// Proxies whose word counts. By default nobody.
    pub trusted: Networks,
    /// The one field that is read.
    pub header: AddressHeader,
}

/// The field in which proxies tell the client's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`: addresses with commas between them.
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
    /// A field that holds exactly one address, such as `CF-Connecting-IP`.
    Single(HeaderName),
}

/// How the client reached the first proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Encrypted.
    Https,
}

impl AddressHeader {
    /// Reads a field name.
    ///
    /// # Errors
    ///
    /// If it is not one.
    pub fn parse(name: &str) -> Result<Self, InvalidHeaderName> {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        Ok(if name == X_FORWARDED_FOR {
            Self::XForwardedFor
        } else if name == FORWARDED {
            Self::Forwarded
        } else {
            Self::Single(name)
        })
    }
}

impl fmt::Display for AddressHeader {
    /// The field's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
            Self::Single(name) => name.as_str(),
        })
    }
}

impl Hops {
    /// Whether `peer` may speak for its clients.
    pub fn trusts(&self, peer: ClientIp) -> bool {
        self.trusted.contains(peer)
    }

    /// The client's address.
    pub fn client(&self, peer: ClientIp, head: &dyn Head) -> ClientIp {
        if !self.trusts(peer) {
            return peer;
        }
        match &self.header {
            AddressHeader::XForwardedFor => {
                let lines = lines(head, &X_FORWARDED_FOR);
                self.walk(peer, lines.iter().rev().flat_map(|line| line.rsplit(|&byte| byte == b',')).map(address))
            }
            AddressHeader::Forwarded => {
                let lines = lines(head, &FORWARDED);
                let elements = lines.iter().rev().flat_map(|line| forwarded::elements_from_right(line));
                self.walk(peer, elements.map(forwarded::address))
            }
            AddressHeader::Single(name) => match head.single(name) {
                Single::One(value) => address(value).unwrap_or(peer),
                Single::Absent | Single::Repeated => peer,
            },
        }
    }

    /// How the client reached the gateway, if a trusted peer says so: the rightmost `proto` of
    /// `Forwarded` where that is the configured field, else the rightmost `X-Forwarded-Proto`.
    pub fn scheme(&self, peer: ClientIp, head: &dyn Head) -> Option<Scheme> {
        if !self.trusts(peer) {
            return None;
        }
        let value = match self.header {
            AddressHeader::Forwarded => {
                let line = *lines(head, &FORWARDED).last()?;
                forwarded::proto(forwarded::elements_from_right(line).next()?)?
            }
            AddressHeader::XForwardedFor | AddressHeader::Single(_) => {
                let line = *lines(head, &X_FORWARDED_PROTO).last()?;
                trim(line.rsplit(|&byte| byte == b',').next()?)
            }
        };
        Scheme::parse(value)
    }

    fn walk(&self, peer: ClientIp, elements: impl Iterator<Item = Option<ClientIp>>) -> ClientIp {
        let mut client = peer;
        for element in elements.take(ELEMENTS_MAX) {
            match element {
                Some(hop) => client = hop,
                None => return client,
            }
            if !self.trusts(client) {
                return client;
            }
        }
        client
    }
}

impl Scheme {
    /// Some proxies name the scheme of a WebSocket instead.
    fn parse(value: &[u8]) -> Option<Self> {
        let is = |name: &str| value.eq_ignore_ascii_case(name.as_bytes());
        if is("https") || is("wss") {
            Some(Self::Https)
        } else if is("http") || is("ws") {
            Some(Self::Http)
        } else {
            None
        }
    }
}

/// The last lines of a field, in order. Each has at least one element, so no more are needed.
fn lines<'a>(head: &'a dyn Head, name: &HeaderName) -> ArrayVec<&'a [u8], ELEMENTS_MAX> {
    let mut lines = ArrayVec::new();
    head.each(name, &mut |line| {
        if lines.is_full() {
            lines.remove(0);
        }
        lines.push(line);
    });
    lines
}

#[cfg(test)]
mod tests;
