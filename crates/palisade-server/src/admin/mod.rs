//! The admin listener: health, metrics, kept traces, limits and reload, for operators and scrapers.
//!
//! It has its own socket and runs on the runtime for everything slow, so neither a flood of
//! requests to the application nor a slow scrape touches the other. It is bound to loopback only,
//! because whoever reaches it may use it. A browser on the same machine reaches it too: the `Host`
//! check stops pages that made their own name lead here, and no page of another origin changes
//! anything.

mod caller;
mod control;
mod limits;
mod serve;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use palisade_core::{Reason, Refusal, RequestId};
use palisade_policy::host::Authority;
use palisade_telemetry::metrics::Connections;
use palisade_telemetry::{Format, Gauges, Telemetry};
use palisade_tower::transit::X_REQUEST_ID;
use palisade_tower::{clock, render};
use tokio::time::timeout;

use crate::desk::Desk;
use crate::health::{self, Answer, Audience, Conditions};

pub(crate) use control::Control;
pub use serve::CONNECTIONS_MAX;

/// The admin listener's service.
pub struct Admin {
    hosts: Vec<Authority>,
    telemetry: Arc<Telemetry>,
    desk: Desk,
    ask: Ask,
    connections: ConnectionCounts,
    requests: AtomicU64,
}

/// What the admin listener asks the rest of the gateway.
pub struct Ask {
    /// The facts that health is made from.
    pub conditions: Box<dyn Fn() -> Conditions + Send + Sync>,
    /// Numbers for the scrape, without those of this listener.
    pub gauges: Box<dyn Fn() -> Gauges + Send + Sync>,
    /// Reads the config again. Gives the whole answer; fields of every admin answer are added.
    pub reload: Box<dyn Fn() -> Reloading + Send + Sync>,
}

/// A reload under way.
pub type Reloading = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

#[derive(Debug, Default)]
struct ConnectionCounts {
    open: AtomicU64,
    total: AtomicU64,
    refused: AtomicU64,
}

const INDEX: &str = "\
Palisade

GET  /livez                      whether the process is alive
GET  /readyz                     whether it may get traffic; ?verbose, ?exclude=<condition>
GET  /readyz/<condition>         one condition
GET  /startupz                   whether it has started
GET  /metrics                    Prometheus or OpenMetrics
GET  /api/v1/traces/<trace id>   a kept trace
POST /api/v1/reload              reads the config again
GET  /api/v1/limits              all limits; /<limit>: one; /<limit>/<key>: how a key stands
PUT  /api/v1/limits/<limit>/<key>    sets a rate or a ban for a key
DELETE /api/v1/limits/<limit>/<key>  forgets what a key has spent, and its ban
";

const TEXT: &str = "text/plain; charset=utf-8";

impl Admin {
    /// A listener that answers to loopback names and `hosts`.
    pub(crate) fn new(hosts: Vec<Authority>, telemetry: Arc<Telemetry>, desk: Desk, ask: Ask) -> Self {
        Self { hosts, telemetry, desk, ask, connections: ConnectionCounts::default(), requests: AtomicU64::new(0) }
    }

    /// Answers one request.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response<Bytes>
    where
        B: Body<Data: Send, Error: std::error::Error + Send + Sync + 'static> + Send,
    {
        let mut response = match self.decide(request).await {
            Ok(response) => response,
            Err(refusal) => {
                // Only the log of an operator's own tools ever holds this id, so that it is unique
                // in the process is enough.
                let number = self.requests.fetch_add(1, Ordering::Relaxed);
                let id = RequestId::new(clock::now().utc, number.into());
                let mut response = render::refusal(&refusal, id, render::Audience::Operator);
                if let Ok(id) = HeaderValue::try_from(id.to_string()) {
                    response.headers_mut().insert(X_REQUEST_ID, id);
                }
                response
            }
        };
        for (name, value) in health::HEAD {
            response.headers_mut().insert(name, value);
        }
        response
    }

