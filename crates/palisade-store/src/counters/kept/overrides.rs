//! What operators set for single keys.
//!
//! Little, and written one by one: what was acknowledged is on the disk.

use palisade_core::overrides::OVERRIDES_MAX;
use palisade_core::{KeyHash, Override, Overrides, Utc};
use rusqlite::params;

use super::{Kept, SECOND_NS};
use crate::embedded::EmbeddedError;
use crate::overrides::{from_text, to_text};

impl Kept {
    /// Keeps what is set for a key, or with `None` nothing any more.
    ///
    /// # Errors
    ///
    /// Why it can't be written.
    pub fn keep_override(&mut self, key: KeyHash, set: Option<&Override>, now: Utc) -> Result<(), EmbeddedError> {
        let key = key.0.to_be_bytes();
        self.file.write(|transaction| {
            transaction.execute("DELETE FROM override WHERE ends <= ?", [seconds(now)])?;
            match set {
                Some(set) => {
                    let put = "INSERT OR REPLACE INTO override VALUES (?, ?, ?)";
                    // Rounded up: nothing is forgotten before its end.
                    transaction.execute(put, params![key, to_text(set), seconds(set.end()) + 1])?;
                }
                None => {
                    transaction.execute("DELETE FROM override WHERE key = ?", [key])?;
                }
            }
            Ok(())
        })
    }

    /// Keeps all of these and no others: what could not be written one by one.
    ///
    /// # Errors
    ///
    /// Why it can't be written.
    pub fn keep_overrides(&mut self, all: &Overrides) -> Result<(), EmbeddedError> {
        self.file.write(|transaction| {
            transaction.execute("DELETE FROM override", [])?;
            let mut put = transaction.prepare("INSERT INTO override VALUES (?, ?, ?)")?;
            for (key, set) in all.iter() {
                put.execute(params![key.0.to_be_bytes(), to_text(set), seconds(set.end()) + 1])?;
            }
            Ok(())
        })
    }

    /// All that has not ended.
    ///
    /// # Errors
    ///
    /// Why it can't be read.
    pub fn overrides(&self, now: Utc) -> Result<Overrides, EmbeddedError> {
        self.file.read(|connection| {
            let mut all = connection.prepare("SELECT key, text FROM override WHERE ends > ? LIMIT ?")?;
            let rows = all.query_map(params![seconds(now), OVERRIDES_MAX as i64], |row| {
                let (key, text): (_, String) = (row.get(0)?, row.get(1)?);
                Ok((KeyHash(u128::from_be_bytes(key)), text))
            })?;
            let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
            let read = |(key, text): (KeyHash, String)| Some((key, from_text(&text)?));
            Ok(rows.into_iter().filter_map(read).filter(|(_, set)| set.end() > now).collect())
        })
    }
}

fn seconds(utc: Utc) -> i64 {
    (utc.as_nanos() / SECOND_NS) as i64
}
