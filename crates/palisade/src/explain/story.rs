//! How an explanation is told.

use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;
use palisade_core::record::{Answer, Asked};
use palisade_core::{Bound, Question, Record, Tally};
use serde_json::json;

use super::changes::{Changes, Field};
use super::request::Ending;
use crate::cli::Format;
use crate::words;

/// What happened to the request.
pub(super) struct Story {
    pub(super) record: Record,
    /// How the client's address was found.
    pub(super) from: String,
    /// Whether limits are lifted, where that is a question.
    pub(super) exemption: Option<String>,
    pub(super) steps: Vec<Step>,
    pub(super) ending: Ending,
    /// What the gateway itself has against it, for the operator.
    pub(super) edge_detail: Option<String>,
    pub(super) status: StatusCode,
    /// What the gateway changes before the application sees it.
    pub(super) request: Changes,
    /// What the gateway adds to any answer.
    pub(super) head: Vec<Field>,
    /// What it adds if the answer is a page.
    pub(super) head_on_pages: Vec<Field>,
}

/// One question and its answer.
pub(super) struct Step {
    stage: &'static str,
    policy: &'static str,
    shape: &'static str,
    mode: &'static str,
    place: String,
    answer: &'static str,
    reason: Option<&'static str>,
    /// Why, in words.
    why: String,
}

impl Step {
    /// Tells the entries of a record, each with what its question says about itself. Both are in the
    /// order in which they were asked, and one policy may ask more than one question.
    pub(super) fn all(asked: &[Asked], questions: &[Question]) -> Vec<Self> {
        let mut rest = questions.iter();
        let mut step = |asked: &Asked| {
            let is_its = |one: &&Question| (one.name, one.stage, one.mode) == (asked.policy, asked.stage, asked.mode);
            Self::new(asked, rest.find(is_its))
        };
        asked.iter().map(&mut step).collect()
    }

    fn new(asked: &Asked, question: Option<&Question>) -> Self {
        let (answer, reason, why) = match &asked.answer {
            Answer::Allow(note) => ("allow", None, note.as_deref().unwrap_or_default().to_owned()),
            Answer::Respond => ("respond", None, String::new()),
            Answer::Refuse(refusal) => {
                let detail = refusal.detail.as_deref().map(str::to_owned);
                ("refuse", Some(refusal.reason.code()), detail.unwrap_or_else(|| refusal.violated.join(", ")))
            }
            Answer::Silent => ("silent", None, "has nothing to say about this request".to_owned()),
        };
        Self {
            stage: asked.stage.name(),
            policy: asked.policy,
            shape: question.map_or("", |question| question.policy.shape()),
            mode: asked.mode.name(),
            place: question.map_or_else(String::new, |question| question.place.to_string()),
            answer,
            reason,
            why,
        }
    }
}

/// What a limit is, and what it said.
struct Limit<'a> {
    name: &'a str,
    stage: &'static str,
    key: &'a str,
    /// How much it holds, for who sent the request.
    holds: String,
    mode: &'static str,
    /// How much is left, and when there will be more.
    state: String,
}

impl<'a> Limit<'a> {
    fn of(tally: &'a Tally) -> Self {
        let Tally { item, mode, remaining, next_unit, .. } = tally;
        let more = next_unit.map(|next| format!(", more in {}", rounded(next))).unwrap_or_default();
        Self {
            name: &item.name,
            stage: item.stage.name(),
            key: &item.key,
            holds: holds(item.bound),
            mode: mode.name(),
            state: format!("{remaining} left{more}"),
        }
    }
}

fn holds(bound: Bound) -> String {
    match bound {
        Bound::Rate(rate) => {
            let unit = rounded(Duration::from_nanos(rate.unit_ns()));
            format!("{} at once, one more each {unit}", rate.burst())
        }
        Bound::Quota(quota) => format!("{} per {}, UTC", quota.count(), quota.per().name()),
        Bound::Slots(slots) => format!("{slots} at a time"),
    }
}

/// As precise as anybody needs it: below ten seconds to the millisecond, from there on to the second.
fn rounded(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        return format!("{:?}", Duration::from_micros(duration.as_micros().div_ceil(1_000) as u64 * 1_000));
    }
    words::duration(duration)
}

impl Story {
    /// The whole story.
    pub(super) fn render(&self, format: Format) -> String {
        match format {
            Format::Human => self.human(),
            Format::Json => format!("{}\n", self.json()),
        }
    }

