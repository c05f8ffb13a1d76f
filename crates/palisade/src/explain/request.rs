//! What would happen to a request: the edge and the guard, run on a request made from text.
//!
//! Nothing is imitated. The request passes the same edge and the same guard as one from a socket,
//! with empty counters, and the record that closes says what every policy answered.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use palisade_config::Snapshot;
use palisade_core::{Reason, Record, Refusal};
use palisade_server::connection::framing::{self, Line};
use palisade_server::protection;
use palisade_store::counters::memory::Table;
use palisade_store::{Counters, Records};
use palisade_tower::answer::Answer;
use palisade_tower::body::AnswerBody;
use palisade_tower::edge::{Entropy, Peer};
use palisade_tower::guard::{REQUEST_STAGES, Ruling, Stores};
use palisade_tower::held::Held;
use palisade_tower::observe::Close;
use palisade_tower::transit::{Incoming, Refused, Transit};
use palisade_tower::{asked, clock};

use super::story::{Step, Story};
use crate::cli::Explain;
use crate::exit::Exit;
use crate::print;

/// Explains one request.
pub(super) fn explain(explain: &Explain, snapshot: &Snapshot) -> Exit {
    let parts = match parse(&explain.what, &explain.headers, snapshot) {
        Ok(parts) => parts,
        Err(why) => {
            eprintln!("palisade: {why}");
            return Exit::Usage;
        }
    };
    match pass(parts, explain, snapshot) {
        Some(story) => print::out(&story.render(explain.format)),
        None => {
            eprintln!("palisade: a policy would wait for a store, which can't be explained here");
            Exit::Usage
        }
    }
}

/// `POST /api/chat` with fields as curl takes them. Without a `Host` it asks for the public host.
fn parse(line: &str, fields: &[String], snapshot: &Snapshot) -> Result<Parts, String> {
    let (method, target) = line.split_once(' ').unwrap_or(("GET", line));
    let mut request = Request::builder().method(method).uri(target.trim());
    for field in fields {
        let (name, value) =
            field.split_once(':').ok_or_else(|| format!("`{field}` is no header: write 'Name: value'"))?;
        request = request.header(name.trim(), value.trim());
    }
    let has_host = fields.iter().any(|field| field.to_ascii_lowercase().starts_with("host:"));
    if !has_host {
        let host =
            snapshot.app.public_url.as_ref().map_or_else(|| "localhost".to_owned(), |url| url.authority().to_string());
        request = request.header(http::header::HOST, host);
    }
    let request = request.body(()).map_err(|error| format!("`{line}` is no request: {error}"))?;
    Ok(request.into_parts().0)
}

/// Lets the request pass edge and guard. `None` if something had to be waited for.
fn pass(parts: Parts, explain: &Explain, snapshot: &Snapshot) -> Option<Story> {
    let protection = protection::of(snapshot, [0; 16]);
    let stores = Stores { counters: Counters::Memory(Table::new(snapshot.table)).into(), records: Records::new(1) };
    let Parts { method, uri, version, mut headers, .. } = parts;
    let asked_for = asked::authority(&uri, &headers);
    let protocol = asked::protocol(version);
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let line = Line { method: &method, protocol, authority, target: uri.path() };
    let malformed = framing::check(&line, &headers).err();
    let arriving = Incoming {
        method: &method,
        protocol,
        target: asked::target(&uri),
        authority: &asked_for,
        peer: Peer { address: explain.from.into(), secure: false },
        now: clock::now(),
        entropy: Entropy::draw(&mut fastrand::Rng::new()),
    };
    let closed = Rc::new(Cell::new(None));
    let (mut transit, refused) = Transit::arrive(&protection, arriving, &mut headers, Keep(closed.clone()));
    transit.note_everything();
    let questions = transit.sight.route.questions.clone();
    let framing = malformed.map(|malformed| Refusal::new(Reason::HttpMalformed).detail(malformed.to_string()));
    let edge = framing.or(refused);
    let edge_detail = edge.as_ref().and_then(|refusal| refusal.detail.clone());
    let ruling = match edge {
        Some(refusal) => Ruling::Refuse(refusal),
        None => {
            let mut body = Held::new(Empty::<Bytes>::new());
            at_once(transit.ask(&stores, REQUEST_STAGES, &headers, &mut body))?
        }
    };
    let (answer, ending) = match ruling.ended() {
        Some(ended) => {
            let refusal = match &ended {
                Refused::Refusal(refusal) => Some(refusal.reason),
                Refused::Reply(_) => None,
            };
            (transit.end::<Empty<Bytes>>(ended, &headers), Ending::Here(refusal))
        }
        None => {
            let answer = Answer::from(made_up()).map(|()| AnswerBody::App(Empty::<Bytes>::new()));
            (transit.answer(answer, |never| match *never {}, &headers), Ending::Application)
        }
    };
    let head = answer.edited().to_map();
    let status = answer.status;
    drop(answer);
    let record: Record = closed.take()?;
    let steps = Step::all(&record.policies, &questions);
    Some(Story { record, steps, ending, edge_detail, status, head: added(&head) })
}

/// How the request would end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The gateway answers, with a reason if it refuses.
    Here(Option<Reason>),
    /// The application answers.
    Application,
}

/// A page as an application sends it, to show what becomes of its head.
fn made_up() -> Response<()> {
    let mut page = Response::new(());
    let head = page.headers_mut();
    head.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/html; charset=utf-8"));
    head.insert(http::header::SERVER, http::HeaderValue::from_static("application"));
    page
}

/// What the gateway adds to the answer; ids are different each time and left out.
fn added(head: &HeaderMap) -> Vec<(String, String)> {
    head.iter()
        .filter(|(name, _)| *name != "content-type" && *name != "x-request-id")
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// Keeps the record of the explained request.
struct Keep(Rc<Cell<Option<Record>>>);

impl Close for Keep {
    fn close(self, record: Box<Record>) {
        self.0.set(Some(*record));
    }
}

/// The output of a future that has nothing to wait for.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
