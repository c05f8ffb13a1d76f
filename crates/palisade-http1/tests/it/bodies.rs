//! Bodies as text, and how they are read.

use bytes::BytesMut;
use palisade_http1::{Cut, Decoded, Decoder, Framing, Limits, Piece};

use crate::drive::{check_requests, cut, requests};

fn check(body: &str, expected: &str) {
    let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    check_requests(text, format!("chunked, {expected}").trim_end_matches(", "));
}

#[test]
fn chunks_are_read_one_way() {
    for (body, expected) in [
        ("0\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("0;a\r\n\r\n", ""),
        ("1;a=\"b\"\r\nx\r\n0\r\n\r\n", ""),
        ("1;a\tb\r\nx\r\n0\r\n\r\n", ""),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", ""),
        ("0000000000000001\r\nx\r\n0\r\n\r\n", ""),
        ("0\r\nContent-Lengths: 48\r\n\r\n", ""),
        ("1\r\n", "body"),
        ("1", "body"),
        ("1\r\nx", "body"),
        ("1\r\nx\r", "body"),
        ("1\r\nx\r\n", "body"),
        ("0\r\n", "body"),
        ("0\r\n\r", "body"),
        ("0\r\nX: a\r\n", "body"),
        ("7FFFFFFFFFFFFFFF\r\nx", "body"),
        ("+1\r\nx\r\n", "Malformed"),
        ("-1\r\nx\r\n", "Malformed"),
        ("0x1\r\nx\r\n", "Malformed"),
        ("1_0\r\nx\r\n", "Malformed"),
        ("1 \r\nx\r\n", "Malformed"),
        (" 1\r\nx\r\n", "Malformed"),
        ("1\t\r\nx\r\n", "Malformed"),
        ("1 ;a\r\nx\r\n", "Malformed"),
        ("\r\nx\r\n", "Malformed"),
        (";a\r\nx\r\n", "Malformed"),
        ("g\r\nx\r\n", "Malformed"),
        ("1g\r\nx\r\n", "Malformed"),
        ("1;a\nb\r\nx\r\n", "Malformed"),
        ("1;a\rb\r\nx\r\n", "Malformed"),
        ("1;a\0b\r\nx\r\n", "Malformed"),
        ("1\r\r\nx\r\n", "Malformed"),
        ("00000000000000001\r\nx\r\n", "Malformed"),
        ("FFFFFFFFFFFFFFFF\r\nx\r\n", "Malformed"),
        ("8000000000000000\r\nx\r\n", "Malformed"),
        ("10000000000000000\r\nx\r\n", "Malformed"),
        ("1\r\nxy\r\n", "Malformed"),
        ("1\r\nx\n", "Malformed"),
        ("1\r\nx\r\r", "Malformed"),
        ("1\r\nx0\r\n\r\n", "Malformed"),
        ("2\r\nx\r\n0\r\n\r\n", "Malformed"),
        ("1\nx\r\n0\r\n\r\n", "Malformed"),
        ("0\n\r\n", "Malformed"),
        ("0\r\n\n", "Malformed"),
        ("0\r\nX : a\r\n\r\n", "Malformed"),
        ("0\r\nX: a\n\r\n", "Malformed"),
        ("0\r\nX: a\r\n b\r\n\r\n", "Malformed"),
        ("0\r\nX: a\0\r\n\r\n", "Malformed"),
        ("0\r\nno colon\r\n\r\n", "Malformed"),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", "Malformed"),
        ("0\r\nContent-Length: 48\r\n\r\n", "Malformed"),
        ("0\r\nX: a\r\ntransfer-encoding: chunked\r\n\r\n", "Malformed"),
    ] {
        check(body, expected);
    }
}

#[test]
fn sizes_are_limited_on_both_sides() {
    let chunk = |extension: usize| format!("1;{}\r\nx\r\n", "e".repeat(extension - 1));
    check(&chunk(253), "body");
    check(&chunk(254), "Malformed");
    check(&format!("1;{}", "e".repeat(254)), "body");
    check(&format!("1;{}", "e".repeat(255)), "Malformed");
    check(&chunk(128).repeat(32), "body");
    check(&chunk(128).repeat(33), "Malformed");
    check(&format!("{}1;\r\n", chunk(128).repeat(32)), "Malformed");
    check(&"1\r\nx\r\n".repeat(20_000), "body");
    let trailers = |bytes: usize| format!("0\r\nX: {}\r\n\r\n", "a".repeat(bytes - 7));
    check(&trailers(8 << 10), "");
    check(&trailers((8 << 10) + 1), "Malformed");
    check(&format!("0\r\nX: {}", "a".repeat((8 << 10) - 3)), "body");
    check(&format!("0\r\nX: {}", "a".repeat((8 << 10) - 2)), "Malformed");
    check(&format!("0\r\n{}\r\n", "a:\r\n".repeat(2_047)), "");
    // What came before the last chunk does not count.
    check(&format!("{}{}", chunk(200).repeat(10), trailers(8 << 10)), "");
}

#[test]
fn content_and_trailers_arrive() {
    let text = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\n\r\n\r\n\
        0\r\nB: 1\r\na:  2\t\r\nb: 3\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    for places in [&[][..], &[1], &[3]] {
        let read = requests(cut(text.as_bytes(), places));
        assert_eq!(read.messages[0].body, b"abc\r\n");
        let mut trailers = read.messages[0].trailers.clone();
        trailers.sort();
        let expected = [("a", "2"), ("b", "1"), ("b", "3")];
        assert_eq!(trailers, expected.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())));
        assert_eq!(read.to_string(), "chunked, none");
    }
}

