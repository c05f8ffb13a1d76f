//! Requests and decisions as text, for the decision tables.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use palisade_core::decision::Facts;
use palisade_core::path::EncodedSlash;
use palisade_core::{
    ClientIp, Decision, Edit, HeaderEdits, Identity, Kind, Monotonic, Now, Path, Protocol, RequestId, Route, RouteId,
    Utc, View,
};

/// What `see` makes of a request such as `GET /x HTTP/1.1\nHost: a.example`, from 192.0.2.1.
pub(crate) fn with<T>(request: &str, see: impl FnOnce(&View<'_>) -> T) -> T {
    with_client(request, client("192.0.2.1"), see)
}

/// The same from another client.
pub(crate) fn with_client<T>(request: &str, client: ClientIp, see: impl FnOnce(&View<'_>) -> T) -> T {
    let (line, head) = request.split_once('\n').unwrap_or((request, ""));
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("a request line: {line}") };
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let head = fields(head);
    let route = Route {
        id: RouteId::UNMATCHED,
        label: Arc::from("unmatched"),
        kind: Kind::Api,
        questions: Arc::new([]),
        max_body: 0,
        settings: 0,
    };
    see(&View {
        method: &method.parse().unwrap(),
        path: &Path::parse(path, EncodedSlash::Keep).unwrap(),
        query,
        authority: head.get("host").map_or("", |host| host.to_str().unwrap()),
        head: &head,
        client,
        secure: false,
        protocol: if version == "HTTP/1.0" { Protocol::Http10 } else { Protocol::Http11 },
        route: &route,
        identity: &Identity::Anonymous,
        request_id: &RequestId::new(Utc::from_nanos(0), 0),
        facts: &Facts::none(),
        limits: &[],
        overrides: None,
        now: Now { monotonic: Monotonic::from_nanos(0), utc: Utc::from_nanos(0) },
    })
}

/// The client with this address.
pub(crate) fn client(address: &str) -> ClientIp {
    ClientIp::from(address.parse::<std::net::IpAddr>().unwrap())
}

/// Header fields, one per line.
pub(crate) fn fields(text: &str) -> HeaderMap {
    let mut head = HeaderMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(':').expect("a colon");
        head.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap());
    }
    head
}

/// `allow`, or `refuse http.unknown_host 421`, and what comes with it.
pub(crate) fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Allow(effects) => {
            format!("allow{}{}", edits("request", &effects.request), edits("response", &effects.response))
        }
        Decision::Respond(reply) => format!("respond {}", reply.status.as_u16()),
        Decision::Refuse(refusal) => {
            let status = refusal.reason.status().as_u16();
            let wait = refusal.retry_after.map(|wait: Duration| format!(", retry after {wait:?}")).unwrap_or_default();
            let violated = match &refusal.violated[..] {
                [] => String::new(),
                names => format!(", violated {}", names.join(" ")),
            };
            format!("refuse {} {status}{wait}{violated}{}", refusal.reason.code(), edits("response", &refusal.response))
        }
    }
}

/// `, response allow = GET`; with `+` if the field is appended, with `-` if it is removed.
pub(crate) fn edits(whose: &str, edits: &HeaderEdits) -> String {
    let show = |edit: &Edit| match edit {
        Edit::Set(name, value) => format!(", {whose} {name} = {}", value.to_str().unwrap()),
        Edit::Append(name, value) => format!(", {whose} + {name} = {}", value.to_str().unwrap()),
        Edit::Remove(name) => format!(", {whose} - {name}"),
    };
    edits.iter().map(show).collect()
}
