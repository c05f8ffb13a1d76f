//! Is the process alive, may it get traffic, has it started.
//!
//! The answers are made from a few facts that are known at any time, so that nobody who asks ever
//! waits for anything. Nothing that can fail on its own is part of them: a broken store degrades
//! features, it does not take the gateway away.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};
use palisade_core::{Monotonic, Reason, Reply};

/// A runtime whose last tick is older has stalled.
const TICK_AGE_MAX: Duration = Duration::from_secs(10);

/// The facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Whether a snapshot is active. Once one was, one always is.
    pub snapshot: Presence,
    /// Whether all listeners are bound.
    pub listeners: Presence,
    /// Since when the process is draining, and why: `SIGTERM`.
    pub draining: Option<(Monotonic, &'static str)>,
    /// Servers of the application that are out of rotation, and since when. A note for operators,
    /// and no condition: the gateway answers all the same.
    pub servers_out: Vec<(Arc<str>, Monotonic)>,
    /// Age of the oldest last tick over all runtimes.
    pub oldest_tick: Duration,
}

/// Whether something is there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Not yet.
    Missing,
    /// It is.
    Present,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Anybody: the short answers only.
    Public,
    /// An operator: each condition by its name, too.
    Operator,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The answer.
    Reply(Reply),
    /// There is none, for this reason.
    Refuse(Reason),
}

/// A condition of readiness.
struct Condition {
    name: &'static str,
    /// Why it fails, if it does.
    failure: Option<String>,
}

