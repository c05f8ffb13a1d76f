//! Certificate files are watched: what replaces them is shown from the next handshake on.
//!
//! They are looked at every second ([`looks`](crate::looks)), as cert-manager and certbot replace
//! them. Which files these are is asked at each look, since a reload may name others. A pair that
//! can't be loaded leaves the old one in place, and is reported once.

use std::sync::Arc;
use std::time::Duration;

use super::{CertificateStore, Certificates, Key, Pair, TlsError};
use crate::looks::{Looks, Mark, mark};

/// What became of new files.
#[derive(Debug)]
pub enum Change {
    /// They are shown from now on.
    Replaced,
    /// They can't be used, so the old ones stay.
    Kept(TlsError),
}

const LOOK: Duration = Duration::from_secs(1);

/// Watches the files for as long as it runs, and reports each change. For the runtime of slow
/// things: it reads files.
pub async fn watch(pairs: impl Fn() -> Vec<Pair>, certificates: Arc<Certificates>, mut report: impl FnMut(Change)) {
    let mut looks = Looks::since(certificates.marks());
    loop {
        tokio::time::sleep(LOOK).await;
        let pairs = pairs();
        let now = marks(&pairs);
        // A reload may have loaded them already.
        let shown = now == certificates.marks();
        if looks.settled(now) && !shown {
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
