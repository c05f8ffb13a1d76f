//! A record to start from.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::{Method, StatusCode};
use palisade_core::{
    Bound, ClientIp, Identity, Item, KeyHash, Kind, Mode, Monotonic, Now, Outcome, Protocol, Rate, Record, RequestId,
    RouteId, Said, Shown, SpanId, Stage, Tally, TraceId, Utc,
};

/// What a limit said.
pub(crate) fn tally(limit: &str, mode: Mode, said: Said, remaining: u32) -> Tally {
    let rate = Rate::new(300, Duration::from_secs(60), 300).unwrap();
    let (key, shown) = ("ip".into(), Shown::Always);
    let item = Item {
        limit: limit.into(),
        place: 0,
        name: limit.into(),
        stage: Stage::Shed,
        key,
        bound: Bound::Rate(rate),
        shown,
        outage: Default::default(),
    };
    Tally { item: item.into(), key: KeyHash(1), mode, said, remaining, next_unit: None }
}

/// A plain GET that was answered.
pub(crate) fn record() -> Record {
    let utc = Utc::from_nanos(1_768_053_751_123_456_000);
    Record {
        now: Now { monotonic: Monotonic::from_nanos(0), utc },
        duration: Duration::from_micros(95_200),
        latency: Duration::from_micros(95_200),
        first_byte: None,
        upstream: Duration::from_micros(93_100),
        client_wait: Duration::ZERO,
        store_wait: Duration::ZERO,
        request_id: RequestId::new(utc, 7),
        client_request_id: None,
        trace_id: TraceId::from_entropy(3),
        span_id: SpanId::from_entropy(5),
        parent_id: None,
        method: Method::GET,
        route: RouteId(1),
        route_label: "/api/chat".into(),
        path: "/api/chat".into(),
        query_names: Vec::new(),
        kind: Kind::Api,
        protocol: Protocol::H2,
        host: "briefly.example".into(),
        bytes_in: 912,
        bytes_out: 20_411,
        client: ClientIp::from(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        forwarded_untrusted: false,
        identity: Identity::Anonymous,
        user_agent: None,
        status: Some(StatusCode::OK),
        outcome: Outcome::Ok,
        code: None,
        server: None,
        attempts: Vec::new(),
        policies: Vec::new(),
        limits: Vec::new(),
        stream: false,
        traced: false,
    }
}
