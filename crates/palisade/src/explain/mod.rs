//! `palisade explain`: what would happen to a request, what a code means, what a key does.

mod changes;
mod request;
mod story;

use palisade_config::{Seed, Snapshot, key_doc, load};
use palisade_core::Reason;
use palisade_core::config::Code;
use serde_json::json;

use crate::cli::{Explain, Format};
use crate::exit::Exit;
use crate::{check, print, source};

/// Runs the command.
pub(crate) fn run(explain: &Explain) -> Exit {
    let what = explain.what.trim();
    if what.contains('/') || what.contains(' ') {
        return match configuration(explain) {
            Ok(snapshot) => request::explain(explain, &snapshot),
            Err(exit) => exit,
        };
    }
    if let Some(reason) = Reason::find(what) {
        return code(explain.format, what, Some(reason.status().as_u16()), reason.title(), reason.page());
    }
    if let Some(found) = Code::find(what) {
        return code(explain.format, what, None, "A problem of the configuration", found.page());
    }
    match key_doc(what) {
        Some(doc) => key(explain, &doc),
        None => {
            eprintln!(
                "palisade: `{what}` is no code and no key.\nA request is written 'POST /api/chat'; \
                 codes and keys are listed in docs/reference."
            );
            Exit::Usage
        }
    }
}

fn configuration(explain: &Explain) -> Result<Snapshot, Exit> {
    let inputs = source::inputs(&explain.source, None).map_err(|error| {
        eprintln!("palisade: {error}");
        Exit::Config
    })?;
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
            print::out(&format!("{}\n{} · {}\n\n{}\n{now}", doc.key, doc.syntax, doc.presence, doc.doc))
        }
        Format::Json => {
            let (value, place) = value.unzip();
            let document = json!({
                "schema_version": 1, "key": doc.key, "syntax": doc.syntax, "presence": doc.presence,
                "doc": doc.doc, "value": value, "place": place.as_deref(),
            });
            print::out(&format!("{document}\n"))
        }
    }
}
