//! What operators set for single keys, shared by all gateways.
//!
//! One hash holds it, and a second key tells that it was changed: gateways ask for that whenever they
//! tell that they are there, and read the hash only then, page by page, because all steps share the
//! connection.

use std::time::Duration;

use palisade_core::overrides::{OVERRIDES_MAX, TooMany};
use palisade_core::{KeyHash, Override, OverrideChange, Overrides, Utc};
use tokio::time::timeout;

use super::Redis;
use super::link::Link;
use super::miss::Miss;
use super::resp::{Command, Reply};
use super::scripts::Request;
use crate::counters::OverrideError;
use crate::overrides::{from_text, parts, to_text};

/// The hash: from a key's hash in hex and the part, `:rate` or `:ban`, to when it ends, in seconds, and
/// what is set.
const SET: &[u8] = b"palisade:1:overrides";
/// Anything that differs after each change.
pub(super) const CHANGED: &[u8] = b"palisade:1:overrides:changed";

/// An operator can wait, and so can a gateway for each page.
const PATIENCE: Duration = Duration::from_secs(1);
/// Entries of a page, more or less.
const PAGE: u64 = 100;
/// Pages that are read: as many as there may be, and some that are read twice while the hash grows.
const PAGES_MAX: usize = 4 * PARTS_MAX as usize / PAGE as usize;
/// A rate and a ban for each key.
const PARTS_MAX: u64 = 2 * OVERRIDES_MAX as u64;

const SECOND_NS: u64 = 1_000_000_000;

impl Redis {
    /// Changes what is set for a key. Rate and ban are kept apart, so that gateways which change the same
    /// key at the same time change no more than they name.
    pub(in crate::counters) async fn keep_override(
        &self,
        key: KeyHash,
        change: &OverrideChange,
    ) -> Result<(), OverrideError> {
        let ready = self.ready()?;
        let mut request = Request { keys: vec![SET.into(), CHANGED.into()], ..Request::default() };
        request.arguments.number(PARTS_MAX);
        request.arguments.push(format!("{:032x}", fastrand::u128(..)).as_bytes());
        for (part, set) in parts(change) {
            request.arguments.push(format!("{:032x}:{part}", key.0).as_bytes());
            let ends = set.as_ref().map_or(0, |set| set.end().as_nanos().div_ceil(SECOND_NS).max(1));
            request.arguments.number(ends);
            request.arguments.push(set.as_ref().map(to_text).unwrap_or_default().as_bytes());
        }
        let reply = timeout(PATIENCE, ready.1.overrides.run(&ready.0, &request)).await.unwrap_or(Err(Miss::Timeout))?;
        match reply {
            Reply::Number(1) => Ok(()),
            Reply::Number(_) => Err(TooMany.into()),
            Reply::Text(_) | Reply::Error(_) | Reply::Nil | Reply::List(_) => Err(Miss::of(&reply).into()),
        }
    }

    /// Takes over what is set. What has ended, or is none, is left out.
    pub(super) async fn learn_overrides(&self, link: &Link, now: Utc) -> Result<(), Miss> {
        let mut overrides = Overrides::default();
        let mut cursor: Box<[u8]> = b"0".as_slice().into();
        'pages: for _ in 0..PAGES_MAX {
            let mut page = Command::new("HSCAN").word(SET).word(&cursor).word(b"COUNT");
            page.number(PAGE);
            let reply = timeout(PATIENCE, link.call(page)).await.unwrap_or(Err(Miss::Timeout))?;
            let Reply::List(parts) = &reply else { return Err(Miss::of(&reply)) };
            let [Reply::Text(next), Reply::List(list)] = &**parts else { return Err(Miss::Garbled) };
            for (key, set) in list.chunks_exact(2).filter_map(entry).filter(|(_, set)| set.end() > now) {
                let Override { limit, key: name, rate, ban } = set;
                let change = OverrideChange { limit, key: name, rate: rate.map(Some), ban: ban.map(Some) };
                // More than there may be were written by somebody else: those that came first count.
                if overrides.change(key, &change, now).is_err() {
                    break 'pages;
                }
            }
            cursor.clone_from(next);
            if *cursor == *b"0" {
                break;
            }
        }
        self.table.overrides().change(|current| *current = overrides);
        Ok(())
    }
}

fn entry(pair: &[Reply]) -> Option<(KeyHash, Override)> {
    let [Reply::Text(field), Reply::Text(value)] = pair else { return None };
    let (hash, _part) = std::str::from_utf8(field).ok()?.split_once(':')?;
    let key = u128::from_str_radix(hash, 16).ok()?;
    let (_, text) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    Some((KeyHash(key), from_text(text)?))
}
