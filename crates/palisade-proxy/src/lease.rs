//! A connection, or a stream of one, while one request has it.

use crate::http1;
use crate::http2;

/// What a request holds until its answer has ended. Dropped before that, it ends the exchange: an
/// HTTP/1.1 connection is closed, an HTTP/2 stream is reset with the body that is dropped beside.
pub(crate) enum Lease<B: 'static> {
    Http1(http1::Lease<B>),
    Http2(http2::Lease<B>),
}

impl<B> Lease<B> {
    /// The answer has ended: the connection may serve the next request.
    pub(crate) fn finish(self) {
        match self {
            Self::Http1(lease) => lease.finish(),
            Self::Http2(lease) => drop(lease),
        }
    }
}
