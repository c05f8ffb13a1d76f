//! Kept traces: what each request went through, in order.
//!
//! A trace is made from the record when somebody asks for it, so one that nobody keeps costs
//! nothing. The ring is bounded in traces and bytes and gives up its oldest.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palisade_core::record::{Asked, Attempt};
use palisade_core::{Outcome, Record, Stage, TraceId};

use crate::access_log::policy;
use crate::bus::weight;
use crate::json::{Object, key};
use crate::timestamp::Timestamps;

/// Traces that are kept at most.
const TRACES_MAX: usize = 256;

/// Bytes that they take at most.
const BYTES_MAX: usize = 4 << 20;

/// Spans of one trace at most: a client can send one trace id as often as it likes.
const SPANS_MAX: usize = 1_000;

/// The ring.
#[derive(Debug, Default)]
pub struct Traces {
    ring: Mutex<Ring>,
    /// Traces kept since the start: those of failures, and samples.
    failures: AtomicU64,
    samples: AtomicU64,
}

#[derive(Debug, Default)]
struct Ring {
    traces: VecDeque<Trace>,
    bytes: usize,
}

#[derive(Debug)]
struct Trace {
    id: TraceId,
    records: Vec<Record>,
    spans: usize,
    bytes: usize,
}

/// One child of the server span.
enum Span<'a> {
    Stage { stage: Stage, began: Duration, ended: Duration, asked: Vec<&'a Asked> },
    Attempt(&'a Attempt),
}

impl Traces {
    /// Keeps a record's spans.
    pub(crate) fn keep(&self, record: Record) {
        let (bytes, spans) = (weight(&record), 1 + children(&record).len());
        let why = if why(&record) == "error" { &self.failures } else { &self.samples };
        let mut ring = self.lock();
        match ring.traces.iter_mut().find(|trace| trace.id == record.trace_id) {
            Some(trace) if trace.spans + spans > SPANS_MAX => return,
            Some(trace) => {
                trace.records.push(record);
                trace.spans += spans;
                trace.bytes += bytes;
            }
            None => {
                why.fetch_add(1, Ordering::Relaxed);
                ring.traces.push_back(Trace { id: record.trace_id, records: vec![record], spans, bytes });
            }
        }
        ring.bytes += bytes;
        while ring.traces.len() > TRACES_MAX || ring.bytes > BYTES_MAX {
            let Some(oldest) = ring.traces.pop_front() else { break };
            ring.bytes -= oldest.bytes;
        }
    }

    /// The trace with this id, 32 lower-case hexadecimal digits, as JSON.
    pub fn find(&self, id: &str) -> Option<Vec<u8>> {
        let ring = self.lock();
        let trace = ring.traces.iter().find(|trace| trace.id.hex() == id.as_bytes())?;
        let mut out = Vec::with_capacity(4096);
        let mut object = Object::open(&mut out);
        object.word(key!("trace_id"), id.as_bytes());
        object.array(key!("spans"), &trace.records, server_span);
        object.close();
        Some(out)
    }

    /// Why traces were kept, and how many.
    pub(crate) fn kept(&self) -> [(&'static str, u64); 2] {
        [("error", self.failures.load(Ordering::Relaxed)), ("sample", self.samples.load(Ordering::Relaxed))]
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // A trace that is half added can't be seen: nothing between the statements panics.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn why(record: &Record) -> &'static str {
    match record.outcome {
        Outcome::AppError | Outcome::UpstreamError | Outcome::InternalError => "error",
        Outcome::Ok | Outcome::Refused | Outcome::ClientLeft => "sample",
    }
}

fn server_span(out: &mut Vec<u8>, record: &Record) {
    let mut object = Object::open(out);
    let name = format!("{} {}", record.method, record.route_label);
    object.text(key!("name"), name.as_bytes());
    object.word(key!("kind"), b"server");
    object.word(key!("why"), why(record).as_bytes());
    object.word(key!("span_id"), &record.span_id.hex());
    if let Some(parent) = record.parent_id {
        object.word(key!("parent_id"), &parent.hex());
    }
    object.word(key!("request_id"), record.request_id.as_bytes());
    let time = object.key(key!("start"));
    time.push(b'"');
    Timestamps::default().write(time, record.now.utc);
    time.push(b'"');
    object.millis(key!("duration_ms"), record.duration);
    if let Some(status) = record.status {
        object.number(key!("status"), status.as_u16().into());
    }
    object.word(key!("outcome"), record.outcome.name().as_bytes());
    if let Some(code) = record.code {
        object.word(key!("code"), code.code().as_bytes());
    }
    object.millis(key!("store_wait_ms"), record.store_wait);
    object.array(key!("children"), &children(record), child);
    object.close();
}

fn child(out: &mut Vec<u8>, span: &Span<'_>) {
    let mut object = Object::open(out);
    match span {
        Span::Stage { stage, began, ended, asked } => {
            object.word(key!("name"), stage.name().as_bytes());
            object.millis(key!("start_ms"), *began);
            object.millis(key!("duration_ms"), ended.saturating_sub(*began));
            object.array(key!("policies"), asked.iter().copied(), policy);
        }
        Span::Attempt(attempt) => {
            object.word(key!("name"), b"upstream");
            object.word(key!("kind"), b"client");
            object.text(key!("server"), attempt.server.as_bytes());
            object.word(key!("span_id"), &attempt.span_id.hex());
            object.millis(key!("start_ms"), attempt.began);
            object.millis(key!("duration_ms"), attempt.duration);
            if let Some(error) = attempt.error {
                object.word(key!("error"), error.code().as_bytes());
            }
        }
    }
    object.close();
}

/// The spans below the server span, by when they began. Those that began at the same instant are
/// in the order of the pipeline.
fn children(record: &Record) -> Vec<Span<'_>> {
    let mut spans: Vec<Span<'_>> = Vec::new();
    for stage in Stage::ALL {
        if stage == Stage::Dress {
            spans.extend(record.attempts.iter().map(Span::Attempt));
        }
        let timed = record.policies.iter().filter(|asked| asked.stage == stage);
        let timed: Vec<(&Asked, (Duration, Duration))> = timed.filter_map(|asked| Some((asked, asked.span?))).collect();
        let began = timed.iter().map(|(_, (began, _))| *began).min();
        let ended = timed.iter().map(|(_, (began, took))| *began + *took).max();
        if let (Some(began), Some(ended)) = (began, ended) {
            spans.push(Span::Stage { stage, began, ended, asked: timed.iter().map(|(asked, _)| *asked).collect() });
        }
    }
    spans.sort_by_key(|span| match span {
        Span::Stage { began, .. } => *began,
        Span::Attempt(attempt) => attempt.began,
    });
    spans
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use palisade_core::record::Answer;
    use palisade_core::{Mode, Reason, SpanId};

    use super::*;
    use crate::testing::record;

    fn traced(trace: u128) -> Record {
        let mut record = record();
        record.traced = true;
        record.trace_id = TraceId::from_entropy(trace << 1);
        record
    }

    fn asked(policy: &'static str, stage: Stage, began: u64) -> Asked {
        let span = Some((Duration::from_micros(began), Duration::from_micros(2)));
        Asked { policy, stage, mode: Mode::Enforce, answer: Answer::Allow(None), span }
    }

    fn find(traces: &Traces, trace: u128) -> Option<String> {
        let id = TraceId::from_entropy(trace << 1).to_string();
        traces.find(&id).map(|json| String::from_utf8(json).unwrap())
    }

    fn attempt(began: u64, error: Option<Reason>) -> Attempt {
        let began = Duration::from_micros(began);
        let server: Arc<str> = "127.0.0.1:3000".into();
        Attempt {
            server,
            duration: Duration::from_millis(1),
            error,
            span_id: SpanId::from_entropy(began.as_micros() as u64),
            began,
        }
    }

    #[test]
    fn children_are_in_the_order_of_the_pipeline() {
        let mut record = traced(1);
        record.policies = vec![
            asked("limits", Stage::Shed, 1),
            asked("cors", Stage::Integrity, 5),
            asked("csrf", Stage::Integrity, 8),
            asked("headers", Stage::Dress, 5_000),
        ];
        record.attempts = vec![attempt(20, Some(Reason::UpstreamReset)), attempt(1_030, None)];
        let traces = Traces::default();
        traces.keep(record);
        let json = find(&traces, 1).unwrap();
        let children = json.split_once("\"children\":").unwrap().1;
        assert_eq!(
            children,
            "[{\"name\":\"shed\",\"start_ms\":0.001,\"duration_ms\":0.002,\
             \"policies\":[{\"policy\":\"limits\",\"decision\":\"allow\",\"mode\":\"enforce\"}]},\
             {\"name\":\"integrity\",\"start_ms\":0.005,\"duration_ms\":0.005,\
             \"policies\":[{\"policy\":\"cors\",\"decision\":\"allow\",\"mode\":\"enforce\"},\
             {\"policy\":\"csrf\",\"decision\":\"allow\",\"mode\":\"enforce\"}]},\
             {\"name\":\"upstream\",\"kind\":\"client\",\"server\":\"127.0.0.1:3000\",\"span_id\":\"0000000000000015\",\
             \"start_ms\":0.020,\"duration_ms\":1.000,\"error\":\"upstream.reset\"},\
             {\"name\":\"upstream\",\"kind\":\"client\",\"server\":\"127.0.0.1:3000\",\"span_id\":\"0000000000000407\",\
             \"start_ms\":1.030,\"duration_ms\":1.000},\
             {\"name\":\"dress\",\"start_ms\":5.000,\"duration_ms\":0.002,\
             \"policies\":[{\"policy\":\"headers\",\"decision\":\"allow\",\"mode\":\"enforce\"}]}]}]}"
        );
    }

    #[test]
    fn the_oldest_give_way() {
        let traces = Traces::default();
        for trace in 0..TRACES_MAX as u128 + 1 {
            traces.keep(traced(trace));
        }
        assert_eq!(find(&traces, 0), None);
        assert!(find(&traces, 1).is_some() && find(&traces, TRACES_MAX as u128).is_some());
        assert_eq!(traces.kept(), [("error", 0), ("sample", TRACES_MAX as u64 + 1)]);
    }

    #[test]
    fn bytes_are_bounded() {
        let traces = Traces::default();
        for trace in 0..64 {
            let mut record = traced(trace);
            record.path = "x".repeat(BYTES_MAX / 8).into();
            traces.keep(record);
        }
        let ring = traces.lock();
        assert!(ring.bytes <= BYTES_MAX && ring.traces.len() == 7, "{} {}", ring.bytes, ring.traces.len());
        assert_eq!(ring.bytes, ring.traces.iter().map(|trace| trace.bytes).sum::<usize>());
    }

    #[test]
    fn one_trace_id_sent_again_and_again_is_one_bounded_trace() {
        let traces = Traces::default();
        traces.keep(traced(2));
        for _ in 0..10_000 {
            traces.keep(traced(1));
        }
        assert_eq!(find(&traces, 1).unwrap().matches("\"kind\":\"server\"").count(), SPANS_MAX);
        assert!(find(&traces, 2).is_some());
        assert_eq!(traces.kept(), [("error", 0), ("sample", 2)]);
    }

    #[test]
    fn failures_say_so() {
        let traces = Traces::default();
        let mut record = traced(1);
        record.outcome = Outcome::UpstreamError;
        traces.keep(record);
        assert!(find(&traces, 1).unwrap().contains("\"why\":\"error\""));
        assert_eq!(traces.kept()[0], ("error", 1));
    }
}
