//! One client's connection: encrypted or not, of either protocol, within its limits.
//!
//! HTTP/1.1 has our own engine (`own`), or hyper's; HTTP/2 has hyper's. What hyper doesn't promise is
//! added around it: below by a watch on the socket (`watch`, `h2watch`), above where the service is
//! asked (`ask`).

mod answer;
mod arrived;
mod ask;
mod body;
mod date;
mod exchange;
mod frames;
pub mod framing;
mod h1;
mod h2;
mod h2guard;
mod h2watch;
pub mod message;
mod own;
mod pace;
mod registry;
mod stream;
mod turns;
mod watch;

use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use palisade_core::{Reason, Sift};
use palisade_http1::write::Writable;
use palisade_proxy::{AnswerHead, Deadlines};
use palisade_tower::answer::Answer;
use tokio::net::TcpStream;
use tokio::time::Instant;

use self::ask::Asking;
use self::exchange::Exchange;
use self::frames::PREFACE;
use self::stream::{Scratch, Socket, Stream, Transport};
use crate::admission::Slot;
use crate::counters::{ConnectionLimit, Counters, Engine, Handshake};
use crate::limits::Limits;
use crate::memory::Memory;
use crate::tls::Tls;

pub use self::arrived::{Arrived, Duplex, Upgrade};
pub use self::body::{BodyError, RequestBody};
pub(crate) use self::registry::{Place, Registry};
pub(crate) use self::turns::Turns;

/// What answers the requests of a worker's connections.
pub trait Service: 'static {
    /// The answer's body.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + 'static;
    /// There is no answer: the connection closes, or the stream is reset with the code of an
    /// [`h2::Error`](::h2::Error) in the chain of sources.
    type Error: Into<Box<dyn Error + Send + Sync>> + 'static;

    /// Answers one request.
    fn call<H: Sift + Writable>(
        &self,
        request: Arrived<H>,
        connection: Connection,
    ) -> impl Future<Output = Result<Answer<AnswerHead, Self::Body>, Self::Error>>;
}

/// The connection that a request came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The socket's other end.
    pub peer: SocketAddr,
    /// The listener that accepted it, by its name.
    pub listener: &'static str,
    /// Whether it is encrypted.
    pub secure: bool,
    /// The protocol.
    pub engine: Engine,
}

/// What a connection is served with.
#[derive(Debug)]
pub(crate) struct Surroundings<S> {
    pub(crate) service: Rc<S>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) registry: Rc<Registry>,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) turns: Rc<Turns>,
    /// Who speaks HTTP/1.1.
    pub(crate) http1: palisade_proxy::Engine,
    pub(crate) listener: &'static str,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// How a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// At once.
    Now,
    /// After the client had the time to read the last answer.
    Linger,
    /// What wasn't taken is thrown away.
    Reset,
}

/// Serves one accepted socket until it is closed, or has become a tunnel that someone else serves.
pub(crate) async fn serve<S: Service>(socket: TcpStream, peer: SocketAddr, slot: Slot, around: Surroundings<S>) {
    // On the heap, as what follows: most connections are idle, and room for a handshake isn't needed
    // then.
    let Some((socket, engine, first)) = Box::pin(open(socket, &around)).await else {
        return;
    };
    let secure = matches!(socket, Socket::Encrypted(_));
    let connection = Connection { peer, listener: around.listener, secure, engine };
    let stream = Stream::new(socket, engine, slot, &around.counters);
    match speak(stream, first, connection, &around).await {
        Some((mut stream, Close::Linger)) => {
            let lingering = stream::linger(&mut stream, around.limits.linger_bytes_max);
            // The client's socket errors are its own affair by now.
            let _ = tokio::time::timeout(around.limits.linger, lingering).await;
        }
        Some((stream, Close::Reset)) => stream.reset_on_close(),
        Some((_, Close::Now)) | None => {}
    }
}

/// Speaks the protocol that was found.
async fn speak<T: Transport, S: Service>(
    io: T,
    first: BytesMut,
    connection: Connection,
    around: &Surroundings<S>,
) -> Option<(T, Close)> {
    let asking = Asking {
        service: Rc::clone(&around.service),
        exchange: Arc::new(Exchange::default()),
        memory: Arc::clone(&around.memory),
        counters: Arc::clone(&around.counters),
        connection,
        pace: around.limits.pace,
    };
    let (limits, registry) = (&around.limits, &around.registry);
    // Each on the heap: a connection is one of them, and most are idle.
    match (connection.engine, around.http1) {
        (Engine::H1, palisade_proxy::Engine::Own) => {
            let conn = own::open(io, first, limits, &around.deadlines);
            Box::pin(own::serve(conn, Rc::new(asking), limits, registry)).await
        }
        (Engine::H1, palisade_proxy::Engine::Hyper) => Box::pin(h1::serve(io, first, asking, limits, registry)).await,
        (Engine::H2, _) => Box::pin(h2::serve(io, first, asking, limits, registry, around.turns.enter())).await,
    }
}

/// Finds the protocol: by ALPN after the TLS handshake, else by the first bytes.
async fn open<S>(mut socket: TcpStream, around: &Surroundings<S>) -> Option<(Socket, Engine, BytesMut)> {
    let counters = &around.counters;
    let Some(tls) = &around.tls else {
        let (engine, first) = detect(&mut socket, &around.limits, counters).await?;
        return Some((Socket::Plain(socket), engine, first));
    };
    let (handshake, stream) = match tokio::time::timeout(around.limits.handshake, tls.accept(socket)).await {
        Ok(Ok(stream)) => (Handshake::Complete, Some(stream)),
        Ok(Err(_)) => (Handshake::Failed, None),
        Err(_) => {
            counters.limit_acted(ConnectionLimit::Handshake);
            (Handshake::Late, None)
        }
    };
    counters.shook_hands(handshake);
    let stream = stream?;
    let engine = if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Engine::H2 } else { Engine::H1 };
    Some((Socket::Encrypted(Box::new(stream)), engine, BytesMut::new()))
}

/// Reads until the bytes are HTTP/2's preface or can't become it.
async fn detect<T: Transport>(io: &mut T, limits: &Limits, counters: &Counters) -> Option<(Engine, BytesMut)> {
    let deadline = Instant::now() + limits.first_byte;
    let mut first = BytesMut::new();
    loop {
        let read = std::future::poll_fn(|context| {
            Scratch::take().poll_fill(io, context, FIRST_BYTES).map_ok(|bytes| {
                first.extend_from_slice(bytes);
                bytes.len()
            })
        });
        match tokio::time::timeout_at(deadline, read).await {
            Ok(Ok(0) | Err(_)) => return None,
            Ok(Ok(_)) if first.starts_with(PREFACE) => return Some((Engine::H2, first)),
            Ok(Ok(_)) if !PREFACE.starts_with(&first) => return Some((Engine::H1, first)),
            Ok(Ok(_)) => {}
            Err(_) if first.is_empty() => {
                counters.limit_acted(ConnectionLimit::FirstByte);
                return None;
            }
            // The beginning of a head, as far as anyone can tell.
            Err(_) => {
                counters.limit_acted(ConnectionLimit::HeadTime);
                counters.refused(Reason::HttpTimeout);
                let refusal = answer::refusal(Reason::HttpTimeout);
                let _ = tokio::time::timeout(limits.linger, stream::write_all(io, &refusal)).await;
                return None;
            }
        }
    }
}

/// The most that is read before the protocol is known.
const FIRST_BYTES: usize = 4096;

#[cfg(test)]
mod tests;
