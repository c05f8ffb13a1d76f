//! The access log as a file: rotated by size, opened anew when somebody moved it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Access, OFlags, access};

use crate::lines::{Ready, Target};
use crate::settings::LogFile;

/// How often the file is looked for at its path.
const CHECK: Duration = Duration::from_secs(1);

/// An open log file.
#[derive(Debug)]
pub(crate) struct Rotated {
    settings: LogFile,
    /// `None` while there is no file that somebody could read.
    open: Option<Open>,
    checked: Instant,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// Device and inode: what says whether the path still means this file.
    identity: (u64, u64),
}

impl Rotated {
    /// Opens the file, to append to it.
    pub(crate) fn open(settings: LogFile) -> io::Result<Self> {
        let open = Some(Open::at(&settings)?);
        Ok(Self { settings, open, checked: Instant::now() })
    }

    /// Puts the file aside as `.1`, after moving `.1` to `.2` and so on, and begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        match self.settings.keep {
            0 => fs::remove_file(&self.settings.path)?,
            keep => {
                for number in (1..keep).rev() {
                    match fs::rename(self.old(number), self.old(number + 1)) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                        Ok(()) | Err(_) => {}
                    }
                }
                fs::rename(&self.settings.path, self.old(1))?;
            }
        }
        self.open = Some(Open::at(&self.settings)?);
        Ok(())
    }

    fn old(&self, number: u32) -> PathBuf {
        let mut path = self.settings.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }

    /// Looks for the file at its path, and opens it anew if it isn't there.
    fn look(&mut self) {
        if self.was_moved() {
            match Open::at(&self.settings) {
                Ok(open) => self.open = Some(open),
                Err(_) => self.let_go(),
            }
        }
    }

    fn was_moved(&self) -> bool {
        let Ok(found) = fs::metadata(&self.settings.path) else { return true };
        self.open.as_ref().is_none_or(|open| (found.dev(), found.ino()) != open.identity)
    }

    fn is_full(&self, bytes: usize) -> bool {
        self.open.as_ref().is_some_and(|open| open.bytes > 0 && open.bytes + bytes as u64 > self.settings.rotate_bytes)
    }

    /// Closes a file that was deleted: lines in it would be lost without being counted. Lines
    /// still reach one that was only moved.
    fn let_go(&mut self) {
        self.open.take_if(|open| open.file.metadata().is_ok_and(|found| found.nlink() == 0));
    }
}

impl Open {
    fn at(settings: &LogFile) -> io::Result<Self> {
        // Addresses and paths of users are nobody's business but the operator's.
        let file = open_regular(&settings.path, OpenOptions::new().append(true).create(true).mode(0o640))?;
        let found = file.metadata()?;
        Ok(Self { file, bytes: found.len(), identity: (found.dev(), found.ino()) })
    }
}

/// Whether a log could be opened there, found out without creating the file.
///
/// # Errors
///
/// What `Rotated::open` would end with, as far as it shows.
pub fn probe(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
        }
        Err(error) => Err(error),
        Ok(_) => open_regular(path, OpenOptions::new().append(true)).map(drop),
    }
}

