//! What the gateway tells about itself: lines for machines on standard output, beside the access
//! log, and sentences for people on standard error.

use std::error::Error;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use palisade_config::{ServerAddress, Snapshot, WebScheme};
use palisade_core::chain;
use palisade_telemetry::{Events, Value};
use palisade_tower::clock;
use tokio::net::{TcpStream, UnixStream};

use crate::gauges::Board;
use crate::rotation::News;
use crate::tick::PERIOD;

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

/// What an end waits for, for a person at a terminal. Without one nobody wonders, and the event
/// `draining` says it to machines.
pub(crate) fn draining(delay: Duration, limit: Duration) {
    if std::io::stderr().is_terminal()
        && let Some(text) = farewell(delay, limit)
    {
        eprintln!("\n{text}");
    }
}

/// What is waited for, if anything is.
fn farewell(delay: Duration, limit: Duration) -> Option<String> {
    let mut text = String::from("palisade: ending.");
    if !delay.is_zero() {
        let seconds = delay.as_secs_f64();
        // Writing to a string can't fail.
        let _ =
            write!(text, " New requests are still answered for {seconds} s, so that load balancers can look elsewhere");
    }
    if !limit.is_zero() {
        let seconds = limit.as_secs_f64();
        let then = if delay.is_zero() { " Requests" } else { "; then those" };
        let _ = write!(text, "{then} under way have up to {seconds} s");
    }
    (!delay.is_zero() || !limit.is_zero()).then(|| text + ". Ctrl-C again ends at once.")
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

/// Tells for as long as the process runs when a server goes out of rotation, and when it is back.
pub(crate) async fn rotation(board: Arc<Board>, events: Events) {
    let mut looks = tokio::time::interval(PERIOD);
    loop {
        looks.tick().await;
        board.news(clock::monotonic()).iter().for_each(|news| rotated(&events, news));
    }
}

fn rotated(events: &Events, news: &News) {
    match news {
        News::Out { server, times } => {
            events.emit("server_out", &[("server", Value::Text(server)), ("times", Value::Number(*times))]);
            eprintln!(
                "palisade: {server} is out of rotation: connects fail. Others get its requests, if there are any"
            );
        }
        News::Back { server, after } => {
            let seconds = after.as_secs();
            events.emit("server_back", &[("server", Value::Text(server)), ("after_s", Value::Number(seconds))]);
            eprintln!("palisade: {server} is back in rotation, after {seconds} s");
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_says_what_it_waits_for() {
        let check = |delay: u64, limit: u64, expected: Option<&str>| {
            let told = farewell(Duration::from_secs(delay), Duration::from_secs(limit));
            assert_eq!(told.as_deref(), expected);
        };
        let again = "Ctrl-C again ends at once.";
        let delay =
            "palisade: ending. New requests are still answered for 5 s, so that load balancers can look elsewhere";
        check(5, 30, Some(&format!("{delay}; then those under way have up to 30 s. {again}")));
        check(0, 30, Some(&format!("palisade: ending. Requests under way have up to 30 s. {again}")));
        check(5, 0, Some(&format!("{delay}. {again}")));
        check(0, 0, None);
    }
}
