//! The admin listener's connections.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::Admin;

/// Connections at once; one more is closed.
pub const CONNECTIONS_MAX: usize = 256;

const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEAD_TIME: Duration = Duration::from_secs(5);

/// What an operator waits for at most when the process ends.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// After a failed accept, which is nearly always a lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where operators connect.
pub(crate) trait Accept: Send + Sync + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Admin {
    /// Serves connections until `end`, then lets those that are being answered finish.
    pub(crate) async fn serve(self: Arc<Self>, listener: impl Accept, end: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (ending, ended) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut end = std::pin::pin!(end);
        loop {
            let accepted = tokio::select! {
                () = &mut end => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let Ok(stream) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                self.connections.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let (admin, ended) = (Arc::clone(&self), ended.clone());
            connections.spawn(async move {
                admin.converse(stream, ended).await;
                drop(place);
            });
        }
        drop(ending);
        // Who hasn't been answered by then is cut off when the set is dropped.
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_ANSWERS, all).await;
    }

    async fn converse(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        mut ended: watch::Receiver<()>,
    ) {
        self.connections.total.fetch_add(1, Ordering::Relaxed);
        self.connections.open.fetch_add(1, Ordering::Relaxed);
        let _open = Open(self);
        let service = service_fn(async |request| {
            let (head, body) = self.answer(request).await.into_parts();
            Ok::<_, std::convert::Infallible>(http::Response::from_parts(head, Full::<Bytes>::new(body)))
        });
        let mut builder = Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES_MAX);
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        // An error here is the client's: it broke off, was too slow or spoke no HTTP.
        tokio::select! {
            _ = connection.as_mut() => {}
            _ = ended.changed() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

struct Open<'a>(&'a Admin);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}
