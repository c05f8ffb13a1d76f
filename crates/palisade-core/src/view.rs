//! What a policy sees of a request, and of its answer.

use http::{Method, StatusCode};

use crate::decision::Facts;
use crate::head::{Head, Single};
use crate::media;
use crate::{ClientIp, Identity, Now, Overrides, Path, RequestId, Route, Tally};

/// A borrowed look at a request's head and at what is known so far.
///
/// Everything in it was parsed once, at the edge: no policy parses an address, a path or a clock
/// again, and the application receives the same bytes that were decided upon.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The method, case-sensitive as it was sent.
    pub method: &'a Method,
    /// The path in normal form; the same bytes go upstream.
    pub path: &'a Path<'a>,
    /// What follows the first `?`, untouched.
    pub query: Option<&'a str>,
    /// The authority the client asked for: `Host`, or `:authority`.
    pub authority: &'a str,
    /// The header fields, without those that the inbound filter removed.
    pub head: &'a dyn Head,
    /// The client's address, taken from trusted hops only.
    pub client: ClientIp,
    /// Whether the client's own connection was encrypted.
    pub secure: bool,
    /// The protocol of the client's connection.
    pub protocol: Protocol,
    /// The route that the path belongs to.
    pub route: &'a Route,
    /// Who sent it, as far as earlier policies found out.
    pub identity: &'a Identity,
    /// The id in the answer, the record and every problem document.
    pub request_id: &'a RequestId,
    /// What earlier policies left for later ones.
    pub facts: &'a Facts,
    /// What limits said. Complete when the answer is dressed; nobody sees it before.
    pub limits: &'a [Tally],
    /// What operators set for single keys of limits, if they did.
    pub overrides: Option<&'a Overrides>,
    /// When the head was complete; after a body was read, when that was.
    pub now: Now,
}

impl View<'_> {
    /// Whether a person is waiting for a page, so that a refusal should be one.
    ///
    /// Fetch metadata decides where the browser sends it; otherwise a GET that prefers HTML.
    pub fn is_navigation(&self) -> bool {
        if self.method != Method::GET && self.method != Method::POST {
            return false;
        }
        match self.head.first(&http::HeaderName::from_static("sec-fetch-mode")) {
            Some(mode) => mode == b"navigate",
            None => {
                self.method == Method::GET
                    && self.head.first(&http::header::ACCEPT).is_some_and(|accept| accept.starts_with(b"text/html"))
            }
        }
    }
}

/// What a policy sees of an answer before its first byte leaves.
#[derive(Clone, Copy)]
pub struct ResponseView<'a> {
    /// The status as it will be sent.
    pub status: StatusCode,
    /// The header fields as the application, or a refusal, set them.
    pub head: &'a dyn Head,
    /// How many bytes the content has, if that is known before the first one leaves. The fields
    /// need not say so: framing is made anew for every connection.
    pub length: Option<u64>,
}

impl ResponseView<'_> {
    /// The media type without its parameters, if there is exactly one `Content-Type`.
    pub fn media_type(&self) -> Option<&[u8]> {
        match self.head.single(&http::header::CONTENT_TYPE) {
            Single::One(value) => Some(media::essence(value)),
            Single::Absent | Single::Repeated => None,
        }
    }
}

/// The protocol between client and gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    H2,
}

impl Protocol {
    /// The name in records and labels, as ALPN spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http10 => "http/1.0",
            Self::Http11 => "http/1.1",
            Self::H2 => "h2",
        }
    }
}
