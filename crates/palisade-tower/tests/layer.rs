//! The layer protects a Tower service as the gateway protects an application.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use palisade_core::client::Hops;
use palisade_core::{Mode, Network, Outcome, Rate, Reason, Record};
use palisade_tower::{GuardedBody, Palisade, PalisadeLayer, Peer};
use tower_layer::Layer as _;
use tower_service::Service;

/// Answers with the headers it received, so that a test sees what a service sees.
#[derive(Clone)]
struct Echo;

impl Service<Request<GuardedBody<Full<Bytes>>>> for Echo {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<GuardedBody<Full<Bytes>>>) -> Self::Future {
        let names: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
        let response = Response::builder().header("server", "echo/1.0").body(Full::from(names.join(" ")));
        ready(Ok(response.unwrap()))
    }
}

fn layer(mode: Mode) -> (PalisadeLayer, mpsc::Receiver<Record>) {
    let (sent, records) = mpsc::channel();
    let rate = Rate::new(2, Duration::from_secs(3600), 2).unwrap();
    let layer = Palisade::builder()
        .per_ip(rate, mode)
        .headers()
        .on_record(move |record| sent.send(record).unwrap())
        .build()
        .unwrap();
    (layer, records)
}

fn request(uri: &str, from: [u8; 4]) -> Request<Full<Bytes>> {
    let peer = Peer { address: std::net::IpAddr::from(from).into(), secure: false };
    Request::builder().uri(uri).header("host", "app.example").extension(peer).body(Full::default()).unwrap()
}

#[tokio::test]
async fn the_limit_holds_per_address_and_says_so() {
    let (layer, records) = layer(Mode::Enforce);
    let mut service = layer.layer(Echo);
    for left in ["1", "0"] {
        let response = service.call(request("/", [192, 0, 2, 1])).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let state = response.headers()["ratelimit"].to_str().unwrap();
        assert!(state.starts_with(&format!("\"per_ip\";r={left}")), "{state}");
    }
    let refused = service.call(request("/", [192, 0, 2, 1])).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(refused.headers()["retry-after"], "1800");
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(std::str::from_utf8(&body).unwrap().contains("\"violated-policies\":[\"per_ip\"]"));
    let other = service.call(request("/", [192, 0, 2, 2])).await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
    drop(other);

    let outcomes: Vec<_> = records.try_iter().map(|record| (record.outcome, record.code)).collect();
    let good = (Outcome::ClientLeft, None);
    let refusal = (Outcome::Refused, Some(Reason::LimitsRate));
    assert_eq!(outcomes, [good, good, refusal, good], "answers that were dropped unread are clients that left");
}

#[tokio::test]
async fn a_limit_in_report_mode_refuses_nobody_and_is_noted() {
    let (layer, records) = layer(Mode::Report);
    let mut service = layer.layer(Echo);
    for _ in 0..3 {
        let response = service.call(request("/", [192, 0, 2, 1])).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("ratelimit"));
        response.into_body().collect().await.unwrap();
    }
    let noted: Vec<_> = records.try_iter().map(|record| (record.outcome, record.policies.len())).collect();
    assert_eq!(noted, [(Outcome::Ok, 0), (Outcome::Ok, 0), (Outcome::Ok, 1)]);
}

#[tokio::test]
async fn answers_are_dressed_and_bear_the_request_id() {
    let (layer, records) = layer(Mode::Enforce);
    let response = layer.layer(Echo).call(request("/", [192, 0, 2, 1])).await.unwrap();
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert!(!response.headers().contains_key("server"));
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    response.into_body().collect().await.unwrap();
    assert_eq!(records.recv().unwrap().request_id.as_str(), id);
}

