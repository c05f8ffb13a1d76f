//! Laws that hold for all messages.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use palisade_http1::{Decoded, Decoder, Framing, Limits, RequestParser, ResponseParser, write};
use proptest::prelude::*;

use crate::drive::{End, Message as Found, Read, cut, list, requests, responses};
use crate::messages::{self, Body, Message};

/// How bytes are cut into pieces: the sizes of the pieces, in turn.
fn places() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![1]), prop::collection::vec(1_usize..80, 1..20)]
}

/// Fields as they are read.
fn lower(fields: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
}

/// Whether what was read is what the sender meant.
fn check_meaning(meant: &[Message], read: &Read) -> Result<(), TestCaseError> {
    prop_assert_eq!(read.end, End::Between);
    prop_assert_eq!(meant.len(), read.messages.len());
    for (meant, read) in meant.iter().zip(&read.messages) {
        let Found { fields, framing, body, trailers, .. } = read;
        let mut fields = fields.clone();
        let framed = matches!(meant.body, Body::Length(_) | Body::Chunked { .. });
        let last = framed.then(|| fields.pop().unwrap().0);
        prop_assert_eq!(fields, lower(&meant.fields));
        prop_assert_eq!(body, &meant.content());
        match &meant.body {
            Body::None => prop_assert_eq!((framing, trailers.len()), (&Framing::None, 0)),
            Body::Length(content) => {
                prop_assert_eq!(last.as_deref(), Some("content-length"));
                prop_assert_eq!((framing, trailers.len()), (&Framing::Length(content.len() as u64), 0));
            }
            Body::Chunked { trailers: meant, .. } => {
                prop_assert_eq!(last.as_deref(), Some("transfer-encoding"));
                prop_assert_eq!(framing, &Framing::Chunked);
                // A map keeps the order of equal names only.
                let (mut trailers, mut meant) = (trailers.clone(), lower(meant));
                trailers.sort_by(|a, b| a.0.cmp(&b.0));
                meant.sort_by(|a, b| a.0.cmp(&b.0));
                prop_assert_eq!(trailers, meant);
            }
        }
    }
    Ok(())
}

/// A message that is read off the front of `bytes`: how many bytes it is, if it is complete.
fn consumed(bytes: &[u8], answer_to: Option<&Method>) -> Option<usize> {
    let mut buffer = BytesMut::from(bytes);
    let (framing, limits) = match answer_to {
        None => (RequestParser::new(Limits::default()).parse(&mut buffer).ok()??.framing, Limits::default()),
        Some(method) => (ResponseParser::new(Limits::ANSWER).parse(&mut buffer, method).ok()??.framing, Limits::ANSWER),
    };
    let mut decoder = Decoder::new(framing, &limits);
    loop {
        match decoder.decode(&mut buffer).ok()? {
            Decoded::Piece(_) => {}
            Decoded::More => return None,
            Decoded::End => return Some(bytes.len() - buffer.len()),
        }
    }
}

/// A complete message is complete with its last byte, and the bytes after it don't matter.
fn check_consumed(bytes: &[u8], answer_to: Option<&Method>, after: &[u8]) -> Result<(), TestCaseError> {
    let Some(used) = consumed(bytes, answer_to) else { return Ok(()) };
    prop_assert_eq!(consumed(&bytes[..used - 1], answer_to), None);
    prop_assert_eq!(consumed(&[&bytes[..used], after].concat(), answer_to), Some(used));
    Ok(())
}

fn put_framing(out: &mut BytesMut, framing: Framing) {
    match framing {
        Framing::Length(length) => write::length_field(out, length),
        Framing::Chunked => write::field(out, "transfer-encoding", b"chunked"),
        Framing::None | Framing::Close => {}
    }
}

fn is_framing(name: &[u8]) -> bool {
    name == b"content-length" || name == b"transfer-encoding"
}

