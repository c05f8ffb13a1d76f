//! The guard as one Tower layer, for services written in Rust.
//!
//! The layer is a thin shell around [`Transit`](crate::transit::Transit), as the gateway is: the
//! same edge, the same guard, the same refusals. It adds nothing of its own beyond finding the
//! client's address in the request's extensions.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use palisade_core::{HeaderEdits, Reason, Record};
use tower_layer::Layer;
use tower_service::Service;

use crate::answer::Answer;
use crate::body::AnswerBody;
use crate::edge::{Entropy, Peer};
use crate::guard::{REQUEST_STAGES, Stores};
use crate::held::Held;
use crate::observe::{Close, IntakeBody, ObservedBody};
use crate::transit::{Incoming, Protection, Refused, Transit};
use crate::{asked, clock};

/// Hands a closed record to the service's own callback.
pub struct Hand(Arc<Shared>);

impl Close for Hand {
    fn close(self, record: Box<Record>) {
        (self.0.record)(*record);
    }
}

/// What every request of a service shares.
pub(crate) struct Shared {
    pub(crate) protection: Protection,
    pub(crate) stores: Stores,
    pub(crate) body_bytes_max: u64,
    pub(crate) peer: PeerOf,
    pub(crate) record: Box<dyn Fn(Record) + Send + Sync>,
}

/// Finds the other end of the connection among a request's extensions.
pub(crate) type PeerOf = Box<dyn Fn(&Extensions) -> Option<Peer> + Send + Sync>;

/// Protects the service that it wraps. Made by [`Palisade::builder`](crate::Palisade::builder).
#[derive(Clone)]
pub struct PalisadeLayer {
    shared: Arc<Shared>,
}

/// A service behind the guard.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// The request body that a guarded service receives.
pub type GuardedBody<B> = Held<IntakeBody<B>>;

/// The answer body that a guarded service gives.
pub type GuardedAnswer<B> = ObservedBody<AnswerBody<B>, Hand>;

impl PalisadeLayer {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }
}

impl<S> Layer<S> for PalisadeLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, shared: self.shared.clone() }
    }
}

impl<S, B, A> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<GuardedBody<B>>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Send + Unpin,
    A: Body<Data = Bytes> + Unpin + Send + 'static,
{
    type Response = Response<GuardedAnswer<A>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready takes the request; its clone stays behind.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(pass(self.shared.clone(), inner, request))
    }
}

async fn pass<S, B, A>(
    shared: Arc<Shared>,
    mut inner: S,
    request: Request<B>,
) -> Result<Response<GuardedAnswer<A>>, S::Error>
where
    S: Service<Request<GuardedBody<B>>, Response = Response<A>>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Unpin,
    A: Body<Data = Bytes> + Unpin,
{
    let (mut parts, body) = request.into_parts();
    let now = clock::now();
    let peer = (shared.peer)(&parts.extensions).unwrap_or(Peer::UNKNOWN);
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let authority = asked::authority(&uri, &parts.headers);
    let arriving = Incoming {
        method: &method,
        protocol: asked::protocol(parts.version),
        target: asked::target(&uri),
        authority: &authority,
        peer,
        now,
        entropy: Entropy::draw(&mut fastrand::Rng::new()),
    };
    let close = Hand(shared.clone());
    let (mut transit, refused) = Transit::arrive(&shared.protection, arriving, &mut parts.headers, close);
    if let Some(refusal) = refused {
        return Ok(transit.end(Refused::Refusal(refusal), &parts.headers).into());
    }
    let body = IntakeBody::new(body, shared.body_bytes_max);
    transit.observation.takes_in(body.intake());
    let mut body = Held::new(body);
    let ruling = transit.ask(&shared.stores, REQUEST_STAGES, &parts.headers, &mut body).await;
    if let Some(refused) = ruling.ended() {
        return Ok(transit.end(refused, &parts.headers).into());
    }
    let head = parts.headers.clone();
    std::mem::take(&mut transit.passage.request).apply(&mut parts.headers);
    let response = match inner.call(Request::from_parts(parts, body)).await {
        Ok(response) => response,
        Err(error) => {
            // Else the dropped observation would say that the client left.
            transit.observation.failed(Reason::UpstreamReset);
            return Err(error);
        }
    };
    let (mut made, body) = response.into_parts();
    let fields = std::mem::take(&mut made.headers);
    let answer = Answer { status: made.status, head: fields, edits: HeaderEdits::none(), body: AnswerBody::App(body) };
    let Answer { mut head, edits, body, .. } = transit.answer(answer, |_| Reason::UpstreamReset, &head);
    edits.apply(&mut head);
    made.headers = head;
    Ok(Response::from_parts(made, body))
}
