//! Sends every case to one proxy and collects what its application was sent.
//!
//! A case has a client address of its own, which the proxy tells its application, so that many can
//! be under way at once and each request is known to be of one of them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use e2e::within;
use palisade_testkit::upstream::{Answer, Body, Request, Upstream, digest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::corpus::Case;
use crate::normal;

/// Is sent behind each case, so that whoever has understood the case answers this too, and closes.
pub(crate) const END: &[u8] = b"GET /end HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Who says nothing for so long waits for more.
const QUIET: Duration = Duration::from_secs(1);

const AT_ONCE: usize = 64;

/// A request that reached an application whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body_bytes: u64,
    pub(crate) body_digest: u64,
}

impl Forwarded {
    /// What equals no request.
    pub(crate) fn nothing() -> Self {
        Self { method: String::new(), target: String::new(), body_bytes: 0, body_digest: 0 }
    }

    /// The same with its target in normal form.
    pub(crate) fn normal(&self) -> Self {
        Self { target: normal::target(&self.target), ..self.clone() }
    }
}

/// What became of all cases at one proxy, by their numbers.
pub(crate) struct Outcome {
    pub(crate) forwarded: Vec<Vec<Forwarded>>,
}

/// An application that takes everything.
pub(crate) fn application() -> Upstream {
    Upstream::start(|_| Answer::ok("")).unwrap()
}

/// The next address that nobody had.
fn client() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let [_, high, middle, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Ipv4Addr::new(127, 1 + high, middle, low)
}

/// Sends all cases.
pub(crate) async fn run(cases: &Arc<Vec<Case>>, to: SocketAddr, upstream: &Upstream) -> Outcome {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut clients = JoinSet::new();
    for number in 0..cases.len() {
        let (places, cases) = (Arc::clone(&places), Arc::clone(cases));
        clients.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let client = client();
            send(client, to, &cases[number].bytes).await;
            (client.to_string(), number)
        });
    }
    let numbers: BTreeMap<String, usize> = clients.join_all().await.into_iter().collect();
    let mut forwarded = vec![Vec::new(); cases.len()];
    let bodies: BTreeMap<usize, Body> = upstream.seen().bodies().into_iter().map(|body| (body.number, body)).collect();
    for request in upstream.seen().heads() {
        if let Some(number) = address(&request).and_then(|address| numbers.get(&address))
            && let Some(request) = whole(&request, &bodies)
        {
            forwarded[*number].push(request);
        }
    }
    Outcome { forwarded }
}

/// Sends a case and reads until the proxy closes, or waits for more.
async fn send(from: Ipv4Addr, to: SocketAddr, bytes: &[u8]) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let mut stream = within("connecting", socket.connect(to)).await.unwrap();
    // It may have been refused and closed before the last byte is written.
    drop(within("sending", stream.write_all(&[bytes, END].concat())).await);
    let mut answer = Vec::new();
    while let Ok(Ok(1..)) = timeout(QUIET, stream.read_buf(&mut answer)).await {}
}

/// The one address that a request comes from.
fn address(request: &Request) -> Option<String> {
    match &request.values("x-real-ip")[..] {
        [address] => Some(address.clone()),
        _ => None,
    }
}

/// A request, if its body was read to its end.
fn whole(request: &Request, bodies: &BTreeMap<usize, Body>) -> Option<Forwarded> {
    let declares_body = !request.values("transfer-encoding").is_empty()
        || request.value("content-length").is_some_and(|length| length.parse() != Ok(0));
    let (body_bytes, body_digest) = match bodies.get(&request.number) {
        Some(body) => (body.length, body.digest),
        None if declares_body => return None,
        None => (0, digest(b"")),
    };
    Some(Forwarded { method: request.method(), target: request.target(), body_bytes, body_digest })
}

/// Requests that come from none of our clients.
pub(crate) fn stray(upstream: &Upstream) -> Vec<Request> {
    let is_ours = |address: &str| address.starts_with("127.") && !address.starts_with("127.0.");
    let heads = upstream.seen().heads().into_iter();
    heads.filter(|request| !address(request).is_some_and(|address| is_ours(&address))).collect()
}
