//! `palisade limit`: how limits and their keys stand in a running gateway, and what is set for a key.

mod show;

use http::Method;
use palisade_core::escape::escape;
use serde_json::{Value, json};

use crate::admin::{CallError, Gateway};
use crate::cli::{Format, Limit, LimitAction, LimitKey};
use crate::exit::Exit;
use crate::print;

/// Runs the command.
pub(crate) fn run(limit: &Limit) -> Exit {
    match answer(limit) {
        Ok(text) => print::out(&text),
        Err(error) => error.complain(),
    }
}

fn answer(limit: &Limit) -> Result<String, CallError> {
    let gateway = Gateway::find(limit.admin.as_deref(), &limit.source)?;
    let told = |value: Value, human: fn(&Value) -> String| match limit.format {
        Format::Json => format!("{value}\n"),
        Format::Human => human(&value),
    };
    let on_key = |method: Method, key: &LimitKey, content: Option<Value>| {
        gateway.call(method, &path(key), content.as_ref()).map(|answer| told(answer, show::key))
    };
    match &limit.action {
        LimitAction::List => gateway.call(Method::GET, "limits", None).map(|answer| told(answer, show::list)),
        LimitAction::Top { limit } => {
            let path = format!("limits/{}", escape(limit, RESERVED));
            gateway.call(Method::GET, &path, None).map(|answer| told(answer, show::top))
        }
        LimitAction::Show { key } => on_key(Method::GET, key, None),
        LimitAction::Reset { key } => on_key(Method::DELETE, key, None),
        LimitAction::Set { key, rate, lasts } => on_key(Method::PUT, key, Some(json!({ "rate": rate, "for": lasts }))),
        LimitAction::Unset { key } => on_key(Method::PUT, key, Some(json!({ "rate": null }))),
        LimitAction::Ban { key, lasts } => on_key(Method::PUT, key, Some(json!({ "ban": lasts }))),
        LimitAction::Unban { key } => on_key(Method::PUT, key, Some(json!({ "ban": null }))),
    }
}

fn path(key: &LimitKey) -> String {
    let plan = key.plan.as_ref().map(|plan| format!("?plan={}", escape(plan, RESERVED))).unwrap_or_default();
    format!("limits/{}/{}{plan}", escape(&key.limit, RESERVED), escape(&key.key, RESERVED))
}

/// What means something in a path or a query.
const RESERVED: &[u8] = b"/?#&=+;";