#[tokio::test]
async fn a_refusal_of_head_has_no_content_and_tells_its_length() {
    let (layer, records) = layer(Mode::Enforce);
    let mut service = layer.layer(Echo);
    let mut lengths = Vec::new();
    for method in [Method::GET, Method::HEAD] {
        let mut asked = request("/a/..%2fb", [192, 0, 2, 1]);
        *asked.method_mut() = method.clone();
        let response = service.call(asked).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let told = response.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        lengths.push((told, body.len().to_string()));
        assert_eq!(records.recv().unwrap().outcome, Outcome::Refused);
    }
    let [(_, sent), (told, nothing)] = lengths.try_into().unwrap();
    assert_eq!((told, nothing.as_str()), (Some(sent), "0"));
}

#[tokio::test]
async fn forged_fields_do_not_reach_the_service_in_any_spelling() {
    let (layer, _records) = layer(Mode::Enforce);
    let mut forged = request("/", [192, 0, 2, 1]);
    for name in ["x-forwarded-for", "x_forwarded_for", "remote-user", "x-middleware-subrequest", "palisade-user"] {
        forged.headers_mut().insert(name, "forged".parse().unwrap());
    }
    let response = layer.layer(Echo).call(forged).await.unwrap();
    let seen = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(seen, "host");
}

#[tokio::test]
async fn a_record_tells_whether_an_untrusted_peer_named_a_client() {
    let (sent, records) = mpsc::channel();
    let hops = Hops { trusted: vec![Network::parse("10.0.0.0/8").unwrap()].into(), ..Hops::default() };
    let layer = Palisade::builder().hops(hops).on_record(move |record| sent.send(record).unwrap()).build().unwrap();
    let mut service = layer.layer(Echo);
    for (from, field, untrusted) in [
        ([192, 0, 2, 1], "x-forwarded-for", true),
        ([192, 0, 2, 1], "x-real-ip", false),
        ([10, 0, 0, 1], "x-forwarded-for", false),
    ] {
        let mut request = request("/", from);
        request.headers_mut().insert(field, "198.51.100.1".parse().unwrap());
        drop(service.call(request).await.unwrap());
        assert_eq!(records.recv().unwrap().forwarded_untrusted, untrusted, "{field} from {from:?}");
    }
}

#[tokio::test]
async fn a_path_without_normal_form_is_refused_and_charges_nothing() {
    let (layer, records) = layer(Mode::Enforce);
    let mut service = layer.layer(Echo);
    for _ in 0..5 {
        let response = service.call(request("/a/..%2fb", [192, 0, 2, 1])).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
    let response = service.call(request("/b", [192, 0, 2, 1])).await.unwrap();
    assert!(response.headers()["ratelimit"].to_str().unwrap().starts_with("\"per_ip\";r=1"));
    assert_eq!(records.recv().unwrap().code, Some(Reason::PathMalformed));
}

#[tokio::test]
async fn a_request_whose_handling_panics_has_a_record_too() {
    #[derive(Clone)]
    struct Panics;
    impl Service<Request<GuardedBody<Full<Bytes>>>> for Panics {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<GuardedBody<Full<Bytes>>>) -> Self::Future {
            Box::pin(async { panic!("the service's own fault") })
        }
    }
    let (layer, records) = layer(Mode::Enforce);
    let mut service = layer.layer(Panics);
    let joined = tokio::spawn(service.call(request("/", [192, 0, 2, 1]))).await;
    assert!(joined.is_err());
    let record = records.recv().unwrap();
    assert_eq!((record.outcome, record.code), (Outcome::InternalError, Some(Reason::InternalPanic)));
}

#[tokio::test]
async fn a_service_that_fails_is_not_a_client_that_left() {
    #[derive(Clone)]
    struct Fails;
    impl Service<Request<GuardedBody<Full<Bytes>>>> for Fails {
        type Response = Response<Full<Bytes>>;
        type Error = &'static str;
        type Future = Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<GuardedBody<Full<Bytes>>>) -> Self::Future {
            ready(Err("the service's own error"))
        }
    }
    let (layer, records) = layer(Mode::Enforce);
    let error = layer.layer(Fails).call(request("/", [192, 0, 2, 1])).await.err();
    assert_eq!(error, Some("the service's own error"));
    let record = records.recv().unwrap();
    assert_eq!((record.outcome, record.code), (Outcome::UpstreamError, Some(Reason::UpstreamReset)));
}
