//! One HTTP/1.1 connection on our own engine, from its first byte to its last.
//!
//! One task drives it: it finds a request, asks the service, writes the answer, and begins again.
//! The request's body is read by whoever wants it, straight from the socket, also while the answer
//! is being written. While the service works, the task looks whether the client is still there.
//! An idle connection holds no buffer.

mod conn;
mod outgoing;
mod target;
mod times;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body::Body;
use palisade_core::{Protocol, Reason};
use palisade_http1::{Fields, Framing, Request, Text, Version};
use palisade_proxy::{AnswerHead, Deadlines, Hints};
use palisade_tower::answer::Answer;
use tokio::sync::oneshot;

use self::conn::{Conn, Over, Shared};
use self::outgoing::{Asked, Outgoing, Sent};
use super::arrived::{Arrived, Duplex, Upgrade};
use super::ask::Asking;
use super::body::RequestBody;
use super::framing::{self, Line};
use super::registry::{Place, Registry};
use super::stream::{self, Transport};
use super::{Close, Service, answer};
use crate::limits::Limits;
use crate::memory::Pressure;

/// What of an unread body is read, so that the connection can be kept.
const DRAINED_MAX: u64 = 64 << 10;

/// What becomes of the connection after an exchange.
enum Then {
    Keep,
    Close(Close),
    /// Someone else has the socket.
    Gone,
}

/// A connection whose `first` bytes were read already.
pub(crate) fn open<T: Transport>(
    io: T,
    first: BytesMut,
    limits: &Arc<Limits>,
    deadlines: &Rc<Deadlines>,
) -> Rc<Shared<T>> {
    Rc::new(Shared::new(Conn::new(io, first, limits, deadlines)))
}

/// Serves a connection. Returns the socket, unless it has become a tunnel, and how to close it.
pub(crate) async fn serve<T: Transport, S: Service>(
    conn: Rc<Shared<T>>,
    asking: Rc<Asking<S>>,
    limits: &Arc<Limits>,
    registry: &Rc<Registry>,
) -> Option<(T, Close)> {
    let place = poll_fn(|context| Poll::Ready(registry.enter(context))).await;
    let over = loop {
        let request = match head(&conn, &place).await {
            Ok(Some(request)) => request,
            Ok(None) => continue,
            Err(over) => break over,
        };
        // On the heap while there are any: an idle connection has no room for them.
        match Box::pin(exchanges(&conn, request, &asking, &place)).await {
            Ok(Then::Keep) => {}
            Ok(Then::Close(close)) => return conn.with(|conn| conn.take_io()).map(|io| (io, close)),
            Ok(Then::Gone) => return None,
            Err(over) => break over,
        }
    };
    let mut io = conn.with(|conn| conn.take_io())?;
    let counters = &asking.counters;
    let close = match over {
        Over::Refuse(reason, limit) => {
            counters.refused(reason);
            limit.into_iter().for_each(|limit| counters.limit_acted(limit));
            // Bounded like any close: who doesn't read the refusal doesn't get it.
            let refusal = answer::refusal(reason);
            let _ = tokio::time::timeout(limits.linger, stream::write_all(&mut io, &refusal)).await;
            Close::Linger
        }
        Over::Limit(limit, close) => {
            counters.limit_acted(limit);
            close
        }
        Over::Left => Close::Now,
    };
    Some((io, close))
}

async fn head<T: Transport>(conn: &Rc<Shared<T>>, place: &Place) -> Result<Option<Request>, Over> {
    poll_fn(|context| conn.with(|conn| conn.poll_head(context, place.is_draining()))).await
}

/// Requests and their answers, as long as one follows the other at once and there is room to wait.
async fn exchanges<T: Transport, S: Service>(
    conn: &Rc<Shared<T>>,
    first: Request,
    asking: &Asking<S>,
    place: &Place,
) -> Result<Then, Over> {
    let mut request = first;
    loop {
        match exchange(conn, request, asking, place).await? {
            Then::Keep => conn.with(|conn| conn.rest()),
            then @ (Then::Close(_) | Then::Gone) => return Ok(then),
        }
        let Some(_ready) = place.ready() else { return Ok(Then::Keep) };
        request = match head(conn, place).await? {
            Some(request) => request,
            None => return Ok(Then::Keep),
        };
    }
}

