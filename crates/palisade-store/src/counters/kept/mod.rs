//! Counters of limits that survive a restart: a file beside the table in memory.
//!
//! Every few seconds a round writes what changed ([`Table::changes`]) in one transaction, so that the
//! file is always the table as it once was. A process that is killed loses what was counted since the
//! last round.
//!
//! Keys are hashes under a random seed, which therefore lives in the same file. Instants are UTC in the
//! file. Where the wall clock was set, the whole file is moved with it, since what melts in a process
//! does not look at that clock. Whether it was set back while nobody was running can be told, and then
//! no time has passed; whether it was set forward can't, and then it has.
//!
//! Counters that reached their end are deleted with the next rounds. The file holds a million of them at
//! most: some 60 MB. Beyond that those nearest to their end go.

mod overrides;

use std::path::Path;

use palisade_core::charge::{Cell, Shift, Standing};
use palisade_core::{KeyHash, Now, Utc};
use rusqlite::{Connection, Error, OptionalExtension as _, Transaction, params};

use super::memory::{CELLS_A_ROUND, Changes, Table, Waiting};
use crate::embedded::{APPLICATION, Embedded, EmbeddedError, Schema};

/// The file of counters.
#[derive(Debug)]
pub struct Kept {
    file: Embedded,
    seed: [u8; 16],
    /// The wall clock when the process's own began, as the file's instants have it.
    offset_ns: u64,
    waiting: Waiting,
    bounds: Bounds,
    /// How many counters the last round found.
    cells: Option<u64>,
}

/// How much is written.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Counters in one round.
    round: usize,
    /// Counters in the file.
    file: u64,
}

/// What was put back at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Counters.
    pub cells: u64,
    /// Keys that are banned, were, or were refused of late.
    pub standings: u64,
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Counters that were written.
    pub written: u64,
    /// Counters that have to wait for a later round.
    pub left_out: u64,
    /// Counters in the file.
    pub cells: u64,
}

const BOUNDS: Bounds = Bounds { round: CELLS_A_ROUND, file: 1_000_000 };

/// Counters that reached their end and are deleted in one round.
const DELETED_A_ROUND: usize = 100_000;

/// What the clocks may differ by before the file is moved: reading both takes a moment.
const STEP_NS: u64 = 100_000_000;

const SECOND_NS: u64 = 1_000_000_000;

