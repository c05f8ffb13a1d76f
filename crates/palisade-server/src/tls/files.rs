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

/// What the last looks saw.
struct Looks {
    /// The files that were loaded, or couldn't be.
    tried: Vec<[Mark; 2]>,
    before: Vec<[Mark; 2]>,
}

/// Watches the files for as long as it runs, and reports each change. For the runtime of slow
/// things: it reads files.
pub async fn watch(pairs: Vec<Pair>, certificates: Arc<Certificates>, mut report: impl FnMut(Change)) {
    let mut looks = Looks::since(certificates.marks());
    loop {
        tokio::time::sleep(LOOK).await;
        if looks.settled(marks(&pairs)) {
            report(match CertificateStore::load(&pairs) {
                Ok(store) => {
                    certificates.replace(store);
                    Change::Replaced
                }
                Err(error) => Change::Kept(error),
            });
        }
    }
}

impl Looks {
    fn since(tried: Vec<[Mark; 2]>) -> Self {
        Self { before: tried.clone(), tried }
    }

    /// Whether these are new files that have stayed the same since the last look.
    fn settled(&mut self, now: Vec<[Mark; 2]>) -> bool {
        let settled = now != self.tried && now == self.before;
        if settled {
            self.tried.clone_from(&now);
        }
        self.before = now;
        settled
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_tried_once_they_have_settled() {
        let pair = |certificate: u64, key: u64| vec![[Some((0, certificate, 0, 0, 0)), Some((0, key, 0, 0, 0))]];
        let mut looks = Looks::since(pair(1, 1));
        for (look, tried) in [
            (pair(1, 1), false),
            // Half replaced, then whole.
            (pair(2, 1), false),
            (pair(2, 2), false),
            (pair(2, 2), true),
            (pair(2, 2), false),
            // Back and forth.
            (pair(3, 3), false),
            (pair(2, 2), false),
            (pair(2, 2), false),
            // Gone is a change like any other.
            (vec![[None, None]], false),
            (vec![[None, None]], true),
        ] {
            assert_eq!(looks.settled(look.clone()), tried, "{look:?}");
        }
    }
}
