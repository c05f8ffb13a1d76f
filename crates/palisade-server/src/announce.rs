//! What the gateway tells about itself: lines for machines on standard output, beside the access
//! log, and sentences for people on standard error.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use palisade_config::{ServerAddress, Snapshot, WebScheme};
use palisade_core::chain;
use palisade_telemetry::{Events, Value};
use tokio::net::{TcpStream, UnixStream};

/// How long the application may take to accept a connection when it is looked for at the start.
const LOOK: Duration = Duration::from_secs(2);

/// Where the gateway listens, by the listeners' names.
pub(crate) fn started(events: &Events, listeners: &[(&str, SocketAddr)]) {
    let listeners: Vec<_> = listeners.iter().map(|(name, address)| (*name, address.to_string())).collect();
    let listeners: Vec<_> =
        listeners.iter().map(|(name, address)| vec![("name", *name), ("address", address.as_str())]).collect();
    let version = Value::Text(env!("CARGO_PKG_VERSION"));
    events.emit("started", &[("version", version), ("listeners", Value::Objects(&listeners))]);
}

/// Something that an operator should know and that stops nothing.
pub(crate) fn trouble(events: &Events, event: &str, error: &(dyn Error + 'static)) {
    let text = chain(error);
    events.emit(event, &[("error", Value::Text(&text))]);
    eprintln!("palisade: {text}");
}

/// Says so if the application isn't there yet. The gateway runs all the same: it answers 502 until
/// the application is.
pub(crate) async fn look_for_application(snapshot: Arc<Snapshot>, events: Events) {
    for server in snapshot.upstreams.iter().flat_map(|group| &group.servers) {
        let found = tokio::time::timeout(LOOK, connect(&server.address)).await;
        let why = match found {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", LOOK.as_secs()),
        };
        let address = server.address.to_string();
        events.emit("upstream_unreachable", &[("server", Value::Text(&address)), ("error", Value::Text(&why))]);
        eprintln!("palisade: the application at {address} can't be reached: {why}");
        eprintln!("palisade: clients get 502 until it can");
    }
}

async fn connect(address: &ServerAddress) -> std::io::Result<()> {
    match address {
        ServerAddress::Http(authority) | ServerAddress::Https(authority) => {
            let default = if matches!(address, ServerAddress::Https(_)) { WebScheme::Https } else { WebScheme::Http };
            let port = authority.port().unwrap_or(default.port());
            match authority.address() {
                Some(address) => TcpStream::connect((address, port)).await.map(drop),
                None => TcpStream::connect((authority.host(), port)).await.map(drop),
            }
        }
        ServerAddress::Unix(path) => UnixStream::connect(path).await.map(drop),
    }
}
