//! What operators set for single keys, shared by all gateways.
//!
//! One hash holds it, and a second key tells that it was changed: gateways ask for that whenever they
//! tell that they are there, and read the hash only then.

use std::time::Duration;

use palisade_core::{KeyHash, Override, Overrides, Utc};
use tokio::time::timeout;

use super::Redis;
use super::link::Link;
use super::miss::Miss;
use super::resp::{Command, Reply};
use crate::overrides::{from_text, to_text};

/// The hash: from a key's hash in hex to what is set for it.
const SET: &[u8] = b"palisade:1:overrides";
/// Anything that differs after each change.
pub(super) const CHANGED: &[u8] = b"palisade:1:overrides:changed";

/// An operator can wait, and so can a gateway that reads all of them.
const PATIENCE: Duration = Duration::from_secs(1);

impl Redis {
    /// Keeps what is set for a key, or with `None` nothing any more.
    pub(in crate::counters) async fn keep_override(&self, key: KeyHash, set: Option<&Override>) -> Result<(), Miss> {
        let ready = self.ready()?;
        let field = format!("{:032x}", key.0);
        let change = match set {
            Some(set) => Command::new("HSET").word(SET).word(field.as_bytes()).word(to_text(set).as_bytes()),
            None => Command::new("HDEL").word(SET).word(field.as_bytes()),
        };
        let told = Command::new("SET").word(CHANGED).word(format!("{:032x}", fastrand::u128(..)).as_bytes());
        let both = async {
            done(ready.0.call(change).await?)?;
            done(ready.0.call(told).await?)
        };
        timeout(PATIENCE, both).await.unwrap_or(Err(Miss::Timeout))
    }

    /// Takes over what is set. What has ended is thrown away.
    pub(super) async fn learn_overrides(&self, link: &Link, now: Utc) -> Result<(), Miss> {
        let all = Command::new("HGETALL").word(SET);
        let reply = timeout(PATIENCE, link.call(all)).await.unwrap_or(Err(Miss::Timeout))?;
        let Reply::List(list) = reply else { return Err(Miss::of(&reply)) };
        let mut overrides = Overrides::default();
        for pair in list.chunks_exact(2) {
            let [Reply::Text(field), Reply::Text(text)] = pair else { return Err(Miss::Garbled) };
            let key = std::str::from_utf8(field).ok().and_then(|field| u128::from_str_radix(field, 16).ok());
            let set = std::str::from_utf8(text).ok().and_then(from_text);
            match key.zip(set) {
                Some((key, set)) if set.end() > now => {
                    // More than there may be: somebody else wrote them.
                    let _ = overrides.set(KeyHash(key), Some(set), now);
                }
                // Nobody waits for it: whoever reads them next finds it again.
                _ => link.post(Command::new("HDEL").word(SET).word(field))?,
            }
        }
        self.table.overrides().replace(overrides);
        Ok(())
    }
}

fn done(reply: Reply) -> Result<(), Miss> {
    match reply {
        Reply::Number(_) | Reply::Text(_) => Ok(()),
        Reply::Error(_) | Reply::Nil | Reply::List(_) => Err(Miss::of(&reply)),
    }
}
