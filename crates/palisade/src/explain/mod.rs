//! `palisade explain`: what would happen to a request, what a code means, what a key does.

mod changes;
mod request;
mod story;

use palisade_config::{Seed, Snapshot, key_doc, load, nearest_key, similar_key};
use palisade_core::Reason;
use palisade_core::config::{Code, nearest, typed};
use serde_json::json;

use crate::cli::{Explain, Format};
use crate::exit::Exit;
use crate::source::SourceError;
use crate::{check, print, source};

/// Runs the command.
pub(crate) fn run(explain: &Explain) -> Exit {
    let what = explain.what.join(" ");
    let what = what.trim();
    if let Some(reason) = Reason::find(what) {
        return code(explain.format, what, Some(reason.status().as_u16()), reason.title(), reason.page());
    }
    if let Some(found) = Code::find(what) {
        return code(explain.format, what, None, "A problem of the configuration", found.page());
    }
    // Before a request, since the name of a route holds slashes.
    if let Some(doc) = key_doc(what) {
        return key(explain, &doc);
    }
    let is_request = what.starts_with('/') || what.contains(' ');
    if is_request {
        return match configuration(explain) {
            Ok(snapshot) => request::explain(explain, what, &snapshot),
            Err(exit) => exit,
        };
    }
    eprintln!("palisade: `{what}` is no code and no key");
    match meant(what) {
        Some(meant) => eprintln!("Did you mean: palisade explain {}", typed(&meant)),
        None => eprintln!("A request is written 'POST /api/chat'; palisade explain app lists the keys of a table."),
    }
    Exit::Usage
}

/// The code or the key that is nearest.
fn meant(what: &str) -> Option<String> {
    let reasons = Reason::ALL.iter().map(|reason| reason.code());
    let codes = reasons.chain(Code::ALL.iter().map(|code| code.code()));
    nearest(what, codes).map(str::to_owned).or_else(|| nearest_key(what))
}

fn configuration(explain: &Explain) -> Result<Snapshot, Exit> {
    let inputs = match source::inputs(&explain.source, None) {
        Ok(inputs) => inputs,
        Err(SourceError::NoFile) => {
            eprintln!("palisade: there is no palisade.toml here, so this is what the defaults do");
            source::defaults()
        }
        Err(error @ SourceError::Environment(_)) => return Err(error.complain("palisade explain")),
    };
    match load(&inputs.secrets(palisade_config::Secrets::Skip), Seed([0; 16])) {
        Ok((snapshot, _)) => Ok(snapshot),
        Err(report) => {
            check::complain(&report);
            Err(Exit::Config)
        }
    }
}

/// The page of a code. The lines of its text are one sentence after the other.
fn code(format: Format, code: &str, status: Option<u16>, title: &str, page: &str) -> Exit {
    let text = page.split_whitespace().collect::<Vec<_>>().join(" ");
    match format {
        Format::Human => {
            let status = status.map(|status| format!(" · {status}")).unwrap_or_default();
            print::out(&format!("{code}{status}\n{title}\n\n{text}\n"))
        }
        Format::Json => {
            let document = json!({ "schema_version": 1, "code": code, "status": status, "title": title, "page": text });
            print::out(&format!("{document}\n"))
        }
    }
}

/// What a key does, and its effective value with the place where it comes from.
fn key(explain: &Explain, doc: &palisade_config::KeyDoc) -> Exit {
    // A key is explained also where there is no configuration, or a broken one.
    let snapshot = source::inputs(&explain.source, None)
        .ok()
        .and_then(|inputs| load(&inputs.secrets(palisade_config::Secrets::Skip), Seed([0; 16])).ok());
    let value = snapshot.as_ref().and_then(|(snapshot, _)| {
        let effective = snapshot.effective().into_iter().find(|effective| effective.key == doc.key)?;
        Some((effective.value, snapshot.place(&doc.key)))
    });
    match explain.format {
        Format::Human => {
            let now = match &value {
                Some((value, place)) => format!("Now: {value}   ({place})\n"),
                None => String::new(),
            };
            let width = doc.keys.iter().map(|(key, _)| key.chars().count()).max().unwrap_or_default();
            let keys: String = doc.keys.iter().map(|(key, syntax)| format!("  {key:<width$}  {syntax}\n")).collect();
            let keys = if keys.is_empty() { keys } else { format!("\nIts keys:\n{keys}") };
            let meant = match similar_key(&doc.key).filter(|_| value.is_none()) {
                Some(key) => {
                    format!("\nThat is a table that you name. Did you mean: palisade explain {}\n", typed(&key))
                }
                None => String::new(),
            };
            print::out(&format!("{}\n{} · {}\n\n{}\n{keys}{now}{meant}", doc.key, doc.syntax, doc.presence, doc.doc))
        }
        Format::Json => {
            let (value, place) = value.unzip();
            let document = json!({
                "schema_version": 1, "key": doc.key, "syntax": doc.syntax, "presence": doc.presence,
                "doc": doc.doc, "keys": doc.keys, "value": value, "place": place.as_deref(),
            });
            print::out(&format!("{document}\n"))
        }
    }
}
