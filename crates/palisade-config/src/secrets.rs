//! Looking secrets up.
//!
//! A secret never appears in a message, whatever is wrong with it; the reference does.

use std::path::{Path, PathBuf};

use palisade_core::config::{Code, Place, Problem, Problems, Secret, SecretRef, Setting};

use crate::inputs::read_bounded;

/// No key or password is longer.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// What to do about a file that is not there.
pub(crate) const PATHS: &str =
    "put the file there or correct the path; relative paths begin at the folder of the configuration";

/// Where a process, a device or the kernel could answer instead of a file.
const FORBIDDEN: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Reads the secret. Relative paths start at `directory`.
pub(crate) fn resolve(reference: &Setting<SecretRef>, directory: &Path, problems: &mut Problems) -> Option<Secret> {
    let found = match &reference.value {
        SecretRef::Env(name) => from_environment(name),
        SecretRef::File(path) => from_file(&directory.join(path), &reference.place, problems),
    };
    let help = match &reference.value {
        SecretRef::Env(_) => {
            "set it where Palisade is started, or name another one: { env = \"…\" } or { file = \"…\" }"
        }
        SecretRef::File(_) => PATHS,
    };
    found.map_err(|(code, message)| problems.report(Problem::new(code, &reference.place, message).help(help))).ok()
}

fn from_environment(name: &str) -> Result<Secret, (Code, String)> {
    match std::env::var_os(name) {
        None => Err((Code::SecretMissing, format!("environment variable {name} is not set"))),
        Some(value) if value.is_empty() => Err((Code::SecretMissing, format!("environment variable {name} is empty"))),
        Some(value) if value.len() as u64 > SECRET_BYTES_MAX => {
            Err((Code::SecretUnreadable, format!("environment variable {name} is longer than 64 KiB")))
        }
        Some(value) => Ok(Secret::new(value.into_encoded_bytes())),
    }
}

fn from_file(path: &Path, place: &Place, problems: &mut Problems) -> Result<Secret, (Code, String)> {
    let shown = path.display();
    let unreadable = |why: &str| (Code::SecretUnreadable, format!("secret file {shown} {why}"));
    // Links are followed first: what counts is where the bytes come from.
    let real = path.canonicalize().map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let code = if missing { Code::SecretMissing } else { Code::SecretUnreadable };
        (code, format!("secret file {shown} can't be read: {error}"))
    })?;
    if FORBIDDEN.iter().any(|root| path.starts_with(root) || real.starts_with(root)) {
        return Err(unreadable("lies in /proc, /sys or /dev"));
    }
    let mut bytes = read_bounded(&real, SECRET_BYTES_MAX).map_err(|why| unreadable(&why))?;
    if bytes.pop_if(|last| *last == b'\n').is_some() {
        bytes.pop_if(|last| *last == b'\r');
    }
    if bytes.is_empty() {
        return Err((Code::SecretMissing, format!("secret file {shown} is empty")));
    }
    if is_readable_by_others(&real) {
        let problem = Problem::new(Code::SecretExposed, place, format!("everybody can read the secret file {shown}"));
        problems.report(problem.help(format!("chmod o-r {shown}")));
    }
    Ok(Secret::new(bytes))
}

#[cfg(unix)]
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_path: &Path) -> bool {
    false
}

/// The file of a reference, if it is one, so that it can be watched.
pub(crate) fn file_of(reference: &SecretRef, directory: &Path) -> Option<PathBuf> {
    match reference {
        SecretRef::Env(_) => None,
        SecretRef::File(path) => Some(directory.join(path)),
    }
}
