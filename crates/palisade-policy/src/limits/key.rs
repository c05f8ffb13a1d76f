//! Whose requests a limit counts together.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderName;
use palisade_core::{ClientIp, KeyHash, View};

use super::hash::Hash;

/// What a limit's counters are kept by: one counter for each combination of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Box<[Part]>);

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The client's address.
    Ip,
    /// Who sent the request; of anonymous ones the address.
    User,
    /// The API key that was shown.
    ApiKey,
    /// The route.
    Route,
    /// All values of a field.
    Header(HeaderName),
    /// What was verified about the user, by its path.
    Claim(Box<str>),
    /// A field of the body, by the name of its fact: `body.email`.
    Body(Arc<str>),
    /// Everybody together.
    Global,
}

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// One of its parts is none.
    #[error("has the unknown part `{0}`")]
    Part(Box<str>),
    /// A part stands twice.
    #[error("has the part `{0}` twice")]
    Twice(Box<str>),
}

/// What stands in for a part that a request doesn't have, beside its address.
const ABSENT: &[u8] = b"absent";

/// Whether a counter belongs to an address, so that wider prefixes of it are counted too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addressed {
    No,
    Yes,
}

impl Key {
    /// One counter for each of these.
    pub fn new(parts: impl Into<Box<[Part]>>) -> Self {
        Self(parts.into())
    }

    /// Reads `user + route`.
    ///
    /// # Errors
    ///
    /// Which part is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut parts = Vec::new();
        for written in text.split('+').map(str::trim) {
            let part = Part::parse(written).ok_or_else(|| KeyError::Part(written.into()))?;
            if parts.contains(&part) {
                return Err(KeyError::Twice(written.into()));
            }
            parts.push(part);
        }
        Ok(Self(parts.into()))
    }

    /// Its parts.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether more than the request's head is needed: who sent it, or its body.
    pub(super) fn is_late(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::User | Part::ApiKey | Part::Claim(_) | Part::Body(_)))
    }

    /// Whether a counter may belong to an address: what a request doesn't have is replaced by it.
    pub(super) fn may_be_addressed(&self) -> bool {
        self.0.iter().any(|part| *part == Part::Ip || part.may_be_absent())
    }

    /// The fields of the body that are in it.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter_map(|part| match part {
            Part::Body(name) => Some(name),
            Part::Ip | Part::User | Part::ApiKey | Part::Route | Part::Header(_) | Part::Claim(_) | Part::Global => {
                None
            }
        })
    }

    /// The counter of a request, were its address `client`: the client's own, or a wider prefix.
    pub(super) fn of(&self, mut hash: Hash, client: ClientIp, view: &View<'_>) -> (KeyHash, Addressed) {
        let mut addressed = Addressed::No;
        for part in &self.0 {
            let is_there = match part {
                Part::Ip => {
                    take_address(&mut hash, b"ip", client);
                    addressed = Addressed::Yes;
                    true
                }
                Part::User => take_text(&mut hash, b"user", view.identity.subject()),
                Part::ApiKey => take_text(&mut hash, b"api_key", view.identity.api_key()),
                Part::Claim(path) => {
                    hash.take(b"claim");
                    take_text(&mut hash, path.as_bytes(), view.identity.claim(path))
                }
                Part::Route => take_text(&mut hash, b"route", Some(&view.route.label)),
                Part::Header(name) => take_field(&mut hash, name, view),
                Part::Body(name) => match view.facts.find(name) {
                    Some(value) => {
                        hash.take(name.as_bytes());
                        hash.take(&value.to_le_bytes());
                        true
                    }
                    None => false,
                },
                Part::Global => take_text(&mut hash, b"global", Some("")),
            };
            if !is_there {
                take_absent(&mut hash, client);
                addressed = Addressed::Yes;
            }
        }
        (hash.finish(), addressed)
    }
}

/// What a request doesn't have is replaced by its address.
pub(super) fn take_absent(hash: &mut Hash, client: ClientIp) {
    take_address(hash, ABSENT, client);
}

pub(super) fn take_text(hash: &mut Hash, kind: &[u8], value: Option<&str>) -> bool {
    let Some(value) = value else { return false };
    hash.take(kind);
    hash.take(value.as_bytes());
    true
}

/// All values in their order: a client that sends a field twice gets one counter for the pair.
fn take_field(hash: &mut Hash, name: &HeaderName, view: &View<'_>) -> bool {
    let mut values = 0;
    view.head.each(name, &mut |_| values += 1);
    if values == 0 {
        return false;
    }
    hash.take(b"header");
    hash.take(name.as_str().as_bytes());
    hash.count(values);
    view.head.each(name, &mut |value| hash.take(value));
    true
}

pub(super) fn take_address(hash: &mut Hash, kind: &[u8], client: ClientIp) {
    hash.take(kind);
    match client.addr() {
        IpAddr::V4(address) => hash.take(&address.octets()),
        IpAddr::V6(address) => hash.take(&address.octets()),
    }
}

impl Part {
    /// Whether there are requests without it, whose address stands for it.
    pub(super) fn may_be_absent(&self) -> bool {
        match self {
            Self::Ip | Self::Route | Self::Global => false,
            Self::User | Self::ApiKey | Self::Header(_) | Self::Claim(_) | Self::Body(_) => true,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "ip" => Some(Self::Ip),
            "user" => Some(Self::User),
            "api_key" => Some(Self::ApiKey),
            "route" => Some(Self::Route),
            "global" => Some(Self::Global),
            _ => {
                if let Some(name) = text.strip_prefix("header.") {
                    return HeaderName::from_bytes(name.as_bytes()).ok().map(Self::Header);
                }
                let is_path = |path: &str| {
                    path.split('.').all(|name| !name.is_empty()) && path.bytes().all(|byte| byte.is_ascii_graphic())
                };
                if let Some(path) = text.strip_prefix("body.") {
                    return is_path(path).then(|| Self::Body(text.into()));
                }
                let path = text.strip_prefix("claim.")?;
                is_path(path).then(|| Self::Claim(path.into()))
            }
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { " + " })?;
            fmt::Display::fmt(part, f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip => f.write_str("ip"),
            Self::User => f.write_str("user"),
            Self::ApiKey => f.write_str("api_key"),
            Self::Route => f.write_str("route"),
            Self::Global => f.write_str("global"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Claim(path) => write!(f, "claim.{path}"),
            Self::Body(name) => f.write_str(name),
        }
    }
}
