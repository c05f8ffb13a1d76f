//! What would happen to a request: the edge and the guard, run on a request made from text.
//!
//! Nothing is imitated. The request passes the same edge and the same guard as one from a socket,
//! with empty counters, and the record that closes says what every policy answered.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use palisade_config::Snapshot;
use palisade_core::identity::User;
use palisade_core::{ClientIp, HeaderEdits, Identity, Kind, Reason, Record, Refusal, Reply, Stage};
use palisade_policy::limits::{Exemption, Miss};
use palisade_server::connection::framing::{self, Line};
use palisade_server::refuse::{self, Reserved};
use palisade_server::{health, onward, protection};
use palisade_store::counters::memory::Table;
use palisade_store::{Counters, Records};
use palisade_tower::answer::Answer;
use palisade_tower::body::AnswerBody;
use palisade_tower::edge::{Entropy, Peer};
use palisade_tower::guard::Stores;
use palisade_tower::held::Held;
use palisade_tower::observe::Close;
use palisade_tower::transit::{Incoming, Refused, Transit};
use palisade_tower::{asked, clock};

use super::changes::{Changes, shown};
use super::story::{Step, Story};
use crate::cli::Explain;
use crate::exit::Exit;
use crate::print;

/// Explains one request.
pub(super) fn explain(explain: &Explain, request: &str, snapshot: &Snapshot) -> Exit {
    let parts = match parse(request, &explain.headers, snapshot) {
        Ok(parts) => parts,
        Err(why) => {
            eprintln!("palisade: {why}");
            return Exit::Usage;
        }
    };
    // What is added to a page and not to data depends on what the application answers.
    let told = pass(parts.clone(), explain, snapshot, "application/json").zip(pass(
        parts,
        explain,
        snapshot,
        "text/html; charset=utf-8",
    ));
    match told {
        Some((mut story, page)) => {
            story.head_on_pages = page.head.into_iter().filter(|field| !story.head.contains(field)).collect();
            print::out(&story.render(explain.format))
        }
        None => {
            eprintln!("palisade: a policy would wait for a store, which can't be explained here");
            Exit::Usage
        }
    }
}

/// `POST /api/chat` with fields as curl takes them. Without a `Host` it asks for the public host.
fn parse(line: &str, fields: &[String], snapshot: &Snapshot) -> Result<Parts, String> {
    let (method, target) = line.split_once(' ').unwrap_or(("GET", line));
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(format!("methods are upper case: write '{} {target}'", method.to_ascii_uppercase()));
    }
    if !target.trim().starts_with(['/', '*']) && !target.contains("://") {
        return Err(format!("the path begins with a slash: write '{method} /{}'", target.trim()));
    }
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

/// Lets the request pass edge and guard, and an answer of that type back. `None` if something had to
/// be waited for.
fn pass(parts: Parts, explain: &Explain, snapshot: &Snapshot, answer_type: &'static str) -> Option<Story> {
    let protection = protection::of(snapshot, [0; 16]);
    let stores = Stores { counters: Counters::Memory(Table::new(snapshot.table)).into(), records: Records::new(1) };
    let Parts { method, uri, version, mut headers, .. } = parts;
    let sent = headers.clone();
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
    transit.sent_by(identity(explain));
    let questions = transit.sight.route.questions.clone();
    let from = peer(snapshot, explain.from.into(), &sent);
    let exemption = exemption(&snapshot.limits.exemption(transit.sight.method, &transit.sight.path));
    let framing = malformed.map(|malformed| Refusal::new(Reason::HttpMalformed).detail(malformed.to_string()));
    let mut edge_detail = None;
    let verdict = match framing.or(refused) {
        Some(refusal) => {
            edge_detail = refusal.detail.as_deref().map(str::to_owned);
            Verdict::Ends(Refused::Refusal(refusal))
        }
        None if transit.sight.route.kind == Kind::Health => Verdict::Health,
        None => ask(&mut transit, &stores, snapshot, &headers, &mut edge_detail)?,
    };
    let mut request = Changes::default();
    let (answer, ending) = match verdict {
        Verdict::Ends(ended) => {
            let reason = match &ended {
                Refused::Refusal(refusal) => Some(refusal.reason),
                Refused::Reply(_) => None,
            };
            (transit.end::<Empty<Bytes>>(ended, &headers), Ending::Here(reason))
        }
        Verdict::Health => (transit.end::<Empty<Bytes>>(Refused::Reply(ok()), &headers), Ending::Here(None)),
        Verdict::Pass(edits) => {
            let mut received = headers.clone();
            edits.apply(&mut received);
            request = Changes::between(&sent, &received);
            let answer = Answer::from(made_up(answer_type)).map(|()| AnswerBody::App(Empty::<Bytes>::new()));
            (transit.answer(answer, |never| match *never {}, &headers), Ending::Application)
        }
    };
    let head = answer.edited().to_map();
    let status = answer.status;
    drop(answer);
    let record: Record = closed.take()?;
    let steps = Step::all(&record.policies, &questions);
    let head = shown(head.iter().filter(|(name, _)| *name != "content-type"));
    let head_on_pages = Vec::new();
    Some(Story { record, from, exemption, steps, ending, edge_detail, status, request, head, head_on_pages })
}