fn data(bytes: &'static [u8]) -> Result<Decoded, palisade_http1::Fault> {
    Ok(Decoded::Piece(Piece::Data(bytes.into())))
}

#[test]
fn no_body_is_complete_at_once() {
    for framing in [Framing::None, Framing::Length(0)] {
        let mut decoder = Decoder::new(framing, &Limits::default());
        assert!(decoder.is_complete());
        assert_eq!((decoder.length(), decoder.remaining(), decoder.close()), (Some(0), Some(0), Ok(())));
        let mut buffer = BytesMut::from("next");
        assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::End));
        assert_eq!(buffer, "next");
    }
}

#[test]
fn a_length_is_counted_down() {
    let mut decoder = Decoder::new(Framing::Length(4), &Limits::default());
    assert_eq!((decoder.length(), decoder.remaining(), decoder.is_complete()), (Some(4), Some(4), false));
    let mut buffer = BytesMut::new();
    assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::More));
    assert_eq!(decoder.length(), Some(4));
    buffer.extend_from_slice(b"ab");
    assert_eq!(decoder.decode(&mut buffer), data(b"ab"));
    assert_eq!((decoder.length(), decoder.remaining(), decoder.close()), (None, Some(2), Err(Cut)));
    assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::More));
    buffer.extend_from_slice(b"cdnext");
    assert_eq!(decoder.decode(&mut buffer), data(b"cd"));
    assert_eq!((decoder.length(), decoder.remaining(), decoder.is_complete()), (None, Some(0), true));
    assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::End));
    assert_eq!((decoder.close(), &*buffer), (Ok(()), &b"next"[..]));
}

#[test]
fn chunks_are_cut_until_their_last_line() {
    let mut decoder = Decoder::new(Framing::Chunked, &Limits::default());
    let mut buffer = BytesMut::new();
    assert_eq!((decoder.length(), decoder.remaining()), (None, None));
    let mut after = |bytes: &str| {
        buffer.extend_from_slice(bytes.as_bytes());
        let decoded = decoder.decode(&mut buffer);
        (decoded, decoder.remaining(), decoder.is_complete(), decoder.close())
    };
    assert_eq!(after("3\r"), (Ok(Decoded::More), None, false, Err(Cut)));
    assert_eq!(after("\na"), (data(b"a"), Some(2), false, Err(Cut)));
    assert_eq!(after("bc"), (data(b"bc"), None, false, Err(Cut)));
    assert_eq!(after("\r\n0\r\n"), (Ok(Decoded::More), Some(0), false, Err(Cut)));
    assert_eq!(after("\r\nnext"), (Ok(Decoded::End), Some(0), true, Ok(())));
    assert_eq!(buffer, "next");
}

#[test]
fn some_bodies_end_with_their_connection() {
    let mut decoder = Decoder::new(Framing::Close, &Limits::default());
    let mut buffer = BytesMut::from("0\r\n\r\n");
    assert_eq!((decoder.length(), decoder.remaining(), decoder.is_complete()), (None, None, false));
    assert_eq!(decoder.decode(&mut buffer), data(b"0\r\n\r\n"));
    assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::More));
    assert_eq!(decoder.close(), Ok(()));
    assert!(decoder.is_complete());
    assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::End));
}

#[test]
fn content_is_not_copied() {
    let mut buffer = BytesMut::from("3\r\nabc\r\n0\r\n\r\n");
    let at = buffer[3..].as_ptr();
    match Decoder::new(Framing::Chunked, &Limits::default()).decode(&mut buffer) {
        Ok(Decoded::Piece(Piece::Data(data))) => assert_eq!((&*data, data.as_ptr()), (&b"abc"[..], at)),
        other => panic!("no data: {other:?}"),
    }
}
