//! Rates that an operator gave to single keys.
//!
//! Few, and written one by one: what was acknowledged is on the disk.

use palisade_core::{KeyHash, Utc};
use rusqlite::{OptionalExtension as _, params};

use super::{Kept, SECOND_NS};
use crate::embedded::EmbeddedError;

/// At most so many are kept.
pub const OVERRIDES_MAX: usize = 10_000;

/// What counts for one key instead of what its limit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The limit's name.
    pub limit: String,
    /// Whose it is.
    pub key: KeyHash,
    /// What counts, as JSON. Whoever reads it knows what is in it.
    pub text: String,
    /// When it is over, to the second; `None`: never.
    pub ends: Option<Utc>,
}

/// Whether an override was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is, in place of one for the same key, if there was one.
    Kept,
    /// There are too many.
    Full,
}

impl Kept {
    /// Keeps an override.
    ///
    /// # Errors
    ///
    /// Why it can't be written.
    pub fn put_override(&mut self, given: &Override, now: Utc) -> Result<Put, EmbeddedError> {
        let Override { limit, key, text, ends } = given;
        let key = key.0.to_be_bytes();
        self.file.write(|transaction| {
            transaction.execute("DELETE FROM override WHERE ends <= ?", [seconds(now)])?;
            let known = "SELECT 1 FROM override WHERE limit_name = ? AND key = ?";
            let known = transaction.query_row(known, params![limit, key], |_| Ok(())).optional()?;
            let count: i64 = transaction.query_row("SELECT count(*) FROM override", [], |row| row.get(0))?;
            if known.is_none() && count >= OVERRIDES_MAX as i64 {
                return Ok(Put::Full);
            }
            let put = "INSERT OR REPLACE INTO override VALUES (?, ?, ?, ?)";
            transaction.execute(put, params![limit, key, text, ends.map(seconds)])?;
            Ok(Put::Kept)
        })
    }

    /// Forgets an override. Gives whether there was one.
    ///
    /// # Errors
    ///
    /// Why it can't be written.
    pub fn delete_override(&mut self, limit: &str, key: KeyHash) -> Result<bool, EmbeddedError> {
        let delete = "DELETE FROM override WHERE limit_name = ? AND key = ?";
        self.file.write(|transaction| {
            let deleted = transaction.execute(delete, params![limit, key.0.to_be_bytes()])?;
            Ok(deleted > 0)
        })
    }

    /// All overrides that are not over, in the order of limits and keys.
    ///
    /// # Errors
    ///
    /// Why they can't be read.
    pub fn overrides(&self, now: Utc) -> Result<Vec<Override>, EmbeddedError> {
        let all = "SELECT limit_name, key, text, ends FROM override WHERE ends IS NULL OR ends > ? LIMIT ?";
        self.file.read(|connection| {
            let mut all = connection.prepare(all)?;
            let rows = all.query_map(params![seconds(now), OVERRIDES_MAX as i64], |row| {
                let ends: Option<i64> = row.get(3)?;
                Ok(Override {
                    limit: row.get(0)?,
                    key: KeyHash(u128::from_be_bytes(row.get(1)?)),
                    text: row.get(2)?,
                    ends: ends.map(|ends| Utc::from_nanos((ends as u64).saturating_mul(SECOND_NS))),
                })
            })?;
            rows.collect()
        })
    }
}

fn seconds(utc: Utc) -> i64 {
    (utc.as_nanos() / SECOND_NS) as i64
}