/// `cell.word` is a counter as it is in memory, but on the wall clock; `ends` are seconds.
const SCHEMA: Schema = Schema {
    application_id: APPLICATION | 1,
    migrations: &["
        CREATE TABLE process (one INTEGER PRIMARY KEY CHECK (one = 1), seed BLOB NOT NULL, clock INTEGER NOT NULL) STRICT;
        CREATE TABLE cell (tag INTEGER PRIMARY KEY, word INTEGER NOT NULL, ends INTEGER NOT NULL) STRICT;
        CREATE INDEX cell_ends ON cell (ends);
        CREATE TABLE standing (
            stripe INTEGER NOT NULL, key BLOB NOT NULL, standing BLOB NOT NULL, ends INTEGER NOT NULL,
            PRIMARY KEY (stripe, key)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE override (key BLOB PRIMARY KEY, text TEXT NOT NULL, ends INTEGER NOT NULL)
            STRICT, WITHOUT ROWID;
    "],
};

/// The counters with most left, the longest last: where a bucket of a smaller table is full, the one
/// nearest to its end gives way.
const LONGEST: &str =
    "SELECT tag, word FROM (SELECT tag, word, ends FROM cell ORDER BY ends DESC LIMIT ?) ORDER BY ends";

impl Kept {
    /// Opens the file, or makes it with this seed.
    ///
    /// # Errors
    ///
    /// Why it can't be used.
    pub fn open(path: &Path, seed: [u8; 16], now: Now) -> Result<Self, EmbeddedError> {
        let mut file = Embedded::open(path, &SCHEMA)?;
        let utc = i64::try_from(now.utc.as_nanos()).unwrap_or(i64::MAX);
        let seed = file.write(|transaction| {
            let known =
                transaction.query_row("SELECT seed, clock FROM process", [], |row| Ok((row.get(0)?, row.get(1)?)));
            match known.optional()? {
                Some((seed, clock)) => {
                    if utc < clock {
                        move_all(transaction, Shift::of_wall(clock as u64, now.utc.as_nanos()))?;
                        transaction.execute("UPDATE process SET clock = ?", [utc])?;
                    }
                    Ok(seed)
                }
                None => {
                    transaction.execute("INSERT INTO process VALUES (1, ?, ?)", params![seed, utc])?;
                    Ok(seed)
                }
            }
        })?;
        let offset_ns = now.utc.as_nanos().saturating_sub(now.monotonic.as_nanos());
        Ok(Self { file, seed, offset_ns, waiting: Waiting::default(), bounds: BOUNDS, cells: None })
    }

    /// What keys are hashed with.
    pub const fn seed(&self) -> [u8; 16] {
        self.seed
    }

    /// Puts everything back that is not over. To be called before the first request.
    ///
    /// # Errors
    ///
    /// Why it can't be read. What was read until then is in the table.
    pub fn load(&self, table: &Table, now: Now) -> Result<Loaded, EmbeddedError> {
        let overrides = self.overrides(now.utc)?;
        table.overrides().change(|current| *current = overrides);
        let shift = Shift::from_wall(self.on_file_clock(now));
        let most = i64::try_from(table.fill().cells).unwrap_or(i64::MAX);
        self.file.read(|connection| {
            let mut loaded = Loaded::default();
            let mut cells = connection.prepare(LONGEST)?;
            let mut rows = cells.query([most])?;
            while let Some(row) = rows.next()? {
                let (tag, word): (i64, i64) = (row.get(0)?, row.get(1)?);
                table.put_back(tag as u64, Cell::from_word(word as u64).shifted(shift), now);
                loaded.cells += 1;
            }
            let mut standings = connection.prepare("SELECT key, standing FROM standing ORDER BY ends DESC")?;
            let mut rows = standings.query([])?;
            while let Some(row) = rows.next()? {
                let standing = standing(row.get_ref(1)?.as_blob()?)?;
                table.stand_back(KeyHash(u128::from_be_bytes(row.get(0)?)), standing.shifted(shift), now);
                loaded.standings += 1;
            }
            Ok(loaded)
        })
    }

    /// Writes what has changed since the last round.
    ///
    /// # Errors
    ///
    /// Why nothing was written. The next round tries it again.
    pub fn round(&mut self, table: &Table, now: Now) -> Result<Round, EmbeddedError> {
        let offset_ns = self.offset_ns;
        let moved = self.follow_clock(now);
        let on_file = self.on_file_clock(now);
        let changes = table.changes(&mut self.waiting, self.bounds.round, now);
        if let Some(cells) = self.cells
            && moved.is_none()
            && changes.is_empty()
            && !self.file.read(|connection| has_ended(connection, on_file.utc))?
        {
            // Nobody asks for anything: the disk may sleep.
            return Ok(Round { cells, ..Round::default() });
        }
        let most = self.bounds.file;
        let written = self.file.write(|transaction| {
            if let Some(shift) = moved {
                move_all(transaction, shift)?;
            }
            write(transaction, &changes, on_file)?;
            delete_ended(transaction, on_file.utc)?;
            let cells = cut(transaction, most)?;
            transaction.execute("UPDATE process SET clock = ?", [on_file.utc.as_nanos() as i64])?;
            Ok(cells)
        });
        match written {
            Ok(cells) => {
                self.cells = Some(cells);
                Ok(Round { written: changes.cells.len() as u64, left_out: changes.left_out, cells })
            }
            Err(error) => {
                table.give_back(changes, &mut self.waiting);
                self.offset_ns = offset_ns;
                Err(error)
            }
        }
    }

    /// How far the wall clock was set since the last round, if it was.
    fn follow_clock(&mut self, now: Now) -> Option<Shift> {
        let offset_ns = now.utc.as_nanos().saturating_sub(now.monotonic.as_nanos());
        let before = self.offset_ns;
        (offset_ns.abs_diff(before) > STEP_NS).then(|| {
            self.offset_ns = offset_ns;
            Shift::of_wall(before, offset_ns)
        })
    }

    /// This instant as the file's clock has it, which is steady between steps: so a counter that did not
    /// change is the same number in every round.
    fn on_file_clock(&self, now: Now) -> Now {
        Now { utc: Utc::from_nanos(now.monotonic.as_nanos().saturating_add(self.offset_ns)), ..now }
    }
}

/// Moves every instant of the process's clock in the file.
fn move_all(transaction: &Transaction<'_>, shift: Shift) -> Result<(), Error> {
    // Quotas are negative, their ends are the calendar's.
    let by = shift.by();
    transaction.execute(
        "UPDATE cell SET word = max(word + ?1, 0), ends = max(word + ?1, 0) / ?2 + 1 WHERE word >= 0",
        params![by, SECOND_NS as i64],
    )?;
    let mut all = transaction.prepare("SELECT stripe, key, standing FROM standing")?;
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)))?;
    let rows: Vec<(i64, [u8; 16], Vec<u8>)> = rows.collect::<Result<_, _>>()?;
    let mut update = transaction.prepare("UPDATE standing SET standing = ?, ends = ? WHERE stripe = ? AND key = ?")?;
    for (stripe, key, bytes) in rows {
        let moved = standing(&bytes)?.shifted(shift);
        update.execute(params![moved.to_bytes(), ends(moved.forgotten()), stripe, key])?;
    }
    Ok(())
}

