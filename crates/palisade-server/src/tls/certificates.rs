//! Certificates and their keys, and which of them a client is shown.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use palisade_core::config::Secret;
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::files;
use crate::looks::Mark;

/// The files of one certificate.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: Key,
}

/// Where a private key is.
#[derive(Clone, Debug)]
pub enum Key {
    /// In a file, read again when it changes.
    File(PathBuf),
    /// Known already, from an environment variable.
    Given(Secret),
}

/// Loaded certificates, found by name.
#[derive(Debug)]
pub struct CertificateStore {
    /// For clients that name no host, or one that nothing is for.
    first: Arc<CertifiedKey>,
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what follows the `*.`.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// What the files were before they were read.
    marks: Vec<[Mark; 2]>,
}

/// TLS can't be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No pair of files is configured.
    #[error("no certificate is configured")]
    None,
    /// A file can't be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate file isn't one.
    #[error("{} holds no certificate in PEM", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// A key file isn't one.
    #[error("{} holds no private key in PEM", file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// The key is another certificate's.
    #[error("the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    OtherKey {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// Certificate or key is of a kind that can't be used.
    #[error("the certificate in {} cannot be used", certificate.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// TLS itself can't be set up.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
}

impl Key {
    /// How an error names it.
    fn place(&self) -> PathBuf {
        match self {
            Self::File(file) => file.clone(),
            Self::Given(_) => PathBuf::from("the environment"),
        }
    }
}

impl CertificateStore {
    /// Loads all pairs. The first is shown to clients that name no known host.
    ///
    /// # Errors
    ///
    /// The first file that is wrong, and how.
    pub fn load(pairs: &[Pair]) -> Result<Self, TlsError> {
        let marks = files::marks(pairs);
        let mut certificates = pairs.iter().map(load);
        let first = certificates.next().ok_or(TlsError::None)??;
        let mut store = Self { first: Arc::clone(&first), exact: HashMap::new(), wildcard: HashMap::new(), marks };
        store.enter(&first);
        for certificate in certificates {
            store.enter(&certificate?);
        }
        Ok(store)
    }

    /// What the files were before they were read: if they are anything else, they are newer.
    pub(super) fn marks(&self) -> &[[Mark; 2]] {
        &self.marks
    }

    /// The certificate for a client that asks for `name`: its own, else that of its domain's
    /// wildcard, else the first.
    pub(super) fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let found = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wildcard = || self.wildcard.get(name.split_once('.')?.1);
            self.exact.get(name.as_str()).or_else(wildcard)
        });
        Arc::clone(found.unwrap_or(&self.first))
    }

    /// Enters a certificate under its names; the earlier pair keeps a name that two have.
    fn enter(&mut self, certificate: &Arc<CertifiedKey>) {
        let Some(Ok(end)) = certificate.cert.first().map(webpki::EndEntityCert::try_from) else {
            return;
        };
        for name in end.valid_dns_names() {
            let name = name.to_ascii_lowercase();
            match name.strip_prefix("*.") {
                Some(domain) => self.wildcard.entry(domain.into()).or_insert_with(|| Arc::clone(certificate)),
                None => self.exact.entry(name.into()).or_insert_with(|| Arc::clone(certificate)),
            };
        }
    }
}

fn load(pair: &Pair) -> Result<Arc<CertifiedKey>, TlsError> {
    let Pair { certificate, key } = pair;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificate)?).collect();
    let Some(chain) = chain.ok().filter(|chain| !chain.is_empty()) else {
        return Err(TlsError::NoCertificate { file: certificate.clone() });
    };
    let place = key.place();
    let pem = match key {
        Key::File(file) => read(file)?,
        Key::Given(secret) => secret.reveal().to_vec(),
    };
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::NoKey { file: place.clone() })?;
    match CertifiedKey::from_der(chain, der, &ring::default_provider()) {
        Ok(certified) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::OtherKey { key: place, certificate: certificate.clone() })
        }
        Err(source) => Err(TlsError::Unusable { certificate: certificate.clone(), source }),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|source| TlsError::Read { file: file.to_owned(), source })
}

#[cfg(test)]
mod tests;
