//! The one summary of a finished request.
//!
//! Logs, metrics, traces, errors, objectives and console pages are derived from it and from
//! nothing else. It never holds query values, bodies, header values other than the user agent,
//! cookies or tokens.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::decision::Refusal;
use crate::{ClientIp, Identity, Kind, Mode, Now, Protocol, Reason, RequestId, RouteId, SpanId, Stage, Tally, TraceId};

/// What is kept of one request.
#[derive(Clone, Debug)]
pub struct Record {
    /// When the request's head was complete.
    pub now: Now,
    /// From there to the last byte of the answer, or the end of whatever ended it.
    pub duration: Duration,
    /// To the last byte of the answer; for streams to the first byte of the body. Less the time
    /// spent waiting for the client until then.
    pub latency: Duration,
    /// To the first byte of the answer's body, if there was one.
    pub first_byte: Option<Duration>,
    /// Waiting for the application.
    pub upstream: Duration,
    /// Waiting for the client to send or to take bytes.
    pub client_wait: Duration,
    /// Waiting for stores, part of the gateway's own time.
    pub store_wait: Duration,
    /// Our id of the request.
    pub request_id: RequestId,
    /// What the client called it, if that has the form of an id.
    pub client_request_id: Option<RequestId>,
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Our span in that trace.
    pub span_id: SpanId,
    /// The span that called us.
    pub parent_id: Option<SpanId>,
    /// The method.
    pub method: Method,
    /// The route's place in its snapshot's table, and its label.
    pub route: RouteId,
    /// The route's label: a pattern, never client input.
    pub route_label: Arc<str>,
    /// The path in normal form.
    pub path: Box<str>,
    /// Names of the query's parameters, in order, without values; at most 32.
    pub query_names: Vec<Box<str>>,
    /// What kind of route it is.
    pub kind: Kind,
    /// Protocol of the client's connection.
    pub protocol: Protocol,
    /// The authority, cut at 255 bytes.
    pub host: Box<str>,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// The client's address, from trusted hops only.
    pub client: ClientIp,
    /// Whether `X-Forwarded-For` came with it from a peer whose word doesn't count.
    pub forwarded_untrusted: bool,
    /// Who sent it.
    pub identity: Identity,
    /// The user agent, cut at 256 bytes.
    pub user_agent: Option<Box<[u8]>>,
    /// The answer's status; `None` when the client left before there was one.
    pub status: Option<StatusCode>,
    /// How it ended.
    pub outcome: Outcome,
    /// The reason, if it was refused or failed.
    pub code: Option<Reason>,
    /// The application server that answered.
    pub server: Option<Arc<str>>,
    /// Every attempt to reach the application.
    pub attempts: Vec<Attempt>,
    /// Policies that refused or would have refused; all of them when the trace is kept.
    pub policies: Vec<Asked>,
    /// What limits said.
    pub limits: Vec<Tally>,
    /// Whether the answer was a stream, so that latency means its first byte.
    pub stream: bool,
    /// Whether the record's spans are kept as a trace.
    pub traced: bool,
}

/// How a request ended. If several apply, the one further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Answered.
    Ok,
    /// The application answered 5xx.
    AppError,
    /// No answer from the application, or a late or broken one.
    UpstreamError,
    /// A policy refused it.
    Refused,
    /// The client left first.
    ClientLeft,
    /// Machinery of Palisade broke, or shed the request.
    InternalError,
}

impl Outcome {
    /// All outcomes, in order.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::AppError, Self::UpstreamError, Self::Refused, Self::ClientLeft, Self::InternalError];

    /// The word in logs and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::AppError => "app_error",
            Self::UpstreamError => "upstream_error",
            Self::Refused => "refused",
            Self::ClientLeft => "client_left",
            Self::InternalError => "internal_error",
        }
    }

    /// The outcome that a refusal or failure for `reason` has.
    pub fn of(reason: Reason) -> Self {
        match reason {
            Reason::UpstreamUnreachable
            | Reason::UpstreamReset
            | Reason::UpstreamMalformed
            | Reason::UpstreamTimeout => Self::UpstreamError,
            _ if reason.is_client_fault() => Self::Refused,
            _ => Self::InternalError,
        }
    }
}

/// One try to reach the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which server.
    pub server: Arc<str>,
    /// From the start of the try to the answer's head, or to its failure.
    pub duration: Duration,
    /// Why it failed.
    pub error: Option<Reason>,
    /// The span that the application saw as its parent.
    pub span_id: SpanId,
    /// When the try began, since the request's start.
    pub began: Duration,
}

/// One policy's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The policy.
    pub policy: &'static str,
    /// Its stage.
    pub stage: Stage,
    /// Its mode: in `report` the refusal did not count.
    pub mode: Mode,
    /// What it said.
    pub answer: Answer,
    /// When it was asked and how long it took, since the request's start; only when traced.
    pub span: Option<(Duration, Duration)>,
}

/// A decision, as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It let the request pass, with its note.
    Allow(Option<Box<str>>),
    /// It answered by itself.
    Respond,
    /// It refused, or in `report` would have.
    Refuse(Refusal),
    /// It had nothing to say about this request.
    Silent,
}

/// The class of a status in labels: `2xx`, or `none` without a status. Beyond 599 it is what clients
/// take such a status for, a server's error (RFC 9110 §15).
pub fn class(status: Option<StatusCode>) -> &'static str {
    match status.map(|status| status.as_u16() / 100) {
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5..) => "5xx",
        // There is no status below 100.
        Some(0) | None => "none",
    }
}