fn write(transaction: &Transaction<'_>, changes: &Changes, now: Now) -> Result<(), Error> {
    let shift = Shift::to_wall(now);
    let mut forget = transaction.prepare("DELETE FROM cell WHERE tag = ?")?;
    for tag in &changes.cleared {
        forget.execute([*tag as i64])?;
    }
    let mut put = transaction.prepare(
        "INSERT INTO cell VALUES (?, ?, ?) ON CONFLICT (tag) DO UPDATE SET word = excluded.word, ends = excluded.ends \
         WHERE word <> excluded.word",
    )?;
    for (tag, cell) in &changes.cells {
        let end = now.utc.as_nanos().saturating_add(cell.left(now));
        put.execute(params![*tag as i64, cell.shifted(shift).word() as i64, ends(end)])?;
    }
    let mut forget = transaction.prepare("DELETE FROM standing WHERE stripe = ?")?;
    let mut put = transaction.prepare("INSERT INTO standing VALUES (?, ?, ?, ?)")?;
    for (stripe, standings) in &changes.standings {
        let stripe = *stripe as i64;
        forget.execute([stripe])?;
        for (key, standing) in standings {
            let written = standing.shifted(shift);
            put.execute(params![stripe, key.0.to_be_bytes(), written.to_bytes(), ends(written.forgotten())])?;
        }
    }
    Ok(())
}

fn has_ended(connection: &Connection, utc: Utc) -> Result<bool, Error> {
    let any = "SELECT EXISTS (SELECT 1 FROM cell WHERE ends <= ?1) OR EXISTS (SELECT 1 FROM standing WHERE ends <= ?1)";
    connection.query_row(any, [(utc.as_nanos() / SECOND_NS) as i64], |row| row.get(0))
}

fn delete_ended(transaction: &Transaction<'_>, utc: Utc) -> Result<(), Error> {
    let now_s = (utc.as_nanos() / SECOND_NS) as i64;
    transaction.execute(
        "DELETE FROM cell WHERE tag IN (SELECT tag FROM cell WHERE ends <= ? ORDER BY ends LIMIT ?)",
        params![now_s, DELETED_A_ROUND as i64],
    )?;
    transaction.execute("DELETE FROM standing WHERE ends <= ?", [now_s]).map(drop)
}

/// Gives up what is nearest to its end if there is too much. Gives how much there is.
fn cut(transaction: &Transaction<'_>, most: u64) -> Result<u64, Error> {
    let cells: i64 = transaction.query_row("SELECT count(*) FROM cell", [], |row| row.get(0))?;
    let over = cells.saturating_sub(i64::try_from(most).unwrap_or(i64::MAX));
    if over > 0 {
        let nearest = "DELETE FROM cell WHERE tag IN (SELECT tag FROM cell ORDER BY ends LIMIT ?)";
        transaction.execute(nearest, [over])?;
    }
    Ok((cells - over.max(0)) as u64)
}

/// The second after this instant.
fn ends(nanos: u64) -> i64 {
    (nanos / SECOND_NS) as i64 + 1
}

fn standing(bytes: &[u8]) -> Result<Standing, Error> {
    // As SQLite says it of a column whose type it knows.
    Standing::from_bytes(bytes).ok_or(Error::InvalidColumnType(1, "standing".to_owned(), rusqlite::types::Type::Blob))
}

#[cfg(test)]
mod tests;