/// One request and its answer.
async fn exchange<T: Transport, S: Service>(
    conn: &Rc<Shared<T>>,
    request: Request,
    asking: &Asking<S>,
    place: &Place,
) -> Result<Then, Over> {
    let asked =
        Asked { is_head: request.method == Method::HEAD, version: request.version, persistent: request.persistent };
    let (give, arrived) = arrive(conn, request, asking)?;
    let answer = {
        let mut call = pin!(asking.service.call(arrived, asking.connection));
        poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending => conn.with(|conn| conn.poll_watch(context)).map(Err),
        })
        .await?
    };
    // There is nobody left to answer.
    let Ok(answer) = answer else { return Ok(Then::Close(Close::Now)) };
    let keeps = !place.is_draining() && asking.memory.pressure() < Pressure::KeepNone;
    reply(conn, answer, Asked { persistent: asked.persistent && keeps, ..asked }, give).await
}

/// Writes an answer.
async fn reply<T: Transport, B>(
    conn: &Rc<Shared<T>>,
    answer: Answer<AnswerHead, B>,
    asked: Asked,
    give: Option<oneshot::Sender<Box<dyn Duplex>>>,
) -> Result<Then, Over>
where
    B: Body<Data = Bytes> + Unpin,
{
    let switches = answer.status == StatusCode::SWITCHING_PROTOCOLS;
    // Said in the head, so that nobody sends another request here.
    let keeps = conn.with(|conn| conn.can_drain(DRAINED_MAX));
    let asked = Asked { persistent: asked.persistent && keeps, ..asked };
    let mut outgoing = conn.with(|conn| conn.begin_answer(|outbox| Outgoing::begin(answer, asked, outbox)));
    let sent = poll_fn(|context| outgoing.poll(context, conn)).await?;
    let outgoing = outgoing.ended();
    if switches {
        if let (Some(socket), Some(give)) = (conn.with(|conn| conn.take_duplex()), give) {
            // Who asked for it may have gone; then it closes.
            let _ = give.send(socket);
        }
        return Ok(Then::Gone);
    }
    let unread = conn.with(|conn| conn.is_unread());
    match sent {
        // Where the end of the connection is the end of the body, an orderly close would pass what
        // was cut off for the whole.
        Sent::Cut if outgoing.ends_with_connection => return Ok(Then::Close(Close::Reset)),
        Sent::Cut => return Ok(Then::Close(if unread { Close::Linger } else { Close::Now })),
        Sent::Whole => {}
    }
    if !outgoing.persistent || !conn.with(|conn| conn.can_drain(DRAINED_MAX)) {
        return Ok(Then::Close(if unread { Close::Linger } else { Close::Now }));
    }
    let drained = poll_fn(|context| conn.with(|conn| conn.poll_drain(context))).await;
    Ok(if drained { Then::Keep } else { Then::Close(Close::Linger) })
}

/// A request as every engine hands it over, and who is given the socket if it becomes a tunnel.
#[expect(clippy::type_complexity, reason = "a pair that is taken apart at once")]
fn arrive<T: Transport, S>(
    conn: &Rc<Shared<T>>,
    request: Request,
    asking: &Asking<S>,
) -> Result<(Option<oneshot::Sender<Box<dyn Duplex>>>, Arrived<Fields>), Over> {
    let Request { method, target, version, fields, framing, expects_continue, .. } = request;
    let protocol = match version {
        Version::Http10 => Protocol::Http10,
        Version::Http11 => Protocol::Http11,
    };
    let target::Target { authority, target } =
        target::parse(&method, target).ok_or(Over::Refuse(Reason::HttpMalformed, None))?;
    let line = Line { method: &method, protocol, authority: authority.as_deref(), target: &target };
    let malformed = framing::check(&line, &fields).err();
    let (give, upgrade) = if version == Version::Http11 && fields.get("upgrade").is_some() {
        let (give, take) = oneshot::channel();
        (Some(give), Some(Upgrade::new(async move { take.await.ok() })))
    } else {
        (None, None)
    };
    let body = match framing {
        Framing::None | Framing::Length(0) => RequestBody::none(),
        Framing::Length(length) => RequestBody::of_intake(conn.clone(), Some(length)),
        Framing::Chunked | Framing::Close => RequestBody::of_intake(conn.clone(), None),
    };
    conn.with(|conn| conn.begin_request(framing, expects_continue, &asking.counters));
    // A client of HTTP/1.0 knows no interim answers.
    let hints = (version == Version::Http11).then(|| conn.clone() as Rc<dyn Hints>);
    let authority = authority.or_else(|| fields.text("host")).unwrap_or_default();
    // What asks for a tunnel has no path, and `/` stands for it.
    let target = if method == Method::CONNECT { Text::from("/") } else { target };
    Ok((give, Arrived { method, protocol, target, authority, head: fields, body, malformed, hints, upgrade }))
}
