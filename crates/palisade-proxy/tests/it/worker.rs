//! One worker for a test: its runtime, clock, settings and requests.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use palisade_core::{Edited, HeaderEdits, Monotonic, TraceId};
use palisade_proxy::{
    Ambient, Answer, Ask, Engine, Failure, HostHeader, Outbound, Protocol, Received, RequestBody, ResponseBody, Sent,
    Sentry, Settings, Streamable, Timeouts, Trace, Upstream, hop,
};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Runs a test as a worker runs: on one thread, with local tasks, not longer than the limit.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tasks = LocalSet::new();
    runtime.block_on(tasks.run_until(async { tokio::time::timeout(LIMIT, test).await.expect("in time") }));
}

thread_local! {
    /// The engine that the tests of this thread speak HTTP/1.1 with.
    static ENGINE: Cell<Engine> = const { Cell::new(Engine::Own) };
}

/// Runs a test once with each engine.
pub(crate) fn both(test: impl Fn()) {
    for engine in [Engine::Own, Engine::Hyper] {
        ENGINE.set(engine);
        eprintln!("{engine:?}");
        test();
    }
}

/// The engine of the test that runs.
pub(crate) fn engine() -> Engine {
    ENGINE.get()
}

pub(crate) fn ambient() -> Rc<Ambient> {
    let start = Instant::now();
    let state = Cell::new(0x9e37_79b9_7f4a_7c15u64);
    let entropy = move || {
        state.set(state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
        state.get() ^ (state.get() >> 29)
    };
    let now = move || Monotonic::from_nanos(1 + start.elapsed().as_nanos() as u64);
    Rc::new(Ambient::new(now, entropy))
}

pub(crate) fn settings(urls: &[&str]) -> Settings {
    Settings {
        servers: urls.iter().map(|url| url.parse().unwrap()).collect(),
        protocol: Protocol::Http1,
        engine: engine(),
        host: HostHeader::Keep,
        private_ca: None,
    }
}

/// A body that the test feeds, or that is whole from the start.
#[derive(Debug)]
pub(crate) enum Fed {
    Whole(Option<Bytes>),
    Parts(mpsc::Receiver<io::Result<Frame<Bytes>>>),
}

impl Fed {
    pub(crate) fn parts() -> (mpsc::Sender<io::Result<Frame<Bytes>>>, Self) {
        let (send, receive) = mpsc::channel(1);
        (send, Self::Parts(receive))
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Parts(parts) => parts.poll_recv(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(bytes) => http_body::SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Parts(_) => http_body::SizeHint::default(),
        }
    }
}

pub(crate) fn request(method: Method, path: &str, body: RequestBody<Fed>) -> Request<RequestBody<Fed>> {
    Request::builder().method(method).uri(path).header("host", "briefly.example").body(body).unwrap()
}

pub(crate) fn get(path: &str) -> Request<RequestBody<Fed>> {
    request(Method::GET, path, RequestBody::Empty)
}

pub(crate) fn post(path: &str, body: &[u8]) -> Request<RequestBody<Fed>> {
    let body = (!body.is_empty()).then(|| Bytes::copy_from_slice(body));
    request(Method::POST, path, RequestBody::new(Fed::Whole(body)))
}

pub(crate) fn ask() -> Ask {
    Ask {
        began: Monotonic::default(),
        timeouts: Timeouts::default(),
        trace: Trace { id: TraceId::from_entropy(7), sentry: Sentry::Untold },
        prepared: hop::Prepared::default(),
        permit: None,
    }
}

/// Prepares the head as the gateway does, then sends.
pub(crate) async fn send(upstream: &Upstream<Fed>, request: Request<RequestBody<Fed>>) -> Sent<Fed> {
    send_with(upstream, request, ask()).await
}

pub(crate) async fn send_with<B: Streamable>(
    upstream: &Upstream<B>,
    request: Request<RequestBody<B>>,
    mut ask: Ask,
) -> Sent<B> {
    let (parts, body) = request.into_parts();
    let mut edits = HeaderEdits::none();
    ask.prepared = hop::prepare(&parts.method, &parts.headers, body.payload(), &|_| true, &mut edits).unwrap();
    let target = parts.uri.path_and_query().unwrap().as_str();
    upstream.send(Outbound { method: &parts.method, target, head: &parts.headers, edits, body, hints: None }, ask).await
}

pub(crate) fn response(sent: Sent<Fed>) -> Response<ResponseBody<Fed>> {
    match sent.answer {
        Ok(Answer::Response(received)) => made(received),
        other => panic!("{other:?}"),
    }
}

/// An answer as the client gets it.
pub(crate) fn made<T>(received: Received<T>) -> Response<T> {
    let Received { status, head, edits, body } = received;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = Edited { head: &head, edits: &edits }.to_map();
    response
}

/// The answer as text: `200 body`, or `cut after "part"`, or the failure's reason.
pub(crate) async fn outcome(sent: Sent<Fed>) -> String {
    let response = match sent.answer {
        Ok(Answer::Response(received)) => made(received),
        Ok(Answer::Switch(..)) => return "switch".to_owned(),
        Err(Failure::Body(error)) => return format!("body: {error}"),
        Err(Failure::Upstream { reason, .. }) => return reason.code().to_owned(),
    };
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => read.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(error) => {
                let text = String::from_utf8_lossy(&read);
                return format!("{status} {text:?} then {}", error.reason().code());
            }
        }
    }
    format!("{status} {}", String::from_utf8_lossy(&read))
}
