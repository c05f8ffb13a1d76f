//! What a peer is set up for: where it listens, what stands behind it, and which work it does.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::failure::Failure;
use crate::root::write;

/// How much work a proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Forwarding alone; everything is off that can be.
    Plain,
    /// A limit per address, security headers, request id, forwarded headers, a JSON log, metrics.
    Hardened,
}

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Http1,
    /// By prior knowledge, without TLS.
    Http2,
    /// HTTP/1.1 within TLS 1.3.
    Tls,
}

/// What flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// Answers of 1 KiB.
    Small,
    /// 10 MB; those who buffer by default are told not to.
    Large,
}

/// One peer's place.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) profile: Profile,
    pub(crate) front: Front,
    pub(crate) bodies: Bodies,
    /// For its configuration and logs; in memory, since a disk's interrupts would be charged to it.
    pub(crate) folder: PathBuf,
    pub(crate) listen: SocketAddr,
    /// For metrics and the like.
    pub(crate) admin: SocketAddr,
    pub(crate) upstream: SocketAddr,
    /// PEM files.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Where programs of the repository are.
    pub(crate) palisade: PathBuf,
    pub(crate) envoy: PathBuf,
}

impl Site {
    pub(crate) fn is_hardened(&self) -> bool {
        self.profile == Profile::Hardened
    }

    /// A path in the folder, as configurations want it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Writes a configuration and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<String, Failure> {
        write(&self.folder.join(name), text)?;
        Ok(self.path(name))
    }
}

/// The eight headers that every hardened peer adds. Palisade adds its own.
pub(crate) const HEADERS: &[(&str, &str)] = &[
    ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
    (
        "Content-Security-Policy",
        "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'self'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];