fn identity(explain: &Explain) -> Identity {
    let user = |subject: &String| User { subject: subject.clone(), plan: explain.plan.clone(), ..User::default() };
    explain.user.as_ref().map_or(Identity::Anonymous, |subject| Identity::User(Arc::new(user(subject))))
}

/// How the client's address is found.
fn peer(snapshot: &Snapshot, peer: ClientIp, headers: &HeaderMap) -> String {
    let hops = &snapshot.edge.hops;
    let field = &hops.header;
    let is_there = headers.contains_key(field.to_string());
    match (hops.trusts(peer), is_there) {
        (false, false) => "the connection's own address".to_owned(),
        (false, true) => {
            format!("the connection's own: it is not in `[app] trusted_proxies`, so that {field} is not read")
        }
        (true, false) => format!("the connection's own: {peer} is trusted, and {field} is missing"),
        (true, true) if hops.client(peer, headers) == peer => {
            format!("the connection's own: {field} names nobody in front of {peer}, which is trusted")
        }
        (true, true) => format!("{field}, by way of {peer}, which is trusted"),
    }
}

/// Whether limits are lifted, or why they aren't although it looks as if they were.
fn exemption(exemption: &Exemption) -> Option<String> {
    match exemption {
        Exemption::None => None,
        Exemption::By(target) => Some(format!("exempt from limits by \"{target}\", up to its ceiling")),
        Exemption::Not(target, miss) => {
            let why = match miss {
                Miss::Method => "the method is another one",
                Miss::Spelling => "the path was not sent in its normal form",
                Miss::Path => "the path has to be exactly that",
            };
            Some(format!("not exempt from limits by \"{target}\": {why}"))
        }
    }
}

/// What becomes of the request.
enum Verdict {
    /// The gateway answers.
    Ends(Refused),
    /// The gateway answers about itself.
    Health,
    /// It goes on to the application, with these changes.
    Pass(HeaderEdits),
}

/// Asks everything that the gateway asks before it forwards, in its order. `None` if something had
/// to be waited for.
fn ask(
    transit: &mut Transit<'_, Keep>,
    stores: &Stores,
    snapshot: &Snapshot,
    headers: &HeaderMap,
    detail: &mut Option<String>,
) -> Option<Verdict> {
    let mut body = Held::new(Empty::<Bytes>::new());
    if let Some(ended) = at_once(transit.ask(stores, Stage::Shed..=Stage::Shed, headers, &mut body))?.ended() {
        return Some(Verdict::Ends(ended));
    }
    if let Some(refusal) = refuse::declared_too_long(headers, transit.sight.route) {
        let rule = snapshot.body_rule(transit.sight.route);
        *detail = Some(format!("the declared length is over {} = {}   ({})", rule.key, rule.value, rule.place));
        return Some(Verdict::Ends(Refused::Refusal(refusal)));
    }
    if let Some(ended) = at_once(transit.ask(stores, Stage::Identify..=Stage::Shape, headers, &mut body))?.ended() {
        return Some(Verdict::Ends(ended));
    }
    if let Some(refusal) = Reserved::default().refuse(&transit.sight) {
        *detail = Some("paths below /.palisade/ are the gateway's own".to_owned());
        return Some(Verdict::Ends(Refused::Refusal(refusal)));
    }
    Some(match onward::explain(snapshot, transit, headers) {
        Ok(edits) => Verdict::Pass(edits),
        Err(refusal) => {
            *detail = refusal.detail.as_deref().map(str::to_owned);
            Verdict::Ends(Refused::Refusal(refusal))
        }
    })
}

/// How the request would end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The gateway answers, with a reason if it refuses.
    Here(Option<Reason>),
    /// The application answers.
    Application,
}

/// An answer as an application sends it, to show what becomes of its head.
fn made_up(answer_type: &'static str) -> Response<()> {
    let mut answer = Response::new(());
    let head = answer.headers_mut();
    head.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(answer_type));
    head.insert(http::header::SERVER, http::HeaderValue::from_static("application"));
    answer
}

/// What a gateway that is well says about itself.
fn ok() -> Reply {
    Reply { status: http::StatusCode::OK, head: health::HEAD.to_vec(), body: Bytes::from_static(b"ok") }
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
