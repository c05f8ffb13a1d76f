//! From the engine to the service and back.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::body::{AnswerBody, RequestBody};
use super::exchange::{Closing, Exchange};
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
    let mut response = asking.service.call(request, asking.connection).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        open.become_tunnel();
    } else if asking.connection.engine == Engine::H1 && asking.memory.pressure() >= Pressure::KeepNone {
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
    Ok(response.map(|body| AnswerBody::new(body, open)))
}
