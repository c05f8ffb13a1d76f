//! Secrets: where they may come from, and that they never come out again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{SEED, list};
use crate::{Color, Format, Inputs, Secrets, Snapshot};

const CERTIFICATE: &str = "certificate = \"tls.crt\"";

fn inputs(directory: &Path, key: &str) -> Inputs {
    let text = format!("[app]\nupstream = \"http://127.0.0.1:3000\"\n[app.tls]\n{CERTIFICATE}\nkey = {key}\n");
    std::fs::write(directory.join("palisade.toml"), text).unwrap();
    std::fs::write(directory.join("tls.crt"), "certificate").unwrap();
    Inputs::file(&directory.join("palisade.toml"), None)
}

fn write(directory: &Path, name: &str, mode: u32, content: &[u8]) {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn key_of(snapshot: &Snapshot) -> Option<&[u8]> {
    let tls = snapshot.app.tls.as_ref()?;
    tls.certificates.first()?.key.as_ref().map(|key| key.reveal())
}

#[test]
fn files() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    write(home, "key", 0o600, b"hunter2\n");
    write(home, "two", 0o600, b"hunter2\n\n");
    write(home, "windows", 0o600, b"hunter2\r\n");
    write(home, "open", 0o644, b"hunter2");
    write(home, "empty", 0o600, b"\n");
    write(home, "long", 0o600, &vec![b'x'; (64 << 10) + 1]);
    write(home, "longest", 0o600, &vec![b'x'; 64 << 10]);
    std::os::unix::fs::symlink(home.join("key"), home.join("link")).unwrap();
    std::os::unix::fs::symlink("/proc/self/environ", home.join("proc")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(home.join("fifo")).status().unwrap().success());

    let check = |file: &str, key: Option<&[u8]>, expected: &[&str]| {
        let result = crate::load(&inputs(home, &format!("{{ file = {file:?} }}")), SEED);
        let (found, report) = match &result {
            Ok((snapshot, report)) => (key_of(snapshot), report),
            Err(report) => (None, report),
        };
        assert_eq!(found, key, "{file}");
        let codes: Vec<_> = report.problems.iter().map(|problem| problem.code.code()).collect();
        assert_eq!(codes, expected, "{file}: {:?}", list(report));
        for format in [Format::Human(Color::Plain), Format::Json] {
            assert!(!report.render(format).contains("hunter2"), "{file}");
        }
    };
    check("key", Some(b"hunter2"), &[]);
    check("two", Some(b"hunter2\n"), &[]);
    check("windows", Some(b"hunter2"), &[]);
    check("link", Some(b"hunter2"), &[]);
    check(home.join("key").to_str().unwrap(), Some(b"hunter2"), &[]);
    check("longest", Some(&vec![b'x'; 64 << 10]), &[]);
    check("open", Some(b"hunter2"), &["config.secret_exposed"]);
    check("empty", None, &["config.secret_missing"]);
    check("absent", None, &["config.secret_missing"]);
    check("long", None, &["config.secret_unreadable"]);
    check(".", None, &["config.secret_unreadable"]);
    check("proc", None, &["config.secret_unreadable"]);
    check("fifo", None, &["config.secret_unreadable"]);
    check("/proc/version", None, &["config.secret_unreadable"]);
    check("/dev/zero", None, &["config.secret_unreadable"]);
    check("/sys/kernel/uevent_seqnum", None, &["config.secret_unreadable"]);
}

#[test]
fn the_environment() {
    let directory = tempfile::tempdir().unwrap();
    // Cargo sets this one.
    let inputs = |name: &str| inputs(directory.path(), &format!("{{ env = {name:?} }}"));
    let (snapshot, report) = crate::load(&inputs("CARGO_PKG_NAME"), SEED).unwrap();
    assert_eq!(key_of(&snapshot), Some(b"palisade-config".as_slice()));
    assert!(report.problems.is_empty());
    let effective = snapshot.effective();
    let shown = effective.iter().find(|effective| effective.key.starts_with("app.tls.key")).unwrap();
    assert_eq!((shown.key.as_str(), shown.value.as_str()), ("app.tls.key", "{ env = \"CARGO_PKG_NAME\" }"));
    let report = crate::load(&inputs("PALISADE_TEST_NO_SUCH_KEY"), SEED).err().unwrap();
    assert_eq!(list(&report), ["secret_missing 5:7 environment variable PALISADE_TEST_NO_SUCH_KEY is not set"]);
}

#[test]
fn pipelines_need_no_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let inputs = inputs(directory.path(), "{ file = \"absent\" }").secrets(Secrets::Skip);
    std::fs::remove_file(directory.path().join("tls.crt")).unwrap();
    let (snapshot, report) = crate::load(&inputs, SEED).unwrap();
    assert!(report.problems.is_empty());
    assert_eq!(key_of(&snapshot), None);
}