    async fn decide<B>(&self, request: Request<B>) -> Result<Response<Bytes>, Box<Refusal>>
    where
        B: Body<Data: Send, Error: std::error::Error + Send + Sync + 'static> + Send,
    {
        let (parts, content) = request.into_parts();
        let request = &Request::from_parts(parts, ());
        let path = request.uri().path().trim_start_matches('/');
        // Orchestrators ask these under whatever address the machine has.
        if !matches!(path, "livez" | "readyz" | "startupz") {
            caller::check_host(request, &self.hosts).map_err(refuse)?;
        }
        if path == "api/v1/reload" {
            allow(request.method(), &[Method::POST], "POST")?;
            caller::check_origin(request).map_err(refuse)?;
            return Ok((self.ask.reload)().await);
        }
        if let Some(rest) = path.strip_prefix("api/v1/limits").filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
            if is_change {
                caller::check_origin(request).map_err(refuse)?;
            }
            let content = if is_change { read(content).await? } else { Bytes::new() };
            return limits::answer(&self.desk, request.method(), rest, request.uri().query(), &content).await;
        }
        allow(request.method(), &[Method::GET, Method::HEAD], "GET, HEAD")?;
        self.show(path, request)
    }

    fn show<B>(&self, path: &str, request: &Request<B>) -> Result<Response<Bytes>, Box<Refusal>> {
        let now = clock::monotonic();
        let query = request.uri().query();
        match health::answer(path, query, &(self.ask.conditions)(), now, Audience::Operator) {
            Some(Answer::Reply(reply)) => {
                let mut response = Response::new(reply.body);
                *response.status_mut() = reply.status;
                response.headers_mut().extend(reply.head);
                return Ok(response);
            }
            Some(Answer::Refuse(reason)) => return Err(refuse(reason)),
            None => {}
        }
        match path {
            "" => Ok(body(TEXT, INDEX)),
            "metrics" => Ok(self.metrics(request)),
            path => {
                let trace = path.strip_prefix("api/v1/traces/").and_then(|id| self.telemetry.traces().find(id));
                trace.map(|json| body("application/json", json)).ok_or_else(|| refuse(Reason::HttpNotFound))
            }
        }
    }

    fn metrics<B>(&self, request: &Request<B>) -> Response<Bytes> {
        let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let format = Format::accepted(accept);
        let mut gauges = (self.ask.gauges)();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ConnectionCounts { open, total, refused } = &self.connections;
        let connections = Connections { listener: "admin", protocol: "http/1.1", open: read(open), total: read(total) };
        gauges.connections.push(connections);
        gauges.connection_limits.push(("admin_connections", read(refused)));
        body(format.content_type(), self.telemetry.render_metrics(&gauges, format))
    }
}

fn refuse(reason: Reason) -> Box<Refusal> {
    Box::new(Refusal::new(reason))
}

/// The longest body of a change, and how long it may take to come.
const CONTENT_BYTES_MAX: usize = 16 << 10;
const CONTENT_TIME: Duration = Duration::from_secs(5);

/// Reads what is to be changed.
async fn read<B>(content: B) -> Result<Bytes, Box<Refusal>>
where
    B: Body<Data: Send, Error: std::error::Error + Send + Sync + 'static> + Send,
{
    let whole = Limited::new(content, CONTENT_BYTES_MAX).collect();
    match timeout(CONTENT_TIME, whole).await {
        Ok(Ok(content)) => Ok(content.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(refuse(Reason::HttpBodyTooLarge)),
        Ok(Err(_)) => Err(refuse(Reason::HttpMalformed)),
        Err(_) => Err(refuse(Reason::HttpMalformed)),
    }
}

fn allow(method: &Method, allowed: &[Method], field: &'static str) -> Result<(), Box<Refusal>> {
    if allowed.contains(method) {
        return Ok(());
    }
    let mut refusal = refuse(Reason::HttpMethodNotAllowed);
    refusal.response.set(ALLOW, HeaderValue::from_static(field));
    Err(refusal)
}

fn body(content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests;
