//! SQLite files in the state directory: what has to survive a restart where no server does it.
//!
//! A file belongs to one part of the gateway, says so in its head (`application_id`), and knows its
//! version (`user_version`): an older one is migrated at once, in one transaction, and one of another
//! program or of a later version is left alone. A file is written by one thread, so that nobody waits
//! for another's transaction; never by a worker.
//!
//! The journal is written ahead (WAL) and synced at every commit (`FULL`): what is acknowledged
//! survives `kill -9` and a loss of power. Whoever writes often gathers changes first.
//!
//! That no second process writes the file is not decided here: the state directory is locked.

mod error;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use error::EmbeddedError;

/// What a file holds.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Whose file it is: a number of [`APPLICATION`], and none of another file's.
    pub application_id: u32,
    /// What makes each version from the one before, the first from an empty file. Never changed,
    /// only added to.
    pub migrations: &'static [&'static str],
}

/// Where Palisade's numbers begin: `PAL` and a byte for each kind of file.
pub const APPLICATION: u32 = 0x5041_4c00;

/// An open file.
#[derive(Debug)]
pub struct Embedded {
    path: PathBuf,
    connection: Connection,
}

/// How long a commit waits for somebody who reads the file from outside: a backup, a person.
const BUSY: Duration = Duration::from_secs(2);

/// A journal that grew beyond this is cut when it is begun anew.
const JOURNAL_BYTES: u32 = 16 << 20;

impl Embedded {
    /// Opens the file, or makes it, and brings it to this version.
    ///
    /// # Errors
    ///
    /// Why the file can't be used, and what to do about it. It is as it was then.
    pub fn open(path: &Path, schema: &Schema) -> Result<Self, EmbeddedError> {
        let failed = |source| EmbeddedError::of(path, source);
        // SQLite would let others read it, and its journal as it. Why it can't be made, SQLite will say.
        drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path));
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        let found = Found::read(&connection).map_err(failed)?;
        let version = found.version(schema).map_err(|wrong| wrong.at(path))?;
        // From here on the file is ours to write.
        prepare(&connection).map_err(failed)?;
        migrate(&mut connection, schema, version).map_err(failed)?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and writes in one transaction, which is made whole or not at all.
    ///
    /// # Errors
    ///
    /// Why it was not made.
    pub fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<T, EmbeddedError> {
        let Self { path, connection } = self;
        let failed = |source| EmbeddedError::of(path, source);
        // Immediate: what reads first and writes then could else find the file changed between.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let done = work(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    /// Reads.
    ///
    /// # Errors
    ///
    /// Why it can't be read.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>) -> Result<T, EmbeddedError> {
        work(&self.connection).map_err(|source| EmbeddedError::of(&self.path, source))
    }
}

/// What a file says about itself.
struct Found {
    application_id: u32,
    version: i64,
    tables: i64,
}

/// Why a file is left alone.
enum Wrong {
    Foreign,
    Newer { found: i64, known: usize },
}

impl Found {
    fn read(connection: &Connection) -> Result<Self, rusqlite::Error> {
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        Ok(Self {
            application_id: number("application_id")? as u32,
            version: number("user_version")?,
            tables: connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
        })
    }

    /// How many of the migrations were made.
    fn version(&self, schema: &Schema) -> Result<usize, Wrong> {
        let is_empty = self.application_id == 0 && self.version == 0 && self.tables == 0;
        if !is_empty && self.application_id != schema.application_id {
            return Err(Wrong::Foreign);
        }
        let known = schema.migrations.len();
        usize::try_from(self.version)
            .ok()
            .filter(|version| *version <= known)
            .ok_or(Wrong::Newer { found: self.version, known })
    }
}

impl Wrong {
    fn at(self, path: &Path) -> EmbeddedError {
        let path = path.to_owned();
        match self {
            Self::Foreign => EmbeddedError::Foreign { path },
            Self::Newer { found, known } => EmbeddedError::Newer { path, found, known },
        }
    }
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    // Answers with the mode that it is in now. A file system that can't do this one keeps another,
    // which is as safe and slower.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", JOURNAL_BYTES, |_| Ok(()))?;
    // A file from elsewhere must not run what it brings along.
    connection.pragma_update(None, "trusted_schema", "OFF")
}

fn migrate(connection: &mut Connection, schema: &Schema, version: usize) -> Result<(), rusqlite::Error> {
    let missing = schema.migrations.get(version..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", schema.application_id)?;
    transaction.pragma_update(None, "user_version", schema.migrations.len() as i64)?;
    transaction.commit()
}

#[cfg(test)]
mod tests;
