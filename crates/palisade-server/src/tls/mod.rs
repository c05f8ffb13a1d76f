//! TLS towards clients: rustls with `ring`, TLS 1.2 and 1.3, ALPN for HTTP/2 and HTTP/1.1, session
//! tickets, no early data.
//!
//! The configuration of rustls is made once; which certificate a handshake shows is asked at each
//! one, so that new files are shown without a restart and without touching a connection.

mod certificates;
mod files;

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use self::certificates::{CertificateStore, Key, Pair, TlsError};
pub use self::files::{Change, watch};
use crate::looks::Mark;
use crate::swap::Swap;

/// Ends TLS for one listener.
pub struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

/// The certificates that handshakes are shown from now on.
#[derive(Debug)]
pub struct Certificates(Swap<CertificateStore>);

impl Certificates {
    /// With those that were loaded first.
    pub fn new(store: CertificateStore) -> Self {
        Self(Swap::new(store))
    }

    /// Replaces them all.
    pub fn replace(&self, store: CertificateStore) {
        self.0.store(store);
    }

    fn marks(&self) -> Vec<[Mark; 2]> {
        self.0.load().marks().to_vec()
    }
}

impl Tls {
    /// With certificates that may be replaced.
    ///
    /// # Errors
    ///
    /// If the system has no random bytes, or the provider no common version.
    pub fn new(certificates: Arc<Certificates>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = ring::Ticketer::new().map_err(TlsError::Setup)?;
        // What is sent before the handshake is complete can be sent again by anybody.
        config.max_early_data_size = 0;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificates })
    }

    /// The certificates, to replace them.
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    pub(crate) async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(socket).await
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().choose(hello.server_name()))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
