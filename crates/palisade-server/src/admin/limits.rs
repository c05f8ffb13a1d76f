//! `/api/v1/limits`: how limits and their keys stand, and what is set for a key.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Response};
use palisade_core::config::Period;
use palisade_core::escape::unescape;
use palisade_core::overrides::Until;
use palisade_core::{Bound, Rate, Reason, Refusal, Utc, chain};
use palisade_policy::limits::Stands;
use palisade_telemetry::limits::PerMinute;
use serde_json::{Map, Value, json};

use super::{allow, body};
use crate::desk::{Asked, Change, Desk, Listed, Seen, refuse};

/// The longest time for which something is set: a year.
type Lasts = Period<1_000, 31_536_000_000>;

/// How long a rate counts, unless said.
const LASTS: Duration = Duration::from_secs(3_600);

/// Answers a call. `path` is what follows `limits`.
pub(super) async fn answer(
    desk: &Desk,
    method: &Method,
    path: &str,
    query: Option<&str>,
    content: &Bytes,
) -> Result<Response<Bytes>, Box<Refusal>> {
    let names: Vec<String> = path
        .split('/')
        .skip(1)
        .map(|name| unescape(name).and_then(|name| String::from_utf8(name).ok()))
        .collect::<Option<_>>()
        .ok_or_else(|| refuse(Reason::LimitsBadKey, "an escape in the path is broken"))?;
    let (limit, key) = match &*names {
        [] => {
            allow(method, &[Method::GET, Method::HEAD], "GET, HEAD")?;
            let limits: Vec<_> = desk.list().iter().map(listed).collect();
            return Ok(document(&json!({ "schema_version": 1, "limits": limits })));
        }
        [limit] => {
            allow(method, &[Method::GET, Method::HEAD], "GET, HEAD")?;
            let limit = desk.find(limit)?;
            let keys = |most: &[(Box<str>, u64)]| -> Vec<Value> {
                most.iter().map(|(key, count)| json!({ "key": key, "requests": count })).collect()
            };
            let mut one = listed(&limit);
            one.insert("most_charged".to_owned(), json!(keys(&limit.usage.most_charged)));
            one.insert("most_refused".to_owned(), json!(keys(&limit.usage.most_refused)));
            return Ok(document(&Value::Object(one)));
        }
        [limit, key] => (limit, key),
        _ => return Err(Box::new(Refusal::new(Reason::HttpNotFound))),
    };
    allow(method, &[Method::GET, Method::HEAD, Method::PUT, Method::DELETE], "GET, HEAD, PUT, DELETE")?;
    let plan = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("plan=")));
    let plan = plan.map(|plan| unescape(plan).and_then(|plan| String::from_utf8(plan).ok()).ok_or(plan));
    let plan = plan.transpose().map_err(|plan| refuse(Reason::LimitsBadKey, format!("`{plan}` is no plan")))?;
    let asked = Asked { limit, key, plan: plan.as_deref() };
    let seen = match *method {
        Method::PUT => desk.change(asked, change(content)?).await?,
        Method::DELETE => desk.reset(asked).await?,
        _ => desk.show(asked).await?,
    };
    Ok(document(&shown(&seen)))
}

fn document(value: &Value) -> Response<Bytes> {
    body("application/json", format!("{value}\n"))
}

