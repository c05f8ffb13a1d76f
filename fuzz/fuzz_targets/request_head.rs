//! The requests of an HTTP/1.1 connection. The input is what the client sends.

#![cfg_attr(fuzzing, no_main)]

use std::net::Ipv6Addr;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use palisade_fuzz::engine::SMALL;
use palisade_http1::Fault;
use palisade_server::connection::framing::{Line, Malformed, check};
use palisade_server::connection::message::{Followed, Follower};
use palisade_tower::asked;

palisade_fuzz::target!(law);

fn law(input: &[u8]) {
    let (events, heads) = follow(input, 1);
    for piece in [2, 3, 7, 64, input.len().max(1)] {
        assert_eq!(follow(input, piece).0, events, "how the bytes arrive does not matter: {piece}");
    }
    let ends = events.iter().filter_map(|event| match event {
        Event::End(at) => Some(*at),
        Event::Fault(_) | Event::Head => None,
    });
    let mut ends = ends.fuse();
    for (start, end) in heads {
        let head = &input[start..end];
        has_no_bare_bytes(head);
        let text = text(head);
        let seen = Seen::read(&text);
        // What isn't complete yet has no end to compare.
        if let (Some(length), Some(at)) = (seen.length(), ends.next()) {
            assert_eq!(at as u64, end as u64 + length, "both readings end the message at the same byte");
        }
        agrees(&seen);
    }
}

/// What becomes of a connection's bytes.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    /// A head was accepted.
    Head,
    /// A message ended before this byte.
    End(usize),
    /// Nothing after is read.
    Fault(Fault),
}

/// Follows the input in pieces of this size. Where heads begin and end is exact for pieces of one.
fn follow(input: &[u8], piece: usize) -> (Vec<Event>, Vec<(usize, usize)>) {
    let mut follower = Follower::new(SMALL);
    let (mut events, mut heads) = (Vec::new(), Vec::new());
    let (mut at, mut start, mut in_head) = (0, 0, true);
    for mut bytes in input.chunks(piece) {
        while !bytes.is_empty() {
            if follower.is_complete() {
                follower.begin();
                (start, in_head) = (at, true);
            }
            let Followed { used, fault } = follower.follow(bytes);
            assert!(used > 0 || fault.is_some(), "it goes on");
            at += used;
            bytes = &bytes[used..];
            if in_head && (follower.is_in_body() || follower.is_complete()) {
                in_head = false;
                events.push(Event::Head);
                heads.push((start, at));
            }
            if let Some(fault) = fault {
                events.push(Event::Fault(fault));
                return (events, heads);
            }
            if follower.is_complete() {
                events.push(Event::End(at));
            }
        }
    }
    (events, heads)
}

fn has_no_bare_bytes(head: &[u8]) {
    let count = |wanted: &[u8]| head.windows(wanted.len()).filter(|window| *window == wanted).count();
    let pairs = count(b"\r\n");
    assert_eq!((count(b"\r"), count(b"\n"), count(b"\0")), (pairs, pairs, 0), "every CR has its LF");
    assert!(head.ends_with(b"\r\n\r\n"));
}

/// A head as a reader sees it that cuts it at line ends, blanks and colons.
struct Seen<'a> {
    method: &'a str,
    target: &'a str,
    version: &'a str,
    fields: Vec<(String, &'a str)>,
}

