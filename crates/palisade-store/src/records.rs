//! Records that policies of shape `Recall` load, kept in this process.
//!
//! Bounded twice: a record is at most [`RECORD_BYTES_MAX`] long, and all of them together take at
//! most the bytes that the store was made for. A full store gives up the record nearest to its end. Records end by the
//! calendar, since they are meant to outlive the process in other backends.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use palisade_core::{Found, Lookup, Now, Utc};

use crate::StoreError;

/// The longest record.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// What a record costs beside its own bytes: its key and end, both twice, and room to grow in.
const OVERHEAD_BYTES: usize = 256;

/// Where records live.
#[derive(Debug)]
pub struct Records {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

type Key = (&'static str, [u8; 32]);

/// The same records twice: by key, and in the order in which they end.
#[derive(Debug, Default)]
struct Kept {
    by_key: HashMap<Key, (Bytes, Utc)>,
    by_end: BTreeSet<(Utc, Key)>,
    bytes: usize,
}

impl Records {
    /// An empty store that takes at most `bytes_max` bytes of memory.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// The record, unless it has ended.
    pub async fn lookup(&self, lookup: &Lookup, now: Now) -> Found {
        match self.lock().by_key.get(&(lookup.collection, lookup.key)) {
            Some((record, ends)) if *ends > now.utc => Found::Record(record.clone()),
            Some(_) | None => Found::Absent,
        }
    }

    /// Keeps a record until `ends`, in place of the one under the same key.
    pub async fn insert(&self, at: &Lookup, record: Bytes, ends: Utc, now: Now) -> Result<(), StoreError> {
        if record.len() > RECORD_BYTES_MAX {
            let (collection, length) = (at.collection, record.len());
            return Err(StoreError::RecordTooLong { collection, length, max: RECORD_BYTES_MAX });
        }
        let key = (at.collection, at.key);
        let mut kept = self.lock();
        kept.remove(key);
        kept.insert(key, record, ends);
        while let Some(&(end, first)) = kept.by_end.first()
            && (end <= now.utc || kept.bytes > self.bytes_max)
        {
            kept.remove(first);
        }
        Ok(())
    }

    /// Forgets a record.
    pub async fn remove(&self, at: &Lookup) {
        self.lock().remove((at.collection, at.key));
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, key: Key) {
        if let Some((record, ends)) = self.by_key.remove(&key) {
            self.bytes -= cost(&record);
            self.by_end.remove(&(ends, key));
        }
    }

    /// The key is free.
    fn insert(&mut self, key: Key, record: Bytes, ends: Utc) {
        self.bytes += cost(&record);
        self.by_key.insert(key, (record, ends));
        self.by_end.insert((ends, key));
    }
}

fn cost(record: &Bytes) -> usize {
    record.len() + OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use palisade_core::Monotonic;

    use super::*;
    use crate::testing::ready;

    fn key(first: u8) -> Lookup {
        Lookup { collection: "sessions", key: [first; 32] }
    }

    fn at(utc: u64) -> Now {
        Now { monotonic: Monotonic::default(), utc: Utc::from_nanos(utc) }
    }

    fn insert(records: &Records, first: u8, ends: u64, now: u64) {
        ready(records.insert(&key(first), Bytes::from(vec![first]), Utc::from_nanos(ends), at(now))).unwrap();
    }

    fn found(records: &Records, first: u8, now: u64) -> bool {
        match ready(records.lookup(&key(first), at(now))) {
            Found::Record(record) => record[..] == [first],
            Found::Absent | Found::Unavailable => false,
        }
    }

    #[test]
    fn a_record_is_found_until_it_ends() {
        let records = Records::new(1 << 20);
        insert(&records, 1, 100, 0);
        assert!(found(&records, 1, 99));
        assert!(!found(&records, 1, 100));
        assert!(!found(&records, 2, 0));
        let elsewhere = Lookup { collection: "keys", ..key(1) };
        assert_eq!(ready(records.lookup(&elsewhere, at(0))), Found::Absent);
        insert(&records, 1, 200, 0);
        assert!(found(&records, 1, 199), "the later end counts");
        ready(records.remove(&key(1)));
        assert!(!found(&records, 1, 0));
    }

    #[test]
    fn a_full_store_gives_up_ended_records_then_the_nearest_to_its_end() {
        let records = Records::new(2 * (1 + OVERHEAD_BYTES));
        insert(&records, 1, 100, 0);
        insert(&records, 2, 50, 0);
        insert(&records, 3, 80, 0);
        assert_eq!([1, 2, 3].map(|key| found(&records, key, 0)), [true, false, true]);
        insert(&records, 4, 300, 90);
        assert_eq!([1, 3, 4].map(|key| found(&records, key, 0)), [true, false, true]);
    }

    #[test]
    fn a_long_record_takes_the_place_of_many_and_gives_it_back() {
        let records = Records::new(10 * (1 + OVERHEAD_BYTES));
        for first in 0..10 {
            insert(&records, first, 100 + u64::from(first), 0);
        }
        let long = Bytes::from(vec![0; 4 * (1 + OVERHEAD_BYTES) - OVERHEAD_BYTES]);
        ready(records.insert(&key(99), long, Utc::from_nanos(500), at(0))).unwrap();
        assert_eq!((0..10).filter(|first| found(&records, *first, 0)).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9]);
        ready(records.remove(&key(99)));
        for first in 10..14 {
            insert(&records, first, 200, 0);
        }
        assert_eq!((0..14).filter(|first| found(&records, *first, 0)).count(), 10);
    }

    #[test]
    fn a_record_that_is_too_long_is_not_kept() {
        let records = Records::new(1 << 20);
        let long = |length| Bytes::from(vec![0; length]);
        let insert = |record| ready(records.insert(&key(1), record, Utc::from_nanos(9), at(0)));
        assert_eq!(insert(long(RECORD_BYTES_MAX)), Ok(()));
        let refused = insert(long(RECORD_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(refused.to_string(), "keeping a record of 65537 bytes in `sessions`, which takes at most 65536");
    }
}
