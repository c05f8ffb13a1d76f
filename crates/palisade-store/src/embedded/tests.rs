use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const SCHEMA: Schema =
    Schema { application_id: APPLICATION | 0xfe, migrations: &["CREATE TABLE a (n INTEGER NOT NULL) STRICT"] };

const NEXT: Schema = Schema {
    migrations: &[
        "CREATE TABLE a (n INTEGER NOT NULL) STRICT",
        "ALTER TABLE a ADD COLUMN m INTEGER NOT NULL DEFAULT 7",
    ],
    ..SCHEMA
};

fn said(path: &Path, schema: &Schema) -> String {
    Embedded::open(path, schema).map(|_| ()).unwrap_err().to_string()
}

fn numbers(file: &Embedded, column: &str) -> Vec<i64> {
    let all = |connection: &Connection| {
        let mut rows = connection.prepare(&format!("SELECT {column} FROM a"))?;
        rows.query_map([], |row| row.get(0))?.collect()
    };
    file.read(all).unwrap()
}

fn put(file: &mut Embedded, number: i64) {
    file.write(|transaction| transaction.execute("INSERT INTO a (n) VALUES (?)", [number])).unwrap();
}

#[test]
fn what_was_written_is_there_in_the_next_version_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut file = Embedded::open(&path, &SCHEMA).unwrap();
    put(&mut file, 3);
    drop(file);
    assert_eq!(numbers(&Embedded::open(&path, &SCHEMA).unwrap(), "n"), [3]);
    let mut file = Embedded::open(&path, &NEXT).unwrap();
    assert_eq!(numbers(&file, "m"), [7]);
    put(&mut file, 4);
    drop(file);
    assert_eq!(numbers(&Embedded::open(&path, &NEXT).unwrap(), "n"), [3, 4]);
}

#[test]
fn a_new_file_is_its_user_s_alone_with_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut file = Embedded::open(&path, &SCHEMA).unwrap();
    put(&mut file, 3);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort_unstable();
    assert_eq!(names, ["a.db", "a.db-shm", "a.db-wal"]);
}

#[test]
fn a_transaction_is_made_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut file = Embedded::open(&path, &SCHEMA).unwrap();
    let half = file.write(|transaction| {
        transaction.execute("INSERT INTO a (n) VALUES (1)", [])?;
        transaction.execute("INSERT INTO a (n) VALUES ('text')", [])
    });
    assert!(matches!(half, Err(EmbeddedError::Damaged { .. })), "{half:?}");
    put(&mut file, 2);
    assert_eq!(numbers(&file, "n"), [2]);
}

#[test]
fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    put(&mut Embedded::open(&path, &SCHEMA).unwrap(), 3);
    const BROKEN: Schema = Schema {
        migrations: &["CREATE TABLE a (n INTEGER NOT NULL) STRICT", "DELETE FROM a; SELECT nothing FROM nowhere"],
        ..SCHEMA
    };
    assert!(Embedded::open(&path, &BROKEN).is_err());
    assert_eq!(numbers(&Embedded::open(&path, &SCHEMA).unwrap(), "n"), [3]);
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let other = Schema { application_id: APPLICATION | 0xfd, ..SCHEMA };
    drop(Embedded::open(&at("other.db"), &other).unwrap());
    Connection::open(at("foreign.db")).unwrap().execute_batch("CREATE TABLE theirs (n)").unwrap();
    drop(Embedded::open(&at("newer.db"), &NEXT).unwrap());
    fs::write(at("text.db"), "not a database, but long enough to have a head of one").unwrap();
    fs::create_dir(at("folder.db")).unwrap();
    for (name, schema, expected) in [
        ("other.db", SCHEMA, "is a database of something else: move it away, or choose another `[store] directory`"),
        ("foreign.db", SCHEMA, "is a database of something else: move it away, or choose another `[store] directory`"),
        (
            "newer.db",
            SCHEMA,
            "was written by a newer Palisade (its version is 2, this one knows 1): run that one, or move the file \
             away to begin anew",
        ),
        ("text.db", SCHEMA, "is damaged: move it away to begin anew, or put a backup in its place"),
        ("folder.db", SCHEMA, "can't be used: look at its rights and at the space on its disk"),
        ("absent/a.db", SCHEMA, "can't be used: look at its rights and at the space on its disk"),
    ] {
        let before = fs::read(at(name)).ok();
        assert_eq!(said(&at(name), &schema), format!("{} {expected}", at(name).display()));
        assert_eq!(fs::read(at(name)).ok(), before, "{name}");
    }
}

#[test]
fn damage_is_told_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut file = Embedded::open(&path, &SCHEMA).unwrap();
    file.write(|transaction| {
        (0..2_000).try_for_each(|number| transaction.execute("INSERT INTO a (n) VALUES (?)", [number]).map(drop))
    })
    .unwrap();
    drop(file);
    let mut bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 5 * 4_096);
    // Everything behind the first page, which holds the schema.
    bytes[4_096..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let file = Embedded::open(&path, &SCHEMA).unwrap();
    let read = file.read(|connection| connection.query_row("SELECT sum(n) FROM a", [], |row| row.get::<_, i64>(0)));
    assert!(matches!(read, Err(EmbeddedError::Damaged { .. })), "{read:?}");
}

#[test]
fn who_holds_the_file_is_waited_for_and_then_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut file = Embedded::open(&path, &SCHEMA).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    file.connection.busy_timeout(Duration::from_millis(1)).unwrap();
    let held = file.write(|transaction| transaction.execute("INSERT INTO a (n) VALUES (1)", []));
    assert!(matches!(held, Err(EmbeddedError::Busy { .. })), "{held:?}");
    other.execute_batch("COMMIT").unwrap();
    put(&mut file, 1);
}
