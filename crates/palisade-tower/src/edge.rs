//! The edge: what is made of a request's head before anybody is asked about it.
//!
//! Everything that several policies would otherwise parse for themselves is parsed here, once: the
//! request's id, its trace, the client's address, the path in normal form. Fields that only a
//! gateway or a framework may set are taken out, in whatever spelling they come. What policies see
//! afterwards is what the application receives.

use http::header::{HeaderName, HeaderValue};
use palisade_core::client::{Hops, Scheme};
use palisade_core::path::EncodedSlash;
use palisade_core::trace::{Incoming, Traced};
use palisade_core::{ClientIp, Now, Path, Reason, Refusal, RequestId, Sift, Single, SpanId, TraceId};
use palisade_policy::inbound::{Inbound, InboundFilter};
use siphasher::sip::SipHasher13;

/// What the config says about the edge.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Which peers may speak for their clients, and in which field.
    pub hops: Hops,
    /// What an escaped slash in a path means.
    pub encoded_slash: EncodedSlash,
    /// Which request fields are taken out.
    pub inbound: InboundFilter,
    /// Whose trace ids are continued.
    pub accept: AcceptTrace,
    /// Which traces are kept.
    pub sample: Sample,
}

/// The share of traces that is kept, chosen by a keyed hash of the trace id, so that gateways with
/// the same key choose the same traces and no client can choose its own.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The key.
    pub key: [u8; 16],
    /// How many of a million.
    pub per_million: u32,
}

/// Whose trace ids are continued. Never anybody's sampled flag: a client must not choose what is
/// kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptTrace {
    /// Everybody's.
    Ids,
    /// Trusted proxies' only.
    Off,
}

/// The other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The socket's address.
    pub address: ClientIp,
    /// Whether the connection itself is encrypted.
    pub secure: bool,
}

/// Random bits for one request, drawn by the caller.
#[derive(Clone, Copy, Debug)]
pub struct Entropy {
    /// For the request id. Two words, since one of 128 bits would align whatever holds it.
    pub request: [u64; 2],
    /// For the trace id, if none is continued.
    pub trace: [u64; 2],
    /// For the span id.
    pub span: u64,
}

impl Entropy {
    /// Draws from `source`. Ids need to be unique, not secret.
    pub fn draw(source: &mut fastrand::Rng) -> Self {
        let mut two = || [source.u64(..), source.u64(..)];
        Self { request: two(), trace: two(), span: source.u64(..) }
    }
}

fn wide([high, low]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

impl Peer {
    /// A connection whose other end is unknown. All such requests count as one client.
    pub const UNKNOWN: Self = Self { address: ClientIp::UNSPECIFIED, secure: false };
}

/// What the edge found out about a request.
#[derive(Debug)]
pub struct Arrival {
    /// When the head was complete.
    pub now: Now,
    /// Our id of the request.
    pub request_id: RequestId,
    /// The same as a field's value, made once for request and answer.
    pub request_id_value: HeaderValue,
    /// What the client called it, if that has the form of an id.
    pub client_request_id: Option<RequestId>,
    /// The client's address.
    pub client: ClientIp,
    /// Whether `X-Forwarded-For` came from a peer that isn't trusted, and was taken out.
    pub forwarded_untrusted: bool,
    /// Whether the client's own connection is encrypted, as far as trusted hops say.
    pub secure: bool,
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Our span in it.
    pub span_id: SpanId,
    /// The span that called us.
    pub parent_id: Option<SpanId>,
    /// What else of the trace context goes on to the application.
    pub trace: Incoming,
    /// Whether the trace is kept as a sample.
    pub traced: bool,
}

/// Whether the field came in which proxies usually name the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forwarded {
    Absent,
    Sent,
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: &[u8] = b"x-forwarded-for";

impl Edge {
    /// Reads what the head says and takes out what no client may say.
    ///
    /// # Errors
    ///
    /// A refusal if a field's name is odd and the config rejects those. The arrival is given all
    /// the same: a refused request has an id and a record too.
    pub fn arrive<H: Sift>(
        &self,
        head: &mut H,
        peer: Peer,
        now: Now,
        entropy: Entropy,
    ) -> (Arrival, Result<(), Refusal>) {
        let trusted = self.hops.trusts(peer.address);
        let client = self.hops.client(peer.address, head);
        let secure = match self.hops.scheme(peer.address, head) {
            Some(scheme) => scheme == Scheme::Https,
            None => peer.secure,
        };
        let sent_id = match head.single(&X_REQUEST_ID) {
            Single::One(value) => str::from_utf8(value).ok().and_then(RequestId::taken_over),
            Single::Absent | Single::Repeated => None,
        };
        let incoming = match self.accept {
            AcceptTrace::Off if !trusted => Incoming::default(),
            AcceptTrace::Ids | AcceptTrace::Off => Incoming::read(head),
        };
        let (trace_id, parent_id, sampled) = match incoming.parent {
            Some(Traced { trace, parent, sampled, .. }) => (trace, Some(parent), sampled),
            None => (TraceId::from_entropy(wide(entropy.trace)), None, false),
        };
        let request_id = match sent_id {
            Some(id) if trusted => id,
            Some(_) | None => RequestId::new(now.utc, wide(entropy.request)),
        };
        let (forwarded, filtered) = self.filter(head);
        let arrival = Arrival {
            now,
            request_id,
            // An id holds letters, digits and `._~-` only.
            request_id_value: HeaderValue::from_bytes(request_id.as_bytes()).unwrap_or(HeaderValue::from_static("")),
            client_request_id: sent_id.filter(|_| !trusted),
            client,
            forwarded_untrusted: !trusted && forwarded == Forwarded::Sent,
            secure,
            trace_id,
            span_id: SpanId::from_entropy(entropy.span),
            parent_id,
            trace: incoming,
            // Only a trusted proxy's flag counts: a client must not choose what is kept.
            traced: trusted && sampled || self.sample.takes(trace_id),
        };
        (arrival, filtered)
    }

    /// The path in normal form.
    ///
    /// # Errors
    ///
    /// A refusal if the path has none.
    pub fn path<'a>(&self, raw: &'a str) -> Result<Path<'a>, Refusal> {
        Path::parse(raw, self.encoded_slash)
            .map_err(|malformed| Refusal::new(Reason::PathMalformed).detail(malformed.to_string()))
    }

    /// Takes out the fields that no client may set, and tells whether one of them says where the
    /// request came from.
    fn filter(&self, head: &mut impl Sift) -> (Forwarded, Result<(), Refusal>) {
        let (mut odd, mut forwarded) = (None, Forwarded::Absent);
        head.sift(&mut |name| match self.inbound.verdict(name) {
            Inbound::Keep => true,
            Inbound::Drop => {
                if name == X_FORWARDED_FOR {
                    forwarded = Forwarded::Sent;
                }
                false
            }
            Inbound::Reject => {
                odd = Some(String::from_utf8_lossy(name).into_owned());
                true
            }
        });
        let filtered = match odd {
            None => Ok(()),
            Some(name) => Err(Refusal::new(Reason::HttpHeaderName).detail(format!("field name `{name}`"))),
        };
        (forwarded, filtered)
    }
}

impl Sample {
    /// Whether this trace belongs to the sample.
    fn takes(&self, trace: TraceId) -> bool {
        if self.per_million == 0 {
            return false;
        }
        let hash = SipHasher13::new_with_key(&self.key).hash(&trace.bytes());
        hash % 1_000_000 < u64::from(self.per_million)
    }
}
