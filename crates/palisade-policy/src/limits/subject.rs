//! Whose counter: a key as operators write it, `user:google:42+route:/api/chat`.
//!
//! Each part of the limit's key, in its order, with its value behind a colon. What a request doesn't
//! have is replaced by its address, so `ip:` may stand in the place of any such part. In values `%` and
//! `+` are escaped.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use palisade_core::escape::{escape, unescape};
use palisade_core::{ClientIp, KeyHash};

use super::body;
use super::hash::{Hash, Seed};
use super::key::{Key, Part, take_absent, take_address, take_text};

/// Why a text names no counter of a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no counter of a limit that is kept by `{key}`: write `{form}`")]
pub struct SubjectError {
    /// What was written.
    pub text: Box<str>,
    /// The limit's key.
    pub key: Box<str>,
    /// How its counters are named.
    pub form: Box<str>,
}

/// What counts of an address, with its bits; `None` if it is of another family.
pub(super) trait Prefix: Fn(ClientIp) -> Option<(ClientIp, u8)> {}
impl<F: Fn(ClientIp) -> Option<(ClientIp, u8)>> Prefix for F {}

/// A counter that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) hash: KeyHash,
    /// As it would be written.
    pub(super) text: Box<str>,
}

/// Finds the counter that a text names.
pub(super) fn read(
    key: &Key,
    mut hash: Hash,
    text: &str,
    seed: &Seed,
    prefix: impl Prefix,
) -> Result<Named, SubjectError> {
    let error = || SubjectError { text: text.into(), key: key.to_string().into(), form: form(key).into() };
    // The hash itself, for keys whose values nobody tells.
    if let Some(digits) = text.strip_prefix('#') {
        let digits =
            Some(digits).filter(|digits| digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()).ok_or_else(error)?;
        return Ok(Named { hash: KeyHash(number), text: format!("#{number:032x}").into() });
    }
    let mut written = text.split('+');
    let mut named = String::new();
    for part in key.parts() {
        let (kind, value) = written.next().map(|part| part.split_once(':').unwrap_or((part, ""))).ok_or_else(error)?;
        if !named.is_empty() {
            named.push('+');
        }
        let is_own = kind == part.to_string();
        if kind == "ip" && (is_own || part.may_be_absent()) {
            let address = read_address(value, &prefix).ok_or_else(error)?;
            match is_own {
                true => take_address(&mut hash, b"ip", address),
                false => take_absent(&mut hash, address),
            }
            // A string takes everything.
            let _ = write!(named, "ip:{}", address_text(address));
            continue;
        }
        if !is_own {
            return Err(error());
        }
        let value = unescape(value).and_then(|value| String::from_utf8(value).ok()).ok_or_else(error)?;
        let is_taken = match part {
            Part::Ip => false,
            Part::User => take_text(&mut hash, b"user", Some(&value)),
            Part::ApiKey => take_text(&mut hash, b"api_key", Some(&value)),
            Part::Route => take_text(&mut hash, b"route", Some(&value)),
            Part::Global => take_text(&mut hash, b"global", Some("")),
            Part::Claim(path) => {
                hash.take(b"claim");
                take_text(&mut hash, path.as_bytes(), Some(&value))
            }
            Part::Header(name) => {
                hash.take(b"header");
                hash.take(name.as_str().as_bytes());
                hash.count(1);
                hash.take(value.as_bytes());
                true
            }
            Part::Body(name) => take_fact(&mut hash, name, &value, seed),
        };
        let needs_value = *part != Part::Global;
        if !is_taken || value.is_empty() == needs_value {
            return Err(error());
        }
        named.push_str(kind);
        if needs_value {
            named.push(':');
            named.push_str(&escape(&value, b"+"));
        }
    }
    if written.next().is_some() {
        return Err(error());
    }
    Ok(Named { hash: hash.finish(), text: named.into() })
}

fn take_fact(hash: &mut Hash, name: &Arc<str>, value: &str, seed: &Seed) -> bool {
    let Some(fact) = body::fact(name, value, seed) else { return false };
    hash.take(name.as_bytes());
    hash.take(&fact.hash.to_le_bytes());
    true
}

/// `203.0.113.7`, `2001:db8::1`, or the prefix that counts: a wider one would be another counter.
fn read_address(text: &str, prefix: impl Prefix) -> Option<ClientIp> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let (address, own) = prefix(address.parse::<IpAddr>().ok()?.into())?;
    bits.is_none_or(|bits| bits.parse() == Ok(own)).then_some(address)
}

/// The address alone: what counts of it is the limit's business.
fn address_text(address: ClientIp) -> String {
    address.addr().to_string()
}

/// How counters of a key are named.
pub(super) fn form(key: &Key) -> String {
    let parts: Vec<_> = key
        .parts()
        .iter()
        .map(|part| match part {
            Part::Ip => "ip:203.0.113.7".to_owned(),
            Part::Global => "global".to_owned(),
            Part::User => "user:google:42".to_owned(),
            Part::Route => "route:/api/chat".to_owned(),
            Part::ApiKey | Part::Header(_) | Part::Claim(_) | Part::Body(_) => format!("{part}:value"),
        })
        .collect();
    let may_be_absent = key.parts().iter().any(Part::may_be_absent);
    let absent = if may_be_absent {
        "`, with `ip:…` in the place of what a request does not have, as in `ip:203.0.113.7"
    } else {
        ""
    };
    parts.join("+") + absent
}