impl<'a> Seen<'a> {
    fn read(text: &'a str) -> Self {
        let mut lines = text.trim_start_matches("\r\n").split("\r\n").take_while(|line| !line.is_empty());
        let line: Vec<&str> = lines.next().expect("a request line").split(' ').collect();
        let [method, target, version] = line[..] else { panic!("three words: {line:?}") };
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a colon");
            assert!(!name.contains([' ', '\t']), "no blank in a name");
            (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']))
        });
        Self { method, target, version, fields: fields.collect() }
    }

    fn values(&self, name: &str) -> Vec<&'a str> {
        self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| *value).collect()
    }

    /// The elements of all fields of this name, in lower case.
    fn tokens(&self, name: &str) -> Vec<String> {
        let elements = self.values(name).into_iter().flat_map(|value| value.split(','));
        elements.map(|element| element.trim_matches([' ', '\t']).to_ascii_lowercase()).collect()
    }

    /// The length of the body; `None` if it is in chunks.
    fn length(&self) -> Option<u64> {
        let lengths = self.values("content-length");
        match (self.values("transfer-encoding").as_slice(), lengths.as_slice()) {
            ([], []) => Some(0),
            ([], [length]) => Some(length.parse().expect("one number")),
            ([chunked], []) => {
                assert!(chunked.eq_ignore_ascii_case("chunked") && self.version == "HTTP/1.1");
                None
            }
            both => panic!("two readings: {both:?}"),
        }
    }

    /// What the engine makes of it; `None` if it would refuse the target.
    fn parts(&self) -> Option<Parts> {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = Method::from_bytes(self.method.as_bytes()).expect("a token is a method");
        parts.uri = Uri::try_from(bytes(self.target)).ok()?;
        parts.version = if self.version == "HTTP/1.0" { Version::HTTP_10 } else { Version::HTTP_11 };
        for (name, value) in &self.fields {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a token is a name");
            parts.headers.append(name, HeaderValue::from_bytes(&bytes(value)).expect("no control bytes make a value"));
        }
        Some(parts)
    }

    /// The authority that the target names.
    fn authority(&self) -> Option<&'a str> {
        if self.target.starts_with(['/', '*']) {
            return None;
        }
        let rest = self.target.split_once("://").map_or(self.target, |(_, rest)| rest);
        rest.split(['/', '?', '#']).next()
    }

    fn has_one_host(&self) -> bool {
        let hosts = self.values("host");
        let named = self.authority().into_iter().chain(hosts.iter().copied());
        let is_needed = self.version == "HTTP/1.1";
        named.into_iter().all(is_host)
            && (hosts.len() == 1 || hosts.is_empty() && !is_needed)
            && match (self.authority(), hosts.first()) {
                (Some(authority), Some(host)) => self.method == "CONNECT" || authority.eq_ignore_ascii_case(host),
                (Some(_) | None, None) | (None, Some(_)) => true,
            }
    }

    fn has_a_path(&self) -> bool {
        match self.target {
            "*" => self.method == "OPTIONS",
            target if target.starts_with('/') || target.contains("://") => true,
            _ => self.method == "CONNECT",
        }
    }

    fn keeps_its_fields(&self) -> bool {
        const NEVER: [&str; 5] = ["host", "content-length", "content-type", "cookie", "authorization"];
        let is_never = |token: &String| NEVER.contains(&token.as_str()) || token.starts_with("sec-websocket-");
        !self.tokens("connection").iter().any(is_never)
    }

    fn is_a_whole_handshake(&self) -> bool {
        let is_asked = self.version == "HTTP/1.1"
            && self.tokens("connection").contains(&"upgrade".to_owned())
            && self.tokens("upgrade").contains(&"websocket".to_owned());
        let bodies = [self.values("content-length"), self.values("transfer-encoding")].concat();
        let is_key = |key: &str| {
            let [digits @ .., b'=', b'='] = key.as_bytes() else { return false };
            digits.len() == 22 && digits.iter().all(|digit| digit.is_ascii_alphanumeric() || b"+/".contains(digit))
        };
        !is_asked
            || self.method == "GET"
                && bodies.is_empty()
                && self.values("sec-websocket-version") == ["13"]
                && matches!(self.values("sec-websocket-key")[..], [key] if is_key(key))
    }
}

/// Bytes as text, one sign each, for a reader who knows strings alone.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The bytes again.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|sign| u8::try_from(sign).expect("one byte each")).collect()
}

fn agrees(seen: &Seen<'_>) {
    let Some(parts) = seen.parts() else { return };
    let line = Line {
        method: &parts.method,
        protocol: asked::protocol(parts.version),
        authority: parts.uri.authority().map(http::uri::Authority::as_str),
        target: parts.uri.path(),
    };
    let found = check(&line, &parts.headers);
    assert!(!matches!(found, Err(Malformed::Length | Malformed::Encoding)), "what was followed has one length");
    let naive = seen.has_one_host() && seen.has_a_path() && seen.keeps_its_fields() && seen.is_a_whole_handshake();
    assert_eq!(found.is_ok(), naive, "{found:?}");
}

/// `host[:port]`, read from the port.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (text, None),
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5 && port.parse::<u16>().is_ok();
    let is_name = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.chars().all(|sign| sign.is_ascii_alphanumeric() || "-._".contains(sign)),
    };
    is_name && port.is_none_or(is_port)
}
