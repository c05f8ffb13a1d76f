//! From hyper to the service and back.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use palisade_http1::Text;
use palisade_tower::asked;

use super::arrived::{Arrived, Duplex, Upgrade};
use super::body::{AnswerBody, RequestBody};
use super::exchange::{Closing, Exchange};
use super::framing::{self, Line};
use super::{Connection, Service};
use crate::counters::{Counters, Engine};
use crate::limits::PaceRule;
use crate::memory::{Memory, Pressure};

/// What all requests of a connection share.
#[derive(Debug)]
pub(crate) struct Asking<S> {
    pub(crate) service: Rc<S>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) connection: Connection,
    pub(crate) pace: PaceRule,
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Asks the service about one request.
///
/// # Errors
///
/// What the service failed with; the engine then ends the exchange without an answer.
pub(crate) async fn ask<S: Service>(
    asking: Rc<Asking<S>>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody<S::Body>>, S::Error> {
    let closing = if request.version() == Version::HTTP_10 { Closing::Ends } else { Closing::Cuts };
    let open = asking.exchange.open(closing);
    let request = request.map(|body| match asking.connection.engine {
        Engine::H1 => RequestBody::of_connection(body),
        Engine::H2 => RequestBody::of_stream(body, asking.pace, Arc::clone(&asking.counters)),
    });
    // On the heap: hyper would keep the room for it in every idle connection.
    let mut answer = Box::pin(asking.service.call(arrived(request), asking.connection)).await?;
    if answer.status == StatusCode::SWITCHING_PROTOCOLS {
        open.become_tunnel();
    } else if asking.connection.engine == Engine::H1 && asking.memory.pressure() >= Pressure::KeepNone {
        answer.edits.set(CONNECTION, CLOSE);
    }
    let answer = answer.map(|body| AnswerBody::new(body, open));
    let head = answer.edited().to_map();
    let mut response = Response::new(answer.body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = head;
    Ok(response)
}

/// What hyper has read, as every engine hands it over.
fn arrived(request: Request<RequestBody>) -> Arrived<HeaderMap> {
    let (mut parts, body) = request.into_parts();
    let protocol = asked::protocol(parts.version);
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let line = Line { method: &parts.method, protocol, authority, target: parts.uri.path() };
    let malformed = framing::check(&line, &parts.headers).err();
    let upgrade = if parts.headers.contains_key(UPGRADE) { parts.extensions.remove::<OnUpgrade>() } else { None };
    if protocol == palisade_core::Protocol::H2 {
        framing::join_cookies(&mut parts.headers);
    }
    Arrived {
        protocol,
        target: Text::from(asked::target(&parts.uri).to_owned()),
        authority: Text::from(String::from(asked::authority(&parts.uri, &parts.headers))),
        method: parts.method,
        head: parts.headers,
        body,
        malformed,
        hints: None,
        upgrade: upgrade.map(|upgrade| {
            Upgrade::new(async move { Some(Box::new(TokioIo::new(upgrade.await.ok()?)) as Box<dyn Duplex>) })
        }),
    }
}