/// Opens a regular file and nothing else: a pipe would hold up its opener, and its writer, for as
/// long as nobody reads.
fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // What is there is looked at first, since opening a device can have effects; and again once it
    // is open, since it may have been replaced in between. That opening doesn't wait either.
    match fs::metadata(path) {
        Ok(found) => regular(&found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

fn regular(found: &Metadata) -> io::Result<()> {
    if found.is_file() { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")) }
}

impl Target for Rotated {
    fn prepare(&mut self, bytes: usize) -> Ready {
        let now = Instant::now();
        if now.duration_since(self.checked) >= CHECK {
            self.checked = now;
            self.look();
        }
        // A rotation that fails leaves the old file in use and is tried again with the next lines.
        if self.is_full(bytes) && self.rotate().is_err() {
            self.checked = now;
            self.let_go();
        }
        if self.open.is_some() { Ready::Write } else { Ready::Drop }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let open = self.open.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let written = open.file.write(bytes)?;
        open.bytes += written as u64;
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(directory: &tempfile::TempDir, keep: u32) -> LogFile {
        LogFile { path: directory.path().join("access.log"), rotate_bytes: 10, keep }
    }

    fn add(log: &mut Rotated, line: &str) {
        assert_eq!(log.prepare(line.len()), Ready::Write);
        assert_eq!(log.write(line.as_bytes()).unwrap(), line.len());
    }

    fn files(directory: &tempfile::TempDir) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.into(), text.into())
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Rotated::open(settings(&directory, 3)).unwrap();
        for line in ["0000\n", "0000\n", "1111\n", "2222\n", "3333\n", "4444\n", "5555\n", "6666\n", "7777\n"] {
            add(&mut log, line);
        }
        assert_eq!(
            files(&directory),
            [
                pair("access.log", "7777\n"),
                pair("access.log.1", "5555\n6666\n"),
                pair("access.log.2", "3333\n4444\n"),
                pair("access.log.3", "1111\n2222\n"),
            ]
        );
    }

    #[test]
    fn without_old_ones_a_full_file_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Rotated::open(settings(&directory, 0)).unwrap();
        for line in ["1111\n", "2222\n", "3333\n"] {
            add(&mut log, line);
        }
        assert_eq!(files(&directory), [pair("access.log", "3333\n")]);
    }

    #[test]
    fn a_file_that_was_there_is_appended_to_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(&directory, 1);
        fs::write(&settings.path, "old\n").unwrap();
        let mut log = Rotated::open(settings).unwrap();
        add(&mut log, "1111\n");
        assert_eq!(files(&directory), [pair("access.log", "old\n1111\n")]);
        add(&mut log, "2222\n");
        assert_eq!(files(&directory), [pair("access.log", "2222\n"), pair("access.log.1", "old\n1111\n")]);
    }

    #[test]
    fn a_file_that_was_moved_is_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Rotated::open(settings(&directory, 1)).unwrap();
        add(&mut log, "1\n");
        fs::rename(directory.path().join("access.log"), directory.path().join("moved")).unwrap();
        add(&mut log, "2\n");
        pass_a_second(&mut log);
        add(&mut log, "3\n");
        assert_eq!(files(&directory), [pair("access.log", "3\n"), pair("moved", "1\n2\n")]);
    }

    /// The path is looked at once a second; after this that second has passed.
    fn pass_a_second(log: &mut Rotated) {
        log.checked = log.checked.checked_sub(CHECK).unwrap();
    }

    #[test]
    fn lines_are_dropped_while_the_directory_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let path = logs.join("access.log");
        let mut log = Rotated::open(LogFile { path: path.clone(), rotate_bytes: 100, keep: 1 }).unwrap();
        add(&mut log, "1\n");
        fs::remove_dir_all(&logs).unwrap();
        for _ in 0..2 {
            pass_a_second(&mut log);
            assert_eq!(log.prepare(2), Ready::Drop);
            assert!(log.write(b"2\n").is_err());
        }
        fs::create_dir(&logs).unwrap();
        // Not looked at before the next second.
        assert_eq!(log.prepare(2), Ready::Drop);
        pass_a_second(&mut log);
        add(&mut log, "3\n");
        assert_eq!(fs::read_to_string(path).unwrap(), "3\n");
    }

    #[test]
    fn a_file_that_moved_with_its_directory_still_gets_the_lines() {
        let directory = tempfile::tempdir().unwrap();
        let (logs, moved) = (directory.path().join("logs"), directory.path().join("moved"));
        fs::create_dir(&logs).unwrap();
        let path = logs.join("access.log");
        let mut log = Rotated::open(LogFile { path, rotate_bytes: 100, keep: 1 }).unwrap();
        fs::rename(logs, &moved).unwrap();
        pass_a_second(&mut log);
        add(&mut log, "1\n");
        assert_eq!(fs::read_to_string(moved.join("access.log")).unwrap(), "1\n");
    }

    #[test]
    fn what_cannot_be_opened_is_an_error_at_once_and_found_beforehand() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("directory")).unwrap();
        fs::write(path("file"), "").unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for (name, fails) in [
            ("missing/access.log", true),
            ("file/access.log", true),
            ("directory", true),
            ("pipe", true),
            ("file", false),
            ("new", false),
        ] {
            let path = path(name);
            let there = path.exists();
            assert_eq!(probe(&path).is_err(), fails, "{name}");
            assert_eq!(path.exists(), there, "{name}");
            assert_eq!(Rotated::open(LogFile { path, rotate_bytes: 10, keep: 1 }).is_err(), fails, "{name}");
        }
    }

    #[test]
    fn a_pipe_that_somebody_reads_is_no_log_either() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let _reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        assert!(Rotated::open(LogFile { path, rotate_bytes: 10, keep: 1 }).is_err());
    }
}
