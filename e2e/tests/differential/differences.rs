//! Where others disagree with our own engine, and why they may.
//!
//! The reasons, who differs, and the explanations are the tables of `docs/framing.md`; here stands
//! how each reason is recognized in the bytes of the request about which they disagree.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;

use crate::strict::{self, Stop};

/// Who is compared with our own engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Other {
    Hyper,
    Nginx,
    Haproxy,
}

/// Which of the two takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// The other; ours refuses it.
    Theirs,
    /// Our own engine; the other refuses it.
    Ours,
}

/// A row of the page.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) reason: String,
    pub(crate) side: Side,
    pub(crate) others: BTreeSet<Other>,
    shows: fn(&Request<'_>) -> bool,
}

impl Difference {
    /// Whether it explains why one takes this request and the other doesn't.
    pub(crate) fn explains(&self, side: Side, other: Other, request: &Request<'_>) -> bool {
        self.side == side && self.others.contains(&other) && (self.shows)(request)
    }
}

type Signs = [(&'static str, fn(&Request<'_>) -> bool)];

/// What we refuse and others take.
const THEIRS: &Signs = &[
    ("bare LF", |request| (0..request.rest.len()).any(|at| request.rest[at] == b'\n' && !request.follows(at, b'\r'))),
    ("bare CR", |request| {
        (0..request.rest.len()).any(|at| request.rest[at] == b'\r' && request.rest.get(at + 1) != Some(&b'\n'))
    }),
    ("control byte", |request| {
        let is_control = |byte: &u8| byte.is_ascii_control() && !b"\r\n\t".contains(byte);
        request.lines.iter().any(|line| line.iter().any(is_control))
    }),
    ("folded line", |request| {
        request.lines.iter().skip(1).any(|line| line.starts_with(b" ") || line.starts_with(b"\t"))
    }),
    ("name that is no token", |request| request.lines.iter().skip(1).any(|line| !has_name(line))),
    ("empty lines before", |request| request.rest.starts_with(b"\r\n\r\n")),
    ("both lengths", |request| request.has("content-length") && request.has("transfer-encoding")),
    ("several lengths", |request| {
        let lengths = request.values("content-length");
        lengths.len() > 1 || lengths.iter().any(|length| length.contains(&b','))
    }),
    ("chunks in HTTP/1.0", |request| request.has("transfer-encoding") && request.word(2) == b"HTTP/1.0"),
    ("encoding that is not chunked alone", |request| {
        request.values("transfer-encoding").iter().any(|coding| !coding.eq_ignore_ascii_case(b"chunked"))
    }),
    ("size of a chunk", |request| {
        request.is_broken_in_body() || request.body.split(|b| *b == b'\n').any(|l| l.len() > 255)
    }),
    ("extensions of chunks", |request| request.has("transfer-encoding") && request.body.len() > 4 << 10),
    ("trailer", |request| {
        let has_last_chunk = request.body.starts_with(b"0") || request.body.windows(3).any(|end| end == b"\r\n0");
        request.is_broken_in_body() && has_last_chunk
    }),
    ("Host", |request| {
        let hosts = request.values("host");
        hosts.len() != 1 || hosts.iter().any(|host| !is_host(host))
    }),
    ("absolute form", |request| {
        let target = String::from_utf8_lossy(request.word(1));
        let Some((scheme, rest)) = target.split_once("://") else { return false };
        let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
        let is_same = |host: &&[u8]| host.eq_ignore_ascii_case(authority.as_bytes());
        !scheme.to_ascii_lowercase().starts_with("http") || !request.values("host").iter().any(is_same)
    }),
    ("version", |request| {
        let line = request.lines.first().copied().unwrap_or_default();
        !line.ends_with(b" HTTP/1.1") && !line.ends_with(b" HTTP/1.0")
    }),
    ("blanks in the request line", |request| {
        let line = request.lines.first().copied().unwrap_or_default();
        line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).count() != 3
            || line.iter().filter(|byte| byte.is_ascii_whitespace()).count() != 2
    }),
    ("method", |request| request.word(0).len() > 32 || [b"TRACE".as_slice(), b"CONNECT"].contains(&request.word(0))),
    ("path without normal form", |request| {
        let target = request.word(1);
        std::str::from_utf8(target).is_err()
            || target == b"*"
            || !target.starts_with(b"/")
            || target.windows(2).any(|two| two == b".." || two == b".;")
            || target.iter().any(|byte| b"#\\%".contains(byte))
    }),
    ("size of the head", |request| {
        let bytes: usize = request.lines.iter().map(|line| line.len() + 2).sum();
        request.word(1).len() > 8 << 10 || request.lines.len() > 101 || bytes > 32 << 10
    }),
    ("Connection names what is not its own", |request| {
        let never = ["host", "content-length", "content-type", "cookie", "authorization", "sec-websocket-"];
        let named = |value: &&[u8]| {
            let value = String::from_utf8_lossy(value).to_ascii_lowercase();
            never.iter().any(|name| value.contains(name))
        };
        request.values("connection").iter().any(named)
    }),
    ("handshake of a WebSocket", |request| request.has("upgrade")),
    ("keep-alive within a word", |request| request.is_behind("keep-alive")),
];

