//! Certificate files are watched: what replaces them is shown from the next handshake on.
//!
//! They are looked at every second. A look compares who and when each file is, following links, so
//! it notices files that are written, renamed over, or swapped under a link (as cert-manager and
//! certbot do). New files are loaded once they have been the same for two looks, so that a pair
//! isn't read half replaced; a pair that can't be loaded leaves the old one in place, and is
//! reported once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{CertificateStore, Certificates, Key, Pair, TlsError};

/// What became of new files.
#[derive(Debug)]
pub enum Change {
    /// They are shown from now on.
    Replaced,
    /// They can't be used, so the old ones stay.
    Kept(TlsError),
}

/// What makes a file another one: device, inode, size, and when it was changed.
pub(super) type Mark = Option<(u64, u64, u64, i64, i64)>;

const LOOK: Duration = Duration::from_secs(1);

/// Watches the files for as long as it runs, and reports each change. For the runtime of slow
/// things: it reads files.
pub async fn watch(pairs: Vec<Pair>, certificates: Arc<Certificates>, mut report: impl FnMut(Change)) {
    let mut tried = certificates.marks();
    let mut before = tried.clone();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = marks(&pairs);
        if now != tried && now == before {
            report(match CertificateStore::load(&pairs) {
                Ok(store) => {
                    certificates.replace(store);
                    Change::Replaced
                }
                Err(error) => Change::Kept(error),
            });
            tried.clone_from(&now);
        }
        before = now;
    }
}

pub(super) fn marks(pairs: &[Pair]) -> Vec<[Mark; 2]> {
    pairs
        .iter()
        .map(|pair| {
            let key = match &pair.key {
                Key::File(file) => mark(file),
                Key::Given(_) => None,
            };
            [mark(&pair.certificate), key]
        })
        .collect()
}

fn mark(file: &Path) -> Mark {
    let found = fs::metadata(file).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
}
