//! A record as one line.
//!
//! Fields come in a fixed order and absent ones are left out. The texts a client chose (path,
//! names in the query, host, user agent) are escaped by [`crate::json`]; values of query
//! parameters, header values and bodies aren't in a record at all.

use std::io::Write as _;
use std::net::IpAddr;

use palisade_core::record::{Answer, Asked, Attempt, class};
use palisade_core::{ClientIp, Record, Tally};

use crate::bus::would_refuse;
use crate::json::{self, Object, key};
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
        object.word(key!("event"), b"request");
        self.ids(&mut object, record);
        what(&mut object, record);
        times(&mut object, record);
        who(&mut object, record, address);
        application(&mut object, record);
        object.word(key!("protocol"), record.protocol.name().as_bytes());
        policies(&mut object, record);
        object.close();
        out.push(b'\n');
    }

    fn ids(&mut self, object: &mut Object<'_>, record: &Record) {
        let time = object.key(key!("time"));
        time.push(b'"');
        self.timestamps.write(time, record.now.utc);
        time.push(b'"');
        object.word(key!("request_id"), record.request_id.as_bytes());
        if let Some(id) = &record.client_request_id {
            object.word(key!("client_request_id"), id.as_bytes());
        }
        object.word(key!("trace_id"), &record.trace_id.hex());
        object.word(key!("span_id"), &record.span_id.hex());
        if let Some(parent) = record.parent_id {
            object.word(key!("parent_id"), &parent.hex());
        }
    }
}

fn what(object: &mut Object<'_>, record: &Record) {
    object.word(key!("method"), record.method.as_str().as_bytes());
    object.text(key!("route"), record.route_label.as_bytes());
    object.text(key!("path"), record.path.as_bytes());
    if !record.query_names.is_empty() {
        object.array(key!("query_names"), &record.query_names, |out, name| json::string(out, name.as_bytes()));
    }
    object.word(key!("kind"), record.kind.name().as_bytes());
    object.text(key!("host"), record.host.as_bytes());
    if let Some(status) = record.status {
        object.number(key!("status"), status.as_u16().into());
    }
    object.word(key!("class"), class(record.status).as_bytes());
    object.word(key!("outcome"), record.outcome.name().as_bytes());
    if let Some(code) = record.code {
        object.word(key!("code"), code.code().as_bytes());
    }
}

fn times(object: &mut Object<'_>, record: &Record) {
    object.millis(key!("duration_ms"), record.duration);
    object.millis(key!("latency_ms"), record.latency);
    if let Some(first_byte) = record.first_byte {
        object.millis(key!("first_byte_ms"), first_byte);
    }
    object.millis(key!("upstream_ms"), record.upstream);
    object.millis(key!("gateway_ms"), record.duration.saturating_sub(record.upstream + record.client_wait));
    object.millis(key!("client_wait_ms"), record.client_wait);
    object.millis(key!("store_wait_ms"), record.store_wait);
    object.number(key!("bytes_in"), record.bytes_in);
    object.number(key!("bytes_out"), record.bytes_out);
}

fn who(object: &mut Object<'_>, record: &Record, address: AddressForm) {
    client_address(object, record.client, address);
    if let Some(subject) = record.identity.subject() {
        object.text(key!("subject"), subject.as_bytes());
    }
    if let Some(plan) = record.identity.plan() {
        object.text(key!("plan"), plan.as_bytes());
    }
    if let Some(agent) = &record.user_agent {
        object.text(key!("user_agent"), agent);
    }
    let exempt = record.limits.iter().find_map(|tally| tally.item.limit.strip_prefix("exempt:"));
    if let Some(exempt) = exempt {
        object.text(key!("exempt"), exempt.as_bytes());
    }
}

fn application(object: &mut Object<'_>, record: &Record) {
    if let Some(server) = &record.server {
        object.text(key!("server"), server.as_bytes());
    }
    // One attempt that worked is told by `server` and `upstream_ms` already.
    if record.attempts.len() > 1 || record.attempts.iter().any(|attempt| attempt.error.is_some()) {
        object.array(key!("attempts"), &record.attempts, attempt);
    }
}

fn attempt(out: &mut Vec<u8>, attempt: &Attempt) {
    let mut object = Object::open(out);
    object.text(key!("server"), attempt.server.as_bytes());
    object.millis(key!("ms"), attempt.duration);
    if let Some(error) = attempt.error {
        object.word(key!("error"), error.code().as_bytes());
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
    object.array(key!("policies"), telling, policy);
    if !record.limits.is_empty() {
        object.array(key!("limits"), record.limits.iter().filter(|tally| tally.outcome().is_some()), limit);
    }
}

/// What a limit said, and how much of it is left.
fn limit(out: &mut Vec<u8>, tally: &Tally) {
    let mut object = Object::open(out);
    object.text(key!("name"), tally.item.name.as_bytes());
    object.word(key!("outcome"), tally.outcome().unwrap_or_default().as_bytes());
    object.number(key!("remaining"), tally.remaining.into());
    object.close();
}

/// A policy's answer, as log and traces tell it.
pub(crate) fn policy(out: &mut Vec<u8>, asked: &Asked) {
    let mut object = Object::open(out);
    object.word(key!("policy"), asked.policy.as_bytes());
    let (decision, reason, note) = match &asked.answer {
        Answer::Allow(note) => ("allow", None, note.as_deref()),
        Answer::Respond => ("respond", None, None),
        Answer::Refuse(refusal) => ("refuse", Some(refusal.reason), refusal.detail.as_deref()),
        Answer::Silent => ("silent", None, None),
    };
    object.word(key!("decision"), decision.as_bytes());
    object.word(key!("mode"), asked.mode.name().as_bytes());
    if let Some(reason) = reason {
        object.word(key!("reason"), reason.code().as_bytes());
    }
    if let Some(note) = note {
        object.text(key!("note"), note.as_bytes());
    }
    object.close();
}

/// The address in the form that the config asks for, and what is written behind it.
pub(crate) fn shown(client: ClientIp, form: AddressForm) -> Option<(ClientIp, &'static str)> {
    match form {
        AddressForm::Off => None,
        AddressForm::Full => Some((client, "")),
        AddressForm::Masked => Some((client.prefix(24, 48), if client.is_v6() { "/48" } else { "/24" })),
    }
}

/// The client's address, as bytes, since every line has one.
fn client_address(object: &mut Object<'_>, client: ClientIp, form: AddressForm) {
    let Some((shown, mask)) = shown(client, form) else { return };
    let out = object.key(key!("client_address"));
    out.push(b'"');
    match shown.addr() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            json::whole(out, a.into());
            for part in [b, c, d] {
                out.push(b'.');
                json::whole(out, part.into());
            }
        }
        // Writing into a Vec can't fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
    out.extend_from_slice(mask.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests;
