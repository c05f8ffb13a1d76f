//! TLS for clients: which certificates, and where plain HTTP is sent on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use palisade_core::config::{Code, Problem, Problems, Secret, SecretRef, Setting};

use super::raw::{RawCertificate, RawTls};
use super::upstream::read_file;
use super::{PublicUrl, WebScheme};
use crate::inputs::Secrets;
use crate::secrets;

/// TLS for clients.
#[derive(Clone, Debug)]
pub struct Tls {
    /// At least one; the first serves clients that ask for no name, or for none of theirs.
    pub certificates: Vec<CertificateFiles>,
    /// Where plain HTTP is answered with a redirect to `public_url`.
    pub redirect: Option<SocketAddr>,
}

/// A certificate with its key. Paths are for watching, bytes for use.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate's file.
    pub certificate_path: PathBuf,
    /// The key's file; `None` if it is in the environment.
    pub key_path: Option<PathBuf>,
    /// PEM of the certificate and those that lead to its root; empty if secrets were not resolved.
    pub certificate: Vec<u8>,
    /// PEM of the key; `None` if secrets were not resolved.
    pub key: Option<Secret>,
}

/// What is around it.
pub(super) struct Surroundings<'a> {
    pub(super) listen: SocketAddr,
    pub(super) public_url: Option<&'a Setting<PublicUrl>>,
    pub(super) directory: &'a Path,
    pub(super) secrets: Secrets,
}

pub(super) fn compile(raw: Setting<RawTls>, around: &Surroundings<'_>, problems: &mut Problems) -> Tls {
    let place = raw.place;
    let RawTls { certificate, key, certificates, redirect } = raw.value;
    let mut pairs: Vec<(Setting<String>, Setting<SecretRef>)> = Vec::new();
    match (certificate, key) {
        (Some(certificate), Some(key)) => pairs.push((certificate, key)),
        (Some(certificate), None) => {
            let message = "`app.tls.certificate` needs `app.tls.key`";
            problems.report(Problem::new(Code::MissingKey, &certificate.place, message));
        }
        (None, Some(key)) => {
            let message = "`app.tls.key` needs `app.tls.certificate`";
            problems.report(Problem::new(Code::MissingKey, &key.place, message));
        }
        (None, None) if certificates.value.is_empty() && !certificates.is_written() => {
            let message = "[app.tls] needs the keys `certificate` and `key`";
            problems.report(Problem::new(Code::MissingKey, &place, message).help("without TLS, leave the table out"));
        }
        (None, None) => {}
    }
    for Setting { value: RawCertificate { certificate, key }, .. } in certificates.value {
        pairs.push((certificate, key));
    }
    if let Some(redirect) = &redirect
        && around.public_url.is_none_or(|url| url.value.scheme() != WebScheme::Https)
    {
        let message = "`app.tls.redirect` needs an https:// `app.public_url` to send clients to";
        problems.report(Problem::new(Code::Conflict, &redirect.place, message));
    }
    if let Some(redirect) = redirect.as_ref().filter(|redirect| redirect.value == around.listen)
        && around.listen.port() != 0
    {
        let message = "`app.tls.redirect` and `app.listen` are the same address";
        problems.report(Problem::new(Code::Conflict, &redirect.place, message));
    }
    let certificates = pairs.into_iter().map(|(certificate, key)| read(certificate, key, around, problems)).collect();
    Tls { certificates, redirect: redirect.map(|redirect| redirect.value) }
}

fn read(
    certificate: Setting<String>,
    key: Setting<SecretRef>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> CertificateFiles {
    let certificate_path = around.directory.join(&certificate.value);
    let key_path = secrets::file_of(&key.value, around.directory);
    let (pem, secret) = match around.secrets {
        Secrets::Skip => (Vec::new(), None),
        Secrets::Resolve => (
            read_file(&certificate_path, &certificate.place, problems).unwrap_or_default(),
            secrets::resolve(&key, around.directory, problems),
        ),
    };
    CertificateFiles { certificate_path, key_path, certificate: pem, key: secret }
}