    fn human(&self) -> String {
        let Record { method, path, client, route_label, kind, .. } = &self.record;
        let mut text = String::new();
        // Writing to a string can't fail.
        // A path without normal form is not in the record.
        let path = if path.is_empty() { "(a path without normal form)" } else { path };
        let _ = writeln!(text, "{method} {path}");
        let _ = writeln!(text, "  client  {client}   ({})\n  route   {route_label} ({})", self.from, kind.name());
        if let Some(exemption) = &self.exemption {
            let _ = writeln!(text, "  limits  {exemption}");
        }
        text.push('\n');
        if let Some(detail) = &self.edge_detail {
            let _ = writeln!(text, "  edge    refuse   {detail}\n");
        }
        for step in &self.steps {
            let reason = step.reason.unwrap_or_default();
            let mode = if step.mode == "enforce" { "" } else { step.mode };
            let line = format!(
                "  {:<10} {:<10} {:<8} {:<8} {mode:<7} {reason} {}",
                step.stage, step.policy, step.shape, step.answer, step.why
            );
            let _ = writeln!(text, "{:<76} {}", line.trim_end(), step.place);
        }
        for tally in &self.record.limits {
            let Limit { name, stage, key, holds, mode, state } = Limit::of(tally);
            let mode = if mode == "enforce" { "" } else { mode };
            let line = format!("  {stage:<10} limit {name} by {key}: {holds}; {state} {mode}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        if !self.request.removed.is_empty() {
            let _ = writeln!(text, "\nTaken out of the request:\n  {}", self.request.removed.join("\n  "));
        }
        write_fields(&mut text, "Set for the application:", &self.request.added);
        let _ = match self.ending {
            Ending::Application => writeln!(text, "\nThe application answers."),
            Ending::Here(Some(reason)) => {
                writeln!(text, "\nRefused with {} {}: {}", self.status.as_u16(), reason.code(), reason.title())
            }
            Ending::Here(None) => writeln!(text, "\nAnswered with {}:", self.status),
        };
        match self.ending {
            Ending::Application => write_fields(&mut text, "Set on its answer:", &self.head),
            Ending::Here(_) => self.head.iter().for_each(|field| write_field(&mut text, field)),
        }
        write_fields(&mut text, "On pages (text/html) that bring none of their own, also:", &self.head_on_pages);
        if let Ending::Here(Some(reason)) = self.ending {
            let _ = writeln!(text, "\npalisade explain {} tells more.", reason.code());
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let policies: Vec<_> = self
            .steps
            .iter()
            .map(|step| {
                json!({
                    "stage": step.stage, "policy": step.policy, "shape": step.shape, "mode": step.mode,
                    "answer": step.answer, "reason": step.reason, "why": step.why, "place": step.place,
                })
            })
            .collect();
        let limits: Vec<_> = self
            .record
            .limits
            .iter()
            .map(|tally| {
                let Limit { name, stage, key, holds, mode, state } = Limit::of(tally);
                json!({
                    "name": name, "stage": stage, "key": key, "holds": holds, "mode": mode, "state": state,
                    "outcome": tally.outcome(), "remaining": tally.remaining,
                })
            })
            .collect();
        let ending = match self.ending {
            Ending::Application => json!({ "by": "application" }),
            Ending::Here(reason) => json!({
                "by": "gateway", "status": self.status.as_u16(), "code": reason.map(palisade_core::Reason::code),
                "detail": self.edge_detail,
            }),
        };
        json!({
            "schema_version": 1,
            "method": self.record.method.as_str(),
            "path": self.record.path,
            "client": self.record.client.to_string(),
            "client_from": self.from,
            "exemption": self.exemption,
            "route": self.record.route_label.as_ref(),
            "kind": self.record.kind.name(),
            "policies": policies,
            "limits": limits,
            "ending": ending,
            "removed": self.request.removed,
            "added": self.request.added,
            "head": self.head,
            "head_on_pages": self.head_on_pages,
        })
    }
}

fn write_fields(text: &mut String, title: &str, fields: &[Field]) {
    if !fields.is_empty() {
        let _ = writeln!(text, "\n{title}");
        fields.iter().for_each(|field| write_field(text, field));
    }
}

fn write_field(text: &mut String, (name, value): &Field) {
    let _ = writeln!(text, "  {name}: {}", value.as_deref().unwrap_or("(new for each request)"));
}
