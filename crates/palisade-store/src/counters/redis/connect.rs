//! From an address to a link: socket, TLS, password, database, scripts.

use std::pin::Pin;
use std::sync::Arc;

use palisade_core::config::Secret;
use palisade_core::store::{Endpoint, RedisAddress, Wire};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::link::{Link, link};
use super::miss::Miss;
use super::resp::{Command, Reply};
use super::scripts::{Scripts, Sha};

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// A connection that may be asked.
pub(super) struct Connected {
    pub(super) link: Link,
    pub(super) scripts: Scripts,
    /// Drives it; ends with the connection.
    pub(super) driver: Pin<Box<dyn Future<Output = Miss> + Send>>,
}

/// Connects, and gets everything ready for calls. The caller bounds how long that may take.
pub(super) async fn connect(address: &RedisAddress) -> Result<Connected, Miss> {
    let stream = open(&address.endpoint).await?;
    let (link, driver) = link(stream);
    let mut driver: Pin<Box<dyn Future<Output = Miss> + Send>> = Box::pin(driver.run());
    let scripts = tokio::select! {
        ready = ready(&link, address) => ready?,
        miss = &mut driver => return Err(miss),
    };
    Ok(Connected { link, scripts, driver })
}

async fn open(endpoint: &Endpoint) -> Result<Pin<Box<dyn Stream>>, Miss> {
    let unreachable = |_| Miss::Connection;
    match endpoint {
        Endpoint::Unix(path) => Ok(Box::pin(UnixStream::connect(path).await.map_err(unreachable)?)),
        Endpoint::Tcp { host, port, wire } => {
            let stream = TcpStream::connect((&**host, *port)).await.map_err(unreachable)?;
            // A call is small and waited for.
            stream.set_nodelay(true).map_err(unreachable)?;
            match wire {
                Wire::Plain => Ok(Box::pin(stream)),
                Wire::Tls => {
                    let name = ServerName::try_from(host.to_string()).map_err(|_| Miss::Connection)?;
                    Ok(Box::pin(tls()?.connect(name, stream).await.map_err(unreachable)?))
                }
            }
        }
    }
}

fn tls() -> Result<TlsConnector, Miss> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Miss::Connection)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn ready(link: &Link, address: &RedisAddress) -> Result<Scripts, Miss> {
    if let Some(password) = &address.password {
        ok(link.call(authenticate(address.user.as_deref(), password)).await?)?;
    }
    if address.database > 0 {
        let mut select = Command::new("SELECT");
        select.number(u64::from(address.database));
        ok(link.call(select).await?)?;
    }
    let [step, presence, renew, overrides] = Scripts::TEXTS;
    Ok(Scripts {
        step: load(link, step).await?,
        presence: load(link, presence).await?,
        renew: load(link, renew).await?,
        overrides: load(link, overrides).await?,
    })
}

fn authenticate(user: Option<&str>, password: &Secret) -> Command {
    let command = Command::new("AUTH");
    let command = if let Some(user) = user { command.word(user.as_bytes()) } else { command };
    command.word(password.reveal())
}

/// Loads a script; the server tells the hash that it is known by.
async fn load(link: &Link, text: &'static str) -> Result<Sha, Miss> {
    match link.call(Command::new("SCRIPT").word(b"LOAD").word(text.as_bytes())).await? {
        Reply::Text(sha) => Sha::read(&sha, text).ok_or(Miss::Garbled),
        Reply::Error(text) => Err(Miss::of_error(&text)),
        Reply::Number(_) | Reply::Nil | Reply::List(_) => Err(Miss::Garbled),
    }
}

fn ok(reply: Reply) -> Result<(), Miss> {
    match reply {
        Reply::Text(_) => Ok(()),
        Reply::Error(text) => Err(Miss::of_error(&text)),
        Reply::Number(_) | Reply::Nil | Reply::List(_) => Err(Miss::Garbled),
    }
}
