//! An answer's body and the connection that it comes on, while one request has it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use crate::body::Streamable;
use crate::error::BodyError;
use crate::http1::{self, Exchange};
use crate::http2;

/// What a request holds until its answer has ended. Dropped before that, it ends the exchange: an
/// HTTP/1.1 connection is closed, an HTTP/2 stream is reset.
pub(crate) enum Lease<B: 'static> {
    Own(Exchange<B>),
    Http1(Box<Incoming>, http1::hyper::Lease<B>),
    Http2(Box<Incoming>, http2::Lease<B>),
}

impl<B: Streamable> Lease<B> {
    /// The next part of the body.
    pub(crate) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Own(exchange) => exchange.poll_body(context),
            Self::Http1(incoming, _) | Self::Http2(incoming, _) => {
                Pin::new(&mut **incoming).poll_frame(context).map_err(BodyError::from)
            }
        }
    }
}

impl<B> Lease<B> {
    /// Whether the body has ended.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Own(exchange) => exchange.is_complete(),
            Self::Http1(incoming, _) | Self::Http2(incoming, _) => incoming.is_end_stream(),
        }
    }

    /// How long the body is, as far as that is known.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(exchange) => exchange.size_hint(),
            Self::Http1(incoming, _) | Self::Http2(incoming, _) => incoming.size_hint(),
        }
    }

    /// The answer has ended: the connection may serve the next request.
    pub(crate) fn finish(self) {
        match self {
            Self::Own(exchange) => exchange.finish(),
            Self::Http1(_, lease) => lease.finish(),
            Self::Http2(_, lease) => drop(lease),
        }
    }
}
