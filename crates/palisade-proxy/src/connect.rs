//! New connections: TCP, TLS over it, Unix sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::address::{Address, Host, Target};
use crate::error::{ConnectError, SetupError};
use crate::resolve::Resolver;
use crate::settings::Timeouts;
use crate::wire::Stream;
use std::rc::Rc;

/// Which protocol the connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speak {
    Http1,
    Http2,
}

/// TLS towards the application: one for each protocol, since a handshake offers only the one that
/// is spoken afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// A connection and the address at its other end, if it has one.
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    pub(crate) peer: Option<SocketAddr>,
}

impl Tls {
    /// Trusts `private_ca` alone if there is one, and the public roots otherwise.
    pub(crate) fn new(private_ca: Option<&[u8]>) -> Result<Self, SetupError> {
        let roots = match private_ca {
            Some(pem) => private_roots(pem)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut http1 = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(SetupError::Certificate)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http2 = http1.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { http1: Arc::new(http1), http2: Arc::new(http2) })
    }
}

/// Nothing but what the file holds: whoever names a CA doesn't want the application vouched for by
/// any other.
fn private_roots(pem: &[u8]) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| SetupError::PrivateCa)?;
        roots.add(certificate).map_err(SetupError::Certificate)?;
    }
    if roots.is_empty() { Err(SetupError::PrivateCa) } else { Ok(roots) }
}

/// Connects to a server. `resolver` knows the addresses of its name; Unix sockets have none.
pub(crate) async fn connect(
    address: &Address,
    resolver: Option<&Rc<Resolver>>,
    tls: Option<&Tls>,
    speak: Speak,
    timeouts: Timeouts,
) -> Result<Connected, ConnectError> {
    let tcp = async |_: &Target| match resolver {
        Some(resolver) => connect_tcp(resolver, timeouts.connect).await,
        None => Err(ConnectError::Connect(io::ErrorKind::InvalidInput.into())),
    };
    match address {
        Address::Unix(path) => {
            let stream = limit(timeouts.connect, UnixStream::connect(path), ConnectError::ConnectTimeout).await?;
            Ok(Connected { stream: Stream::Unix(stream.map_err(ConnectError::Connect)?), peer: None })
        }
        Address::Http(target) => {
            let (stream, peer) = tcp(target).await?;
            Ok(Connected { stream: Stream::Tcp(stream), peer: Some(peer) })
        }
        Address::Https(target) => {
            let Some(tls) = tls else { return Err(ConnectError::Protocol) };
            let (stream, peer) = tcp(target).await?;
            let stream = shake_hands(stream, target.host(), tls, speak, timeouts.tls).await?;
            Ok(Connected { stream, peer: Some(peer) })
        }
    }
}

/// Tries the addresses in order. Each gets its share of the time that is left, so that a silent
/// one doesn't keep the next from being tried.
async fn connect_tcp(resolver: &Rc<Resolver>, time: Duration) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let end = Instant::now() + time;
    let addresses = limit(time, resolver.addresses(), ConnectError::ConnectTimeout).await?;
    let addresses = addresses.map_err(ConnectError::Resolve)?;
    let mut last = ConnectError::ConnectTimeout;
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = end.saturating_duration_since(Instant::now()) / left;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(ConnectError::Connect)?;
                return Ok((stream, *address));
            }
            Ok(Err(error)) => last = ConnectError::Connect(error),
            Err(_) => last = ConnectError::ConnectTimeout,
        }
    }
    Err(last)
}

async fn shake_hands(
    stream: TcpStream,
    host: &Host,
    tls: &Tls,
    speak: Speak,
    time: Duration,
) -> Result<Stream, ConnectError> {
    let config = match speak {
        Speak::Http1 => &tls.http1,
        Speak::Http2 => &tls.http2,
    };
    let name = match host {
        Host::Ip(ip) => ServerName::IpAddress((*ip).into()),
        Host::Name(name) => {
            ServerName::try_from(name.to_string()).map_err(|error| ConnectError::Tls(io::Error::other(error)))?
        }
    };
    let handshake = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    let stream = limit(time, handshake, ConnectError::TlsTimeout).await?.map_err(ConnectError::Tls)?;
    if speak == Speak::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(ConnectError::Protocol);
    }
    Ok(Stream::Tls(Box::new(stream)))
}

async fn limit<T>(time: Duration, future: impl Future<Output = T>, late: ConnectError) -> Result<T, ConnectError> {
    timeout(time, future).await.map_err(|_| late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_ca_is_trusted_alone() {
        let pem = || rcgen::generate_simple_self_signed(["app".to_owned()]).unwrap().cert.pem();
        assert_eq!(private_roots(pem().as_bytes()).unwrap().len(), 1);
        assert_eq!(private_roots((pem() + &pem()).as_bytes()).unwrap().len(), 2);
        assert!(matches!(private_roots(b"none"), Err(SetupError::PrivateCa)));
    }
}
