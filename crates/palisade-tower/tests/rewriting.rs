//! What becomes of an answer's body on its way through rewritings.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::Read as _;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use palisade_core::{
    HeaderEdits, Mode, Outcome, Policy, Question, Reason, Record, ResponseView, Stage, Transform, Transformation, View,
};
use palisade_policy::compress::{Coding, Compress};
use palisade_tower::{GuardedBody, Palisade};
use tower_layer::Layer as _;
use tower_service::Service;

/// What an application sends, in this order; then it ends.
#[derive(Clone)]
struct Script(VecDeque<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Data(&'static str),
    Trailers,
    Break,
    /// Not sent; the body says that it is this long.
    Length(u64),
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(|step| match step {
            Step::Data(text) => Ok(Frame::data(Bytes::from(text))),
            Step::Trailers => Ok(Frame::trailers(trailers())),
            Step::Break => Err("broken"),
            Step::Length(_) => Ok(Frame::data(Bytes::new())),
        }))
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.front() {
            Some(Step::Length(length)) => SizeHint::with_exact(*length),
            Some(Step::Data(_) | Step::Trailers | Step::Break) | None => SizeHint::default(),
        }
    }
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), HeaderValue::from_static("7"))])
}

impl Service<Request<GuardedBody<Full<Bytes>>>> for Script {
    type Response = Response<Self>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<GuardedBody<Full<Bytes>>>) -> Self::Future {
        let response = Response::builder().header("content-type", "text/html").header("content-length", "5000");
        ready(Ok(response.body(self.clone()).unwrap()))
    }
}

/// Transform: everything at the end.
#[derive(Clone, Default)]
struct Hoard(Vec<u8>);

impl Transform for Hoard {
    fn begin(&self, _: &View<'_>, _: &ResponseView<'_>, _: &mut HeaderEdits) -> Option<Box<dyn Transformation>> {
        Some(Box::new(self.clone()))
    }
}

impl Transformation for Hoard {
    fn feed(&mut self, chunk: Bytes) -> Bytes {
        self.0.extend(chunk);
        Bytes::new()
    }

    fn end(&mut self) -> Bytes {
        std::mem::take(&mut self.0).into()
    }
}

/// What the client receives.
struct Received {
    head: HeaderMap,
    chunks: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    error: Option<&'static str>,
    record: Record,
}

impl Received {
    fn bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }
}

async fn through(policies: Vec<Policy>, script: &[Step]) -> Received {
    let (sent, records) = mpsc::channel();
    let mut builder = Palisade::builder().on_record(move |record| sent.send(record).unwrap());
    for policy in policies {
        let (place, about) = ("test".into(), "".into());
        let (stage, mode) = (Stage::Dress, Mode::Enforce);
        builder = builder.question(Question { name: "test", stage, mode, place, about, policy });
    }
    let mut service = builder.build().unwrap().layer(Script(script.iter().cloned().collect()));
    let request = Request::get("/").header("host", "app.example").header("accept-encoding", "gzip");
    let response = service.call(request.body(Full::default()).unwrap()).await.unwrap();
    let (parts, mut body) = response.into_parts();
    let (mut chunks, mut trailers, mut error) = (Vec::new(), None, None);
    while let Some(frame) = body.frame().await {
        assert!(trailers.is_none() && error.is_none(), "nothing comes after the end");
        match frame.map(Frame::into_data) {
            Ok(Ok(chunk)) => chunks.push(chunk),
            Ok(Err(last)) => trailers = last.into_trailers().ok(),
            Err(broken) => error = Some(broken),
        }
    }
    drop(body);
    Received { head: parts.headers, chunks, trailers, error, record: records.recv().unwrap() }
}

fn gzip() -> Policy {
    Policy::Transform(Arc::new(Compress::offering([Coding::Gzip])))
}

fn hoard() -> Policy {
    Policy::Transform(Arc::new(Hoard::default()))
}

fn plain(compressed: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(compressed).read_to_string(&mut text).map(|_| text)
}

#[tokio::test]
async fn compressed_chunks_leave_one_by_one_and_trailers_last() {
    let script = [Step::Data("one "), Step::Data(""), Step::Data("two"), Step::Trailers];
    let received = through(vec![gzip()], &script).await;
    assert_eq!(received.head["content-encoding"], "gzip");
    assert!(!received.head.contains_key("content-length"));
    assert_eq!(plain(&received.bytes()).unwrap(), "one two");
    assert_eq!(received.chunks.len(), 3, "one for each chunk that is one, and the coding's end");
    assert_eq!(received.trailers, Some(trailers()));
    assert_eq!(received.record.bytes_out, received.bytes().len() as u64);
    assert_eq!(received.record.outcome, Outcome::Ok);
}

#[tokio::test]
async fn how_long_a_body_is_counts_whatever_the_head_says() {
    for (length, encoded) in [(1023, false), (1024, true), (1 << 20, true), ((1 << 20) + 1, false)] {
        let received = through(vec![gzip()], &[Step::Length(length), Step::Data("one")]).await;
        assert_eq!(received.head.contains_key("content-encoding"), encoded, "{length}");
        assert_eq!(received.head.contains_key("content-length"), !encoded, "{length}");
    }
}

#[tokio::test]
async fn what_is_held_back_makes_no_empty_frames() {
    for (script, last) in [
        (vec![Step::Data("one "), Step::Data("two")], None),
        (vec![Step::Data("one "), Step::Data("two"), Step::Trailers], Some(trailers())),
    ] {
        let received = through(vec![hoard()], &script).await;
        assert_eq!((received.chunks, received.trailers), (vec![Bytes::from("one two")], last), "{script:?}");
    }
    let both = through(vec![hoard(), gzip()], &[Step::Data("one "), Step::Data("two")]).await;
    assert_eq!(both.chunks.len(), 1);
    assert_eq!(plain(&both.bytes()).unwrap(), "one two");
}

#[tokio::test]
async fn empty_chunks_are_dropped_without_a_rewriting_too() {
    for (script, chunks, last) in [
        (vec![Step::Data(""), Step::Data("one"), Step::Data("")], vec!["one"], None),
        (vec![Step::Data(""), Step::Trailers], vec![], Some(trailers())),
        (vec![Step::Data("")], vec![], None),
    ] {
        let received = through(Vec::new(), &script).await;
        assert_eq!((received.chunks, received.trailers), (chunks.into_iter().map(Bytes::from).collect(), last));
        assert_eq!(received.record.outcome, Outcome::Ok, "{script:?}");
    }
}

#[tokio::test]
async fn what_breaks_is_not_ended_as_if_it_were_whole() {
    let received = through(vec![gzip()], &[Step::Data("one"), Step::Break]).await;
    assert_eq!(received.error, Some("broken"));
    assert!(plain(&received.bytes()).is_err());
    assert_eq!(received.record.code, Some(Reason::UpstreamReset));
}