fn listed(limit: &Listed) -> Map<String, Value> {
    let Listed { name, stage, mode, key, bounds, outage, store, usage } = limit;
    let PerMinute { admitted, refused, would_refuse } = usage.per_minute;
    let bounds: Vec<_> =
        bounds.iter().map(|(plan, bound)| json!({ "plan": plan, "bound": bound.to_string() })).collect();
    let members = [
        ("limit", json!(name)),
        ("stage", json!(stage.name())),
        ("mode", json!(mode.name())),
        ("key", json!(key)),
        ("bounds", json!(bounds)),
        ("outage", json!(outage.name())),
        ("store", json!(store)),
        ("per_minute", json!({ "admitted": admitted, "refused": refused, "would_refuse": would_refuse })),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What bounds a key by several bounds has them all; `remaining` is that of the first.
fn shown(seen: &Seen) -> Value {
    let Seen { limit, key, stands, set, now, store, forgotten } = seen;
    let Stands { bounds, retry_after, pending, banned } = stands;
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    add("limit", json!(limit));
    add("key", json!(key));
    for (place, (bound, remaining)) in bounds.iter().enumerate() {
        let name = match bound {
            Bound::Rate(_) => "rate",
            Bound::Quota(_) => "quota",
            Bound::Slots(_) => "concurrent",
        };
        add(name, if let Bound::Slots(slots) = bound { json!(slots) } else { json!(bound.to_string()) });
        if place == 0 {
            add("remaining", json!(remaining));
        } else {
            add(&format!("{name}_remaining"), json!(remaining));
        }
    }
    add("retry_after_ms", json!(u64::try_from(retry_after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)));
    add("pending", json!(pending));
    add("banned_until", json!(banned.map(|left| time(now.as_nanos().saturating_add(nanos(left))))));
    let set = set.map(|Until { value, end }| json!({ "rate": value.to_string(), "until": time(end.as_nanos()) }));
    add("override", json!(set));
    add("store", json!(store));
    if let Some(why) = forgotten {
        add("warning", json!(format!("a restart will forget this: {}", chain(why))));
    }
    Value::Object(members)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// By whole seconds, rounded up: something lasts no longer than it says.
fn time(nanos: u64) -> String {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(Utc::from_nanos(nanos).as_nanos().div_ceil(1_000_000_000));
    humantime::format_rfc3339_seconds(at).to_string()
}

/// `{"rate":"6000/m","for":"1h"}`, `{"rate":null}`, `{"ban":"24h"}`, `{"ban":null}`.
fn change(content: &[u8]) -> Result<Change, Box<Refusal>> {
    let bad = |detail: String| refuse(Reason::LimitsBadRate, detail);
    let read: Value = serde_json::from_slice(content).map_err(|error| bad(format!("the body is no JSON: {error}")))?;
    let Value::Object(members) = read else { return Err(bad("the body is no JSON object".to_owned())) };
    let mut change = Change { lasts: LASTS, ..Change::default() };
    for (name, value) in &members {
        match (&**name, value) {
            ("rate", Value::Null) => change.rate = Some(None),
            ("ban", Value::Null) => change.ban = Some(None),
            ("rate", Value::String(text)) => change.rate = Some(Some(read_text::<Rate>(name, text)?)),
            ("ban", Value::String(text)) => change.ban = Some(Some(read_text::<Lasts>(name, text)?.get())),
            ("for", Value::String(text)) => change.lasts = read_text::<Lasts>(name, text)?.get(),
            ("rate" | "ban" | "for", _) => return Err(bad(format!("`{name}` is no text"))),
            _ => return Err(bad(format!("`{name}` can't be set; `rate`, `ban` and `for` can"))),
        }
    }
    if change.rate.is_none() && change.ban.is_none() {
        return Err(bad("neither `rate` nor `ban` is set".to_owned()));
    }
    if members.contains_key("for") && !matches!(change.rate, Some(Some(_))) {
        return Err(bad("`for` is how long a rate counts, and none is set".to_owned()));
    }
    Ok(change)
}

fn read_text<T: palisade_core::config::Text>(name: &str, text: &str) -> Result<T, Box<Refusal>> {
    T::parse(text).map_err(|fault| {
        let label = fault.label.map(|label| format!(" ({label})")).unwrap_or_default();
        refuse(Reason::LimitsBadRate, format!("`{name}` {}{label}", fault.message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match change(text.as_bytes()) {
            Ok(Change { rate, ban, lasts }) => {
                format!("{:?} {ban:?} {lasts:?}", rate.map(|rate| rate.map(|rate| rate.to_string())))
            }
            Err(refusal) => format!("{}: {}", refusal.reason.code(), refusal.detail.unwrap_or_default()),
        }
    }

    #[test]
    fn changes_are_read_whole() {
        for (text, expected) in [
            ("{\"rate\":\"6000/m\",\"for\":\"2h\"}", "Some(Some(\"6000/m\")) None 7200s"),
            ("{\"rate\":\"6000/m\"}", "Some(Some(\"6000/m\")) None 3600s"),
            ("{\"rate\":null}", "Some(None) None 3600s"),
            ("{\"ban\":\"24h\"}", "None Some(Some(86400s)) 3600s"),
            ("{\"ban\":null}", "None Some(None) 3600s"),
            ("{}", "limits.bad_rate: neither `rate` nor `ban` is set"),
            ("[]", "limits.bad_rate: the body is no JSON object"),
            ("{\"rate\":\"20/min\"}", "limits.bad_rate: `rate` has an unknown window (write `20/m`)"),
            ("{\"rate\":5}", "limits.bad_rate: `rate` is no text"),
            ("{\"burst\":5}", "limits.bad_rate: `burst` can't be set; `rate`, `ban` and `for` can"),
            ("{\"ban\":\"1h\",\"for\":\"1h\"}", "limits.bad_rate: `for` is how long a rate counts, and none is set"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert!(read("{").starts_with("limits.bad_rate: the body is no JSON"));
        assert!(read("{\"ban\":\"400d\"}").starts_with("limits.bad_rate: `ban`"));
    }
}
