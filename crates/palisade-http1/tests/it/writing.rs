//! What is written, byte for byte.

use std::panic::catch_unwind;

use bytes::BytesMut;
use http::header::{HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use palisade_http1::{Text, write};

fn written(write: impl FnOnce(&mut BytesMut)) -> String {
    let mut out = BytesMut::from("|");
    write(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn heads_are_lines() {
    assert_eq!(written(|out| write::request_line(out, &Method::GET, "/a?b")), "|GET /a?b HTTP/1.1\r\n");
    assert_eq!(written(|out| write::status_line(out, StatusCode::NOT_FOUND)), "|HTTP/1.1 404 Not Found\r\n");
    let odd = StatusCode::from_u16(799).unwrap();
    assert_eq!(written(|out| write::status_line(out, odd)), "|HTTP/1.1 799 \r\n");
    assert_eq!(written(|out| write::field(out, "x-a", b"b c")), "|x-a: b c\r\n");
    assert_eq!(written(|out| write::field(out, "x", b"")), "|x: \r\n");
    assert_eq!(written(|out| write::length_field(out, u64::MAX)), "|content-length: 18446744073709551615\r\n");
    assert_eq!(written(|out| write::length_field(out, 0)), "|content-length: 0\r\n");
    assert_eq!(written(write::end_of_head), "|\r\n");
}

#[test]
fn chunks_have_their_size_before_them() {
    for (length, expected) in [
        (1, "|1\r\n"),
        (15, "|f\r\n"),
        (16, "|10\r\n"),
        (0x1a, "|1a\r\n"),
        (0xfff, "|fff\r\n"),
        (0x1000, "|1000\r\n"),
        (usize::MAX, "|ffffffffffffffff\r\n"),
    ] {
        assert_eq!(written(|out| write::chunk_size(out, length)), expected);
    }
    assert_eq!(written(|out| write::last_chunk(out, None)), "|0\r\n\r\n");
    assert_eq!(written(|out| write::last_chunk(out, Some(&HeaderMap::new()))), "|0\r\n\r\n");
    let mut trailers = HeaderMap::new();
    trailers.insert("content-length", HeaderValue::from_static("9"));
    trailers.insert("x", HeaderValue::from_static("a"));
    trailers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    assert_eq!(written(|out| write::last_chunk(out, Some(&trailers))), "|0\r\nx: a\r\n\r\n");
}

/// What can't be written safely stops a debug build. Elsewhere this is what is written.
fn check_stopped(write: impl FnOnce(&mut BytesMut) + std::panic::UnwindSafe, expected: &str) {
    let written = catch_unwind(|| written(write)).ok();
    assert_eq!(written.as_deref(), (!cfg!(debug_assertions)).then_some(expected));
}

#[test]
fn no_message_is_split() {
    for value in ["a\r\nB: c", "a\nb", "a\rb", "a\0b", "\r", "a long value with an end\n"] {
        check_stopped(move |out| write::field(out, "x", value.as_bytes()), "|");
    }
    for name in ["", "x:", "x y", "x\r\ny", "x\0", "\u{e9}"] {
        check_stopped(move |out| write::field(out, name, b"a"), "|");
    }
    check_stopped(|out| write::chunk_size(out, 0), "|");
    let target = "/ HTTP/1.1\r\nA: \u{7f}";
    check_stopped(
        move |out| write::request_line(out, &Method::GET, target),
        "|GET /%20HTTP/1.1%0D%0AA:%20%7F HTTP/1.1\r\n",
    );
}

#[test]
fn text_is_shared() {
    assert_eq!(&*Text::default(), "");
    let text = Text::from("a".to_owned());
    assert_eq!((&*text.clone(), text.as_ref(), text.to_string()), ("a", "a", "a".to_owned()));
    assert_eq!((format!("{text:?}"), text), ("\"a\"".to_owned(), Text::from("a")));
}
