//! From the config's certificates to those of TLS.

use std::path::PathBuf;
use std::sync::Arc;

use palisade_config::{Snapshot, Tls as RawTls};

use crate::tls::{CertificateStore, Certificates, Key, Pair, Tls, TlsError};

/// TLS for the public listener, if the config says so.
///
/// # Errors
///
/// The first certificate that can't be used, and why.
pub(crate) fn tls(snapshot: &Snapshot) -> Result<Option<Arc<Tls>>, TlsError> {
    let Some(raw) = &snapshot.app.tls else { return Ok(None) };
    let store = CertificateStore::load(&pairs(raw))?;
    Ok(Some(Arc::new(Tls::new(Arc::new(Certificates::new(store)))?)))
}

/// The certificates with their keys.
pub(crate) fn pairs(tls: &RawTls) -> Vec<Pair> {
    let pairs = tls.certificates.iter().map(|files| Pair {
        certificate: files.certificate_path.clone(),
        key: match (&files.key_path, &files.key) {
            (Some(path), _) => Key::File(path.clone()),
            (None, Some(secret)) => Key::Given(secret.clone()),
            (None, None) => Key::File(PathBuf::new()),
        },
    });
    pairs.collect()
}