/// What we take and others refuse.
const OURS: &Signs = &[
    ("method with small letters or signs", |request| {
        let is_plain = |byte: &u8| byte.is_ascii_uppercase() || b"-_".contains(byte);
        !request.word(0).iter().all(is_plain)
    }),
    ("`OPTIONS *`", |request| request.word(1) == b"*"),
    ("tab around a length, an encoding or a host", |request| {
        request.lines.iter().any(|line| line.contains(&b'\t') && is_of_nginx(line))
    }),
    ("Expect twice", |request| request.values("expect").len() > 1),
    ("body of a GET in HTTP/1.0", |request| request.word(2) == b"HTTP/1.0" && request.has("content-length")),
    ("close within a word", |request| request.is_behind("close")),
    ("target beyond ASCII", |request| !request.word(1).is_ascii()),
    ("target with signs that no URI has", |request| request.word(1).iter().any(|byte| b"\"<>\\^`{|}".contains(byte))),
    ("absolute form with a query alone", |request| {
        let target = String::from_utf8_lossy(request.word(1));
        target.split_once("://").is_some_and(|(_, rest)| !rest.contains('/') && rest.contains('?'))
    }),
    ("target of 8 KiB", |request| request.word(1).len() > 7 << 10),
    ("path without normal form, and the connection is kept", |request| {
        let target = request.word(1);
        target.windows(2).any(|two| two == b"..") || target.iter().any(|byte| b"#\\%".contains(byte))
    }),
];

/// A request, read as leniently as anyone might, with everything before and behind it.
pub(crate) struct Request<'a> {
    before: &'a [u8],
    rest: &'a [u8],
    lines: Vec<&'a [u8]>,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The one that begins at `start`.
    pub(crate) fn new(input: &'a [u8], start: usize) -> Self {
        let (before, rest) = input.split_at(start);
        let mut lines = Vec::new();
        let mut body = rest;
        while let Some(end) = body.iter().position(|byte| *byte == b'\n') {
            let line = body[..end].strip_suffix(b"\r").unwrap_or(&body[..end]);
            body = &body[end + 1..];
            match line {
                [] if lines.is_empty() => {}
                [] => break,
                line => lines.push(line),
            }
        }
        Self { before, rest, lines, body }
    }

    fn follows(&self, at: usize, byte: u8) -> bool {
        at > 0 && self.rest[at - 1] == byte
    }

    /// Whether a `Connection` before it holds this text.
    fn is_behind(&self, text: &str) -> bool {
        let before = String::from_utf8_lossy(self.before).to_ascii_lowercase();
        before.lines().any(|line| line.starts_with("connection:") && line.contains(text))
    }

    /// A word of the first line.
    fn word(&self, number: usize) -> &'a [u8] {
        let line = self.lines.first().copied().unwrap_or_default();
        line.split(|byte| *byte == b' ').nth(number).unwrap_or_default()
    }

    fn values(&self, name: &str) -> Vec<&'a [u8]> {
        let field = |line: &&'a [u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let is_it = line[..colon].trim_ascii().eq_ignore_ascii_case(name.as_bytes());
            is_it.then(|| line[colon + 1..].trim_ascii())
        };
        self.lines.iter().skip(1).filter_map(field).collect()
    }

    fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    fn is_broken_in_body(&self) -> bool {
        strict::request(self.rest, 0).is_ok_and(|message| message.end == Err(Stop::Wrong))
    }
}

fn has_name(line: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let colon = line.iter().position(|byte| *byte == b':');
    colon.is_some_and(|colon| colon > 0 && line[..colon].iter().all(is_token))
}

fn is_of_nginx(line: &[u8]) -> bool {
    let line = line.to_ascii_lowercase();
    ["content-length", "transfer-encoding", "host"].iter().any(|name| line.starts_with(name.as_bytes()))
}

fn is_host(host: &[u8]) -> bool {
    let host = String::from_utf8_lossy(host);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (&*host, "1"),
    };
    let is_name = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.chars().all(|sign| sign.is_ascii_alphanumeric() || "-._".contains(sign)),
    };
    is_name && port.parse::<u16>().is_ok() && !port.starts_with('+')
}

/// The rows of the page.
pub(crate) fn differences() -> Vec<Difference> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/framing.md");
    let page = fs::read_to_string(page).unwrap();
    let (theirs, ours) = page.split_once("\n## What we take and others refuse\n").expect("both tables");
    let both = [(Side::Theirs, theirs, THEIRS), (Side::Ours, ours, OURS)];
    both.into_iter().flat_map(|(side, page, signs)| read(side, page, signs)).collect()
}

fn read(side: Side, page: &str, signs: &'static Signs) -> Vec<Difference> {
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| What"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let named: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let known: Vec<&str> = signs.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(named, known, "the page and the test name the same reasons in the same order");
    let row = |(row, (_, shows)): (&Vec<&str>, &(_, _))| {
        let others = row[1].split(", ").map(|name| match name {
            "hyper" => Other::Hyper,
            "nginx" => Other::Nginx,
            "HAProxy" => Other::Haproxy,
            _ => panic!("nobody is called {name}"),
        });
        Difference { reason: row[0].to_owned(), side, others: others.collect(), shows: *shows }
    };
    rows.iter().zip(signs).map(row).collect()
}
