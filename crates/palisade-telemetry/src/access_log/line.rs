//! A record as one line.
//!
//! Fields come in a fixed order and absent ones are left out. The texts a client chose (path,
//! names in the query, host, user agent) are escaped by [`crate::json`]; values of query
//! parameters, header values and bodies aren't in a record at all.

use std::io::Write as _;

use palisade_core::record::{Answer, Asked, Attempt, class};
use palisade_core::{ClientIp, Record};

use crate::bus::would_refuse;
use crate::json::{self, Object};
use crate::settings::AddressForm;
use crate::timestamp::Timestamps;

/// Renders records, reusing what consecutive lines share.
#[derive(Debug, Default)]
pub(crate) struct Line {
    timestamps: Timestamps,
}

impl Line {
    /// Appends the record's line.
    pub(crate) fn render(&mut self, out: &mut Vec<u8>, record: &Record, address: AddressForm) {
        let mut object = Object::open(out);
        object.word("event", b"request");
        self.ids(&mut object, record);
        what(&mut object, record);
        times(&mut object, record);
        who(&mut object, record, address);
        application(&mut object, record);
        object.word("protocol", record.protocol.name().as_bytes());
        policies(&mut object, record);
        object.close();
        out.push(b'\n');
    }

    fn ids(&mut self, object: &mut Object<'_>, record: &Record) {
        let time = object.key("time");
        time.push(b'"');
        self.timestamps.write(time, record.now.utc);
        time.push(b'"');
        object.word("request_id", record.request_id.as_str().as_bytes());
        if let Some(id) = &record.client_request_id {
            object.word("client_request_id", id.as_str().as_bytes());
        }
        object.word("trace_id", &record.trace_id.hex());
        object.word("span_id", &record.span_id.hex());
        if let Some(parent) = record.parent_id {
            object.word("parent_id", &parent.hex());
        }
    }
}

fn what(object: &mut Object<'_>, record: &Record) {
    object.word("method", record.method.as_str().as_bytes());
    object.text("route", record.route_label.as_bytes());
    object.text("path", record.path.as_bytes());
    if !record.query_names.is_empty() {
        object.array("query_names", &record.query_names, |out, name| json::string(out, name.as_bytes()));
    }
    object.word("kind", record.kind.name().as_bytes());
    object.text("host", record.host.as_bytes());
    if let Some(status) = record.status {
        object.number("status", status.as_u16().into());
    }
    object.word("class", class(record.status).as_bytes());
    object.word("outcome", record.outcome.name().as_bytes());
    if let Some(code) = record.code {
        object.word("code", code.code().as_bytes());
    }
}

fn times(object: &mut Object<'_>, record: &Record) {
    object.millis("duration_ms", record.duration);
    object.millis("latency_ms", record.latency);
    if let Some(first_byte) = record.first_byte {
        object.millis("first_byte_ms", first_byte);
    }
    object.millis("upstream_ms", record.upstream);
    object.millis("gateway_ms", record.duration.saturating_sub(record.upstream + record.client_wait));
    object.millis("client_wait_ms", record.client_wait);
    object.millis("store_wait_ms", record.store_wait);
    object.number("bytes_in", record.bytes_in);
    object.number("bytes_out", record.bytes_out);
}

fn who(object: &mut Object<'_>, record: &Record, address: AddressForm) {
    client_address(object, record.client, address);
    if let Some(subject) = record.identity.subject() {
        object.text("subject", subject.as_bytes());
    }
    if let Some(plan) = record.identity.plan() {
        object.text("plan", plan.as_bytes());
    }
    if let Some(agent) = &record.user_agent {
        object.text("user_agent", agent);
    }
}

fn application(object: &mut Object<'_>, record: &Record) {
    if let Some(server) = &record.server {
        object.text("server", server.as_bytes());
    }
    // One attempt that worked is told by `server` and `upstream_ms` already.
    if record.attempts.len() > 1 || record.attempts.iter().any(|attempt| attempt.error.is_some()) {
        object.array("attempts", &record.attempts, attempt);
    }
}

fn attempt(out: &mut Vec<u8>, attempt: &Attempt) {
    let mut object = Object::open(out);
    object.text("server", attempt.server.as_bytes());
    object.millis("ms", attempt.duration);
    if let Some(error) = attempt.error {
        object.word("error", error.code().as_bytes());
    }
    object.close();
}

fn policies(object: &mut Object<'_>, record: &Record) {
    if !would_refuse(record) {
        return;
    }
    let telling = record.policies.iter().filter(|asked| match &asked.answer {
        Answer::Silent | Answer::Allow(None) => false,
        Answer::Allow(Some(_)) | Answer::Respond | Answer::Refuse(_) => true,
    });
    object.array("policies", telling, policy);
    let limits = || {
        record.policies.iter().flat_map(|asked| match &asked.answer {
            Answer::Refuse(refusal) => refusal.violated.as_slice(),
            Answer::Silent | Answer::Allow(_) | Answer::Respond => &[],
        })
    };
    if limits().next().is_some() {
        object.array("limits", limits(), |out, limit| json::string(out, limit.as_bytes()));
    }
}

/// A policy's answer, as log and traces tell it.
pub(crate) fn policy(out: &mut Vec<u8>, asked: &Asked) {
    let mut object = Object::open(out);
    object.word("policy", asked.policy.as_bytes());
    let (decision, reason, note) = match &asked.answer {
        Answer::Allow(note) => ("allow", None, note.as_deref()),
        Answer::Respond => ("respond", None, None),
        Answer::Refuse(refusal) => ("refuse", Some(refusal.reason), refusal.detail.as_deref()),
        Answer::Silent => ("silent", None, None),
    };
    object.word("decision", decision.as_bytes());
    object.word("mode", asked.mode.name().as_bytes());
    if let Some(reason) = reason {
        object.word("reason", reason.code().as_bytes());
    }
    if let Some(note) = note {
        object.text("note", note.as_bytes());
    }
    object.close();
}

/// The client's address in the form that the config asks for.
fn client_address(object: &mut Object<'_>, client: ClientIp, form: AddressForm) {
    let (shown, mask) = match form {
        AddressForm::Off => return,
        AddressForm::Full => (client, ""),
        AddressForm::Masked => (client.prefix(24, 48), if client.is_v6() { "/48" } else { "/24" }),
    };
    // Writing into a Vec can't fail.
    let _ = write!(object.key("client_address"), "\"{shown}{mask}\"");
}

#[cfg(test)]
mod tests;