/// The headers of every answer about health.
pub const HEAD: [(HeaderName, HeaderValue); 2] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// The `Allow` field of answers to other methods.
pub const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// Whether health can be asked with this method.
pub fn is_method(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// Answers for a path below the listener's own place: `livez`, `readyz`, `startupz`, and for
/// operators `readyz/<condition>`. `None`: the path is about something else.
pub fn answer(
    path: &str,
    query: Option<&str>,
    conditions: &Conditions,
    now: Monotonic,
    audience: Audience,
) -> Option<Answer> {
    match (path, audience) {
        ("livez", _) if conditions.oldest_tick < TICK_AGE_MAX => Some(text(StatusCode::OK, "ok")),
        ("livez", _) => Some(text(StatusCode::SERVICE_UNAVAILABLE, "stalled")),
        ("startupz", _) => Some(match conditions.snapshot {
            Presence::Present => text(StatusCode::OK, "ok"),
            Presence::Missing => text(StatusCode::SERVICE_UNAVAILABLE, "starting"),
        }),
        ("readyz", Audience::Public) => Some(readiness(&conditions.list(now), None)),
        ("readyz", Audience::Operator) => Some(ready(query, conditions.list(now), &conditions.notes(now))),
        (_, Audience::Public) => None,
        (path, Audience::Operator) => {
            let wanted = path.strip_prefix("readyz/")?;
            let mut list = conditions.list(now);
            list.retain(|condition| condition.name == wanted);
            Some(if list.is_empty() { Answer::Refuse(Reason::HealthUnknownCondition) } else { ready(query, list, "") })
        }
    }
}

fn ready(query: Option<&str>, mut list: Vec<Condition>, notes: &str) -> Answer {
    let parameters = || query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    for (_, excluded) in parameters().filter(|(name, _)| *name == "exclude") {
        // What is excluded twice isn't unknown, so all names are looked at.
        if !NAMES.contains(&excluded) {
            return Answer::Refuse(Reason::HealthUnknownCondition);
        }
        list.retain(|condition| condition.name != excluded);
    }
    let is_verbose = parameters().any(|(name, _)| name == "verbose");
    readiness(&list, is_verbose.then(|| lines(&list) + notes))
}

fn readiness(list: &[Condition], lines: Option<String>) -> Answer {
    let is_ready = list.iter().all(|condition| condition.failure.is_none());
    let (status, word) = if is_ready { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    match lines {
        Some(lines) => text(status, lines),
        None => text(status, word),
    }
}

fn lines(list: &[Condition]) -> String {
    let mut lines = String::new();
    for Condition { name, failure } in list {
        // Writing into a String can't fail.
        let _ = match failure {
            None => writeln!(lines, "[+]{name} ok"),
            Some(failure) => writeln!(lines, "[-]{name} failed: {failure}"),
        };
    }
    lines
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut head = vec![(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
    head.extend(HEAD);
    Answer::Reply(Reply { status, head, body: body.into() })
}

/// Servers that are named; the others are counted.
const NOTES_MAX: usize = 16;

const NAMES: [&str; 3] = ["snapshot", "listeners", "draining"];

impl Conditions {
    /// The conditions of readiness, in the order of [`NAMES`].
    fn list(&self, now: Monotonic) -> Vec<Condition> {
        let missing = |presence, failure: &str| (presence == Presence::Missing).then(|| failure.to_owned());
        let draining = self.draining.map(|(since, why)| format!("{why} {} s ago", now.since(since).as_secs()));
        let failures =
            [missing(self.snapshot, "none is active"), missing(self.listeners, "not all are bound"), draining];
        NAMES.into_iter().zip(failures).map(|(name, failure)| Condition { name, failure }).collect()
    }

    /// Lines that inform and do not count.
    fn notes(&self, now: Monotonic) -> String {
        let mut notes = String::new();
        for (server, since) in self.servers_out.iter().take(NOTES_MAX) {
            let seconds = now.since(*since).as_secs();
            // Writing into a String can't fail.
            let _ = writeln!(notes, "[!]upstream degraded: {server} has been out of rotation for {seconds} s");
        }
        let further = self.servers_out.len().saturating_sub(NOTES_MAX);
        if further > 0 {
            let _ = writeln!(notes, "[!]upstream degraded: out of rotation, too: {further} more");
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Conditions = Conditions {
        snapshot: Presence::Present,
        listeners: Presence::Present,
        draining: None,
        servers_out: Vec::new(),
        oldest_tick: Duration::ZERO,
    };
    const NOW: Monotonic = Monotonic::from_nanos(10_000_000_000);

    /// The status and the text of an answer, or the code of a refusal.
    fn check(target: &str, conditions: &Conditions, audience: Audience) -> String {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        match answer(path, query, conditions, NOW, audience) {
            None => "another".into(),
            Some(Answer::Refuse(reason)) => reason.code().into(),
            Some(Answer::Reply(reply)) => {
                format!("{} {}", reply.status.as_u16(), std::str::from_utf8(&reply.body).unwrap())
            }
        }
    }

    #[test]
    fn the_short_answers() {
        let stalled = Conditions { oldest_tick: Duration::from_secs(10), ..GOOD };
        let late = Conditions { oldest_tick: Duration::from_millis(9_999), ..GOOD };
        let starting = Conditions { snapshot: Presence::Missing, listeners: Presence::Missing, ..GOOD };
        let unbound = Conditions { listeners: Presence::Missing, ..GOOD };
        let draining = Conditions { draining: Some((NOW, "SIGTERM")), ..GOOD };
        for audience in [Audience::Public, Audience::Operator] {
            for (target, conditions, expected) in [
                ("livez", &GOOD, "200 ok"),
                ("livez", &late, "200 ok"),
                ("livez", &stalled, "503 stalled"),
                ("livez", &draining, "200 ok"),
                ("livez", &starting, "200 ok"),
                ("readyz", &GOOD, "200 ok"),
                ("readyz", &stalled, "200 ok"),
                ("readyz", &starting, "503 not ready"),
                ("readyz", &unbound, "503 not ready"),
                ("readyz", &draining, "503 not ready"),
                ("startupz", &starting, "503 starting"),
                ("startupz", &draining, "200 ok"),
                ("livez/", &GOOD, "another"),
                ("", &GOOD, "another"),
                ("healthz", &GOOD, "another"),
            ] {
                assert_eq!(check(target, conditions, audience), expected, "{target} {audience:?}");
            }
        }
    }

    #[test]
    fn operators_see_each_condition() {
        let draining = Conditions { draining: Some((Monotonic::from_nanos(7_000_000_000), "SIGTERM")), ..GOOD };
        let starting = Conditions { snapshot: Presence::Missing, ..GOOD };
        for (target, conditions, expected) in [
            ("readyz?verbose", &GOOD, "200 [+]snapshot ok\n[+]listeners ok\n[+]draining ok\n"),
            (
                "readyz?verbose=1&x",
                &starting,
                "503 [-]snapshot failed: none is active\n[+]listeners ok\n[+]draining ok\n",
            ),
            ("readyz?verbose", &draining, "503 [+]snapshot ok\n[+]listeners ok\n[-]draining failed: SIGTERM 3 s ago\n"),
            ("readyz?exclude=draining", &draining, "200 ok"),
            ("readyz?exclude=draining&exclude=draining", &draining, "200 ok"),
            ("readyz?exclude=draining&exclude=snapshot&verbose", &draining, "200 [+]listeners ok\n"),
            ("readyz?exclude=snapshot", &draining, "503 not ready"),
            ("readyz?exclude=store", &GOOD, "health.unknown_condition"),
            ("readyz/draining", &draining, "503 not ready"),
            ("readyz/snapshot", &draining, "200 ok"),
            ("readyz/draining?verbose", &draining, "503 [-]draining failed: SIGTERM 3 s ago\n"),
            ("readyz/store", &GOOD, "health.unknown_condition"),
            ("readyz/", &GOOD, "health.unknown_condition"),
        ] {
            assert_eq!(check(target, conditions, Audience::Operator), expected, "{target}");
        }
    }

    #[test]
    fn servers_that_are_out_are_a_note_and_no_condition() {
        let out = |count: u64| {
            let server = |number| (format!("127.0.0.1:{}", 3_000 + number).into(), Monotonic::from_nanos(number));
            Conditions { servers_out: (0..count).map(server).collect(), ..GOOD }
        };
        let ok = "200 [+]snapshot ok\n[+]listeners ok\n[+]draining ok\n";
        let note = "[!]upstream degraded: 127.0.0.1:3000 has been out of rotation for 10 s\n";
        for (target, expected) in [
            ("readyz", "200 ok"),
            ("readyz?verbose", &*format!("{ok}{note}")),
            ("readyz?verbose&exclude=upstream", "health.unknown_condition"),
            ("readyz/upstream", "health.unknown_condition"),
            ("readyz/draining?verbose", "200 [+]draining ok\n"),
        ] {
            assert_eq!(check(target, &out(1), Audience::Operator), expected, "{target}");
        }
        assert_eq!(check("readyz?verbose", &out(1), Audience::Public), "200 ok");
        for (count, lines, last) in [(16, 16, "127.0.0.1:3015 has been out"), (17, 17, "too: 1 more")] {
            let told = check("readyz?verbose", &out(count), Audience::Operator);
            assert_eq!(told.matches("[!]").count(), lines);
            assert!(told.lines().last().unwrap().contains(last), "{told}");
        }
    }

    #[test]
    fn the_public_learns_nothing_more() {
        let draining = Conditions { draining: Some((NOW, "SIGTERM")), ..GOOD };
        assert_eq!(check("readyz?verbose", &draining, Audience::Public), "503 not ready");
        assert_eq!(check("readyz?exclude=draining", &draining, Audience::Public), "503 not ready");
        assert_eq!(check("readyz/draining", &draining, Audience::Public), "another");
    }

    #[test]
    fn every_answer_is_plain_and_kept_by_nobody() {
        let Some(Answer::Reply(reply)) = answer("livez", None, &GOOD, NOW, Audience::Public) else { panic!() };
        let head: Vec<_> = reply.head.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            head,
            [
                ("content-type", "text/plain; charset=utf-8"),
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff")
            ]
        );
    }
}
