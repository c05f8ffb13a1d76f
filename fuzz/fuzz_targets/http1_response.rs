//! Answers as our own engine reads them. The input is the methods of the requests, a line end, and
//! what an application sends back on their connection.

#![cfg_attr(fuzzing, no_main)]

use std::cell::RefCell;

use http::Method;
use palisade_fuzz::agree::agree;
use palisade_fuzz::engine::{self, BOUNDLESS, Event, Head, SMALL, list};
use palisade_fuzz::strict;
use palisade_http1::{Framing, Limits, ResponseParser, Version};

palisade_fuzz::target!(law);

fn law(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (methods, input) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let to_head: Vec<bool> = methods.split(|byte| *byte == b' ').map(|method| method == b"HEAD").collect();
    let boundless = read(input, &to_head, input.len(), BOUNDLESS);
    let asked = RefCell::new(Asked(&to_head));
    agree(
        input,
        &boundless,
        |start| strict::response(input, start, asked.borrow().is_head()),
        |head, message, _| {
            says_what_it_may(head, message);
            if !message.line[1].starts_with('1') {
                asked.borrow_mut().answered();
            }
        },
    );
    // The answers of the corpus are shorter than its requests.
    let small = Limits { head_bytes_max: 200, fields_max: 6, ..SMALL };
    for limits in [small, Limits::ANSWER] {
        let whole = read(input, &to_head, input.len(), limits);
        for piece in [1, 2, 3, 7, 64] {
            let pieces = read(input, &to_head, piece, limits);
            assert_eq!(pieces, whole, "how the bytes arrive does not matter: {piece}");
        }
        if whole.last().is_none_or(|last| !matches!(last, Event::Fault(_))) {
            assert_eq!(whole, boundless, "a limit that doesn't act changes nothing");
        }
    }
}

fn read(input: &[u8], to_head: &[bool], piece: usize, limits: Limits) -> Vec<Event> {
    let mut parser = ResponseParser::new(limits);
    let mut asked = Asked(to_head);
    engine::read(input, piece, &limits, |buffer| {
        let method = if asked.is_head() { Method::HEAD } else { Method::GET };
        let Some(response) = parser.parse(buffer, &method)? else { return Ok(None) };
        if !response.status.is_informational() {
            asked.answered();
        }
        assert!(!response.persistent || response.framing != Framing::Close, "what ends with its connection ends it");
        let version = match response.version {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        };
        Ok(Some(Head {
            line: format!("{version} {}", response.status.as_u16()),
            fields: list(&response.fields),
            framing: response.framing,
            terms: vec![response.persistent],
        }))
    })
}

/// The methods of the requests, the one that is answered next first: whether it is `HEAD`.
struct Asked<'a>(&'a [bool]);

impl Asked<'_> {
    fn is_head(&self) -> bool {
        self.0.first().copied().unwrap_or_default()
    }

    fn answered(&mut self) {
        self.0 = self.0.get(1..).unwrap_or_default();
    }
}

/// A connection is kept only after what can't be mistaken, and never against a word of the server.
fn says_what_it_may(head: &Head, message: &strict::Message) {
    let kept = head.terms == [true];
    let options: Vec<String> = message
        .fields
        .iter()
        .filter(|(name, _)| name == "connection")
        .flat_map(|(_, value)| value.split(|byte| *byte == b','))
        .map(|option| String::from_utf8_lossy(option).trim_matches([' ', '\t']).to_ascii_lowercase())
        .collect();
    let says = |option: &str| options.iter().any(|said| said == option);
    let may_be_kept = !says("close") && (message.line[0] == "HTTP/1.1" || says("keep-alive"));
    assert!(may_be_kept || !kept, "{options:?}");
    if head.framing == Framing::None && kept {
        let has_none = message.line[1].starts_with('1') || message.line[1] == "204";
        let declares = |(name, value): &(String, Vec<u8>)| {
            name == "transfer-encoding" || name == "content-length" && value.iter().any(|digit| *digit != b'0')
        };
        assert!(!has_none || !message.fields.iter().any(declares), "a body that can't be there");
    }
}
