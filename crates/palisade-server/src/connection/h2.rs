//! One HTTP/2 connection, from its preface to its last frame.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;

use super::ask::{Asking, ask};
use super::h2watch::{H2Ending, Shared};
use super::registry::Registry;
use super::stream::{self, Transport};
use super::turns;
use super::{Close, Service};
use crate::counters::ConnectionLimit;
use crate::limits::Limits;
use crate::memory::Pressure;

/// Runs a connection's streams beside it, on the same thread. A stream's task ends with its
/// connection: the engine resets what is left.
#[derive(Clone, Copy, Debug)]
struct Local;

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// Serves a connection whose `first` bytes were read already. Returns the socket and how to close
/// it.
pub(crate) async fn serve<T: Transport, S: Service>(
    io: T,
    first: BytesMut,
    asking: Asking<S>,
    limits: &Arc<Limits>,
    registry: &Rc<Registry>,
    turn: turns::Place,
) -> Option<(T, Close)> {
    let watch = Shared::new(io, first, limits, &asking.exchange);
    let counters = Arc::clone(&asking.counters);
    let asking = Rc::new(asking);
    let memory = Arc::clone(&asking.memory);
    let h2 = &limits.h2;
    let mut connection = Box::pin(
        http2::Builder::new(Local)
            .initial_stream_window_size(h2.window_bytes)
            .initial_connection_window_size(h2.window_bytes)
            .max_concurrent_streams(h2.streams_max)
            .max_header_list_size(h2.header_list_bytes_max)
            .max_send_buf_size(h2.send_buffer_bytes_max)
            .max_pending_accept_reset_streams(h2.resets_max as usize)
            .max_local_error_reset_streams(h2.resets_max as usize)
            .serve_connection(watch.engine_end(), service_fn(move |request| ask(Rc::clone(&asking), request))),
    );
    let mut place = None;
    let mut told = false;
    let _ = poll_fn(|context| {
        if turn.poll(context).is_pending() {
            return Poll::Pending;
        }
        let place = place.get_or_insert_with(|| registry.enter(context));
        let leave =
            place.is_draining() || watch.ending() == Some(H2Ending::Idle) || memory.pressure() >= Pressure::KeepNone;
        if leave && !std::mem::replace(&mut told, true) {
            connection.as_mut().graceful_shutdown();
        }
        let over = Pin::new(&mut connection).poll(context).map(drop);
        match watch.poll_send(context) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => over,
        }
    })
    .await;
    drop(connection);
    let ending = watch.ending();
    let (mut io, last) = watch.into_parts()?;
    match ending {
        Some(H2Ending::Flood(limit)) => {
            counters.limit_acted(limit);
            say(&mut io, &last, limits).await;
            Some((io, Close::Linger))
        }
        Some(H2Ending::Idle) => {
            counters.limit_acted(ConnectionLimit::Idle);
            Some((io, Close::Now))
        }
        Some(H2Ending::Close(limit)) => {
            counters.limit_acted(limit);
            Some((io, Close::Now))
        }
        Some(H2Ending::Reset(limit)) => {
            counters.limit_acted(limit);
            Some((io, Close::Reset))
        }
        None => {
            say(&mut io, &last, limits).await;
            Some((io, Close::Now))
        }
    }
}

/// Writes the last bytes. Bounded like any close: who doesn't read them doesn't get them.
async fn say<T: Transport>(io: &mut T, last: &[u8], limits: &Limits) {
    if !last.is_empty() {
        let _ = tokio::time::timeout(limits.linger, stream::write_all(io, last)).await;
    }
}