fn map(fields: &[(String, Vec<u8>)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn good_requests_mean_what_was_meant(
        meant in prop::collection::vec(messages::request(), 1..4),
        places in places(),
    ) {
        let bytes: Vec<u8> = meant.iter().flat_map(Message::bytes).collect();
        check_meaning(&meant, &requests(cut(&bytes, &places)))?;
    }

    #[test]
    fn good_answers_mean_what_was_meant(
        meant in prop::collection::vec(messages::response(), 1..4),
        places in places(),
    ) {
        let bytes: Vec<u8> = meant.iter().flat_map(Message::bytes).collect();
        check_meaning(&meant, &responses(&[], cut(&bytes, &places)))?;
    }

    /// However bytes arrive, the same is read.
    #[test]
    fn pieces_of_requests_do_not_matter(bytes in messages::connection(messages::request()), places in places()) {
        prop_assert_eq!(requests(cut(&bytes, &[])), requests(cut(&bytes, &places)));
    }

    #[test]
    fn pieces_of_answers_do_not_matter(
        bytes in messages::connection(messages::response()),
        is_head in prop::collection::vec(any::<bool>(), 4),
        places in places(),
    ) {
        let methods: Vec<_> = is_head.iter().map(|is_head| if *is_head { Method::HEAD } else { Method::GET }).collect();
        prop_assert_eq!(responses(&methods, cut(&bytes, &[])), responses(&methods, cut(&bytes, &places)));
    }

    /// No bytes make it panic, and no message takes from the next.
    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300), places in places()) {
        prop_assert_eq!(requests(cut(&bytes, &[])), requests(cut(&bytes, &places)));
        prop_assert_eq!(responses(&[], cut(&bytes, &[])), responses(&[], cut(&bytes, &places)));
        for framing in [Framing::None, Framing::Length(9), Framing::Chunked, Framing::Close] {
            let mut decoder = Decoder::new(framing, &Limits::default());
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Decoded::Piece(_)) = decoder.decode(&mut buffer) {}
            prop_assert!(bytes.ends_with(&buffer));
        }
    }

    #[test]
    fn messages_end_with_their_last_byte(
        request in messages::connection(messages::request()),
        response in messages::connection(messages::response()),
        after in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        check_consumed(&request, None, &after)?;
        check_consumed(&response, Some(&Method::GET), &after)?;
        check_consumed(&response, Some(&Method::HEAD), &after)?;
    }

    /// What is written is read as what was meant.
    #[test]
    fn requests_that_are_written_are_read(
        method in messages::method(),
        target in messages::target(),
        fields in messages::fields(12),
        length in prop::option::of(0..i64::MAX as u64),
        after in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let framing = length.map_or(Framing::None, Framing::Length);
        let mut out = BytesMut::new();
        write::request_line(&mut out, &method, &target);
        fields.iter().for_each(|(name, value)| write::field(&mut out, name, value));
        put_framing(&mut out, framing);
        write::end_of_head(&mut out);
        out.extend_from_slice(&after);
        let mut head = RequestParser::new(Limits::default()).parse(&mut out).unwrap().unwrap();
        prop_assert_eq!((&head.method, &*head.target, head.framing), (&method, &*target, framing));
        head.fields.retain(|name| !is_framing(name));
        prop_assert_eq!(list(&head.fields), lower(&fields));
        prop_assert_eq!(&*out, &*after);
    }

    #[test]
    fn answers_that_are_written_are_read(status in 100..=999_u16, fields in messages::fields(12), length in 0..i64::MAX as u64) {
        let status = StatusCode::from_u16(status).unwrap();
        let mut out = BytesMut::new();
        write::status_line(&mut out, status);
        fields.iter().for_each(|(name, value)| write::field(&mut out, name, value));
        write::length_field(&mut out, length);
        write::end_of_head(&mut out);
        let mut head = ResponseParser::new(Limits::ANSWER).parse(&mut out, &Method::GET).unwrap().unwrap();
        let has_body = !status.is_informational() && status.as_u16() != 204 && status.as_u16() != 304;
        prop_assert_eq!((head.status, head.framing), (status, if has_body { Framing::Length(length) } else { Framing::None }));
        head.fields.retain(|name| !is_framing(name));
        prop_assert_eq!(list(&head.fields), lower(&fields));
        prop_assert!(out.is_empty());
    }

    #[test]
    fn chunks_that_are_written_are_read(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..600), 0..5),
        trailers in messages::fields(4),
        places in places(),
    ) {
        let trailers = map(&trailers);
        let mut out = BytesMut::from("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
        for chunk in &chunks {
            write::chunk_size(&mut out, chunk.len());
            out.extend_from_slice(chunk);
            out.extend_from_slice(write::CRLF);
        }
        write::last_chunk(&mut out, (!trailers.is_empty()).then_some(&trailers));
        let read = requests(cut(&out, &places));
        prop_assert_eq!(read.to_string(), "chunked");
        prop_assert_eq!(&read.messages[0].body, &chunks.concat());
        prop_assert_eq!(map(&read.messages[0].trailers), trailers);
    }

    /// Whatever fields are taken out of a head, with its framing made anew it ends where it ended.
    #[test]
    fn removals_never_change_framing(bytes in messages::connection(messages::request()), keep in any::<u64>()) {
        let mut buffer = BytesMut::from(&bytes[..]);
        let Ok(Some(mut head)) = RequestParser::new(Limits::default()).parse(&mut buffer) else { return Ok(()) };
        let mut bits = keep;
        head.fields.retain(|name| {
            bits = bits.rotate_left(1);
            bits & 1 == 1 && !is_framing(name)
        });
        let (mut out, mut singly) = (BytesMut::new(), BytesMut::new());
        write::request_line(&mut out, &head.method, &head.target);
        write::request_line(&mut singly, &head.method, &head.target);
        write::Writable::write(&head.fields, &mut out, &mut |_| true);
        head.fields.iter().for_each(|(name, value)| write::field(&mut singly, name, value));
        prop_assert_eq!(&out, &singly);
        put_framing(&mut out, head.framing);
        write::end_of_head(&mut out);
        out.extend_from_slice(&buffer);
        let mut again = RequestParser::new(Limits::default()).parse(&mut out).unwrap().unwrap();
        prop_assert_eq!(&out, &buffer);
        prop_assert_eq!((again.framing, &*again.target), (head.framing, &*head.target));
        again.fields.retain(|name| !is_framing(name));
        prop_assert_eq!(list(&again.fields), list(&head.fields));
    }
}
