//! One HTTP/1.1 connection, from its first byte to its last.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::answer;
use super::ask::{Asking, ask};
use super::registry::Registry;
use super::stream::{self, Transport};
use super::watch::{Ending, Watch};
use super::{Close, Service};
use crate::limits::Limits;

/// Room in the engine's buffers beyond the largest head, so that the follower is the one to refuse.
const BEYOND_HEAD: usize = 32 << 10;

/// Serves a connection whose `first` bytes were read already. Returns the socket, unless it has
/// become a tunnel, and how to close it.
pub(crate) async fn serve<T: Transport, S: Service>(
    io: T,
    first: BytesMut,
    asking: Asking<S>,
    limits: &Arc<Limits>,
    registry: &Rc<Registry>,
) -> Option<(T, Close)> {
    let watch = Watch::new(io, first, limits, &asking.exchange);
    let counters = Arc::clone(&asking.counters);
    let exchange = Arc::clone(&asking.exchange);
    let asking = Rc::new(asking);
    let mut connection = http1::Builder::new()
        .half_close(false)
        .header_read_timeout(None)
        .max_buf_size(limits.message.head_bytes_max + BEYOND_HEAD)
        .serve_connection(watch, service_fn(|request| ask(Rc::clone(&asking), request)))
        .with_upgrades();
    let mut place = None;
    let mut told = false;
    // How it ended is in the watch, or nobody's fault.
    let _ = poll_fn(|context| {
        let place = place.get_or_insert_with(|| registry.enter(context));
        if place.is_draining() && !std::mem::replace(&mut told, true) {
            Pin::new(&mut connection).graceful_shutdown();
        }
        Pin::new(&mut connection).poll(context)
    })
    .await;
    let (mut io, ending, unread) = connection.into_parts()?.io.into_parts();
    match ending {
        Some(Ending::Refuse(reason, limit)) => {
            counters.refused(reason);
            limit.into_iter().for_each(|limit| counters.limit_acted(limit));
            // Bounded like any close: who doesn't read the refusal doesn't get it.
            let _ = tokio::time::timeout(limits.linger, stream::write_all(&mut io, &answer::refusal(reason))).await;
            Some((io, Close::Linger))
        }
        Some(Ending::Close(limit)) => {
            counters.limit_acted(limit);
            Some((io, Close::Now))
        }
        Some(Ending::Reset(limit)) => {
            counters.limit_acted(limit);
            Some((io, Close::Reset))
        }
        Some(Ending::Body(_, limit)) => {
            limit.into_iter().for_each(|limit| counters.limit_acted(limit));
            Some((io, if exchange.is_broken() { Close::Reset } else { Close::Linger }))
        }
        // Where the end of the connection is the end of the body, as in HTTP/1.0, an orderly close
        // would pass what was cut off for the whole.
        None if exchange.is_broken() => Some((io, Close::Reset)),
        None => Some((io, if unread { Close::Linger } else { Close::Now })),
    }
}
