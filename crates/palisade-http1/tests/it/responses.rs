//! Answers as text, and how they are read.

use bytes::BytesMut;
use http::{Method, StatusCode};
use palisade_http1::{Framing, Limits, Response, ResponseParser, Version};

use crate::drive::check_responses;

fn check(text: impl AsRef<[u8]>, expected: &str) {
    check_responses(&Method::GET, text, expected);
}

#[test]
fn answers_have_one_end() {
    for (text, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "length 2"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "length 0"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", "length 2, body"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "chunked"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", "chunked, body"),
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "close"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "length 2"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "none, length 2"),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
            "none, length 0",
        ),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "none"),
        ("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "none, none"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", "none"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "none"),
        ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "none"),
        ("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", "length 0"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "head"),
        ("HTTP/1.1 200", "head"),
        ("", ""),
    ] {
        check(text, expected);
    }
}

#[test]
fn answers_to_head_have_no_body() {
    for fields in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        check_responses(&Method::HEAD, answer.repeat(2), "none, none");
    }
}

#[test]
fn status_lines_are_a_version_digits_and_a_reason() {
    for (line, status) in [
        ("HTTP/1.1 200 OK", 200),
        ("HTTP/1.0 200 OK", 200),
        ("HTTP/1.1 200 ", 200),
        ("HTTP/1.1 200", 200),
        ("HTTP/1.1 200  two blanks", 200),
        ("HTTP/1.1 200 a\tb", 200),
        ("HTTP/1.1 200 caf\u{e9}", 200),
        ("HTTP/1.1 200 200", 200),
        ("HTTP/1.1 299 Odd", 299),
        ("HTTP/1.1 999 Odder", 999),
    ] {
        let mut buffer = BytesMut::from(&*format!("{line}\r\n\r\n"));
        let answer = ResponseParser::new(Limits::ANSWER).parse(&mut buffer, &Method::GET).unwrap().unwrap();
        assert_eq!(answer.status.as_u16(), status, "{line}");
        assert!(buffer.is_empty());
    }
    for line in [
        "",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 2000",
        "HTTP/1.1 099 a",
        "HTTP/1.1 000 a",
        "HTTP/1.1 +20 a",
        "HTTP/1.1 2x0 a",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 200 a\0b",
        "HTTP/1.1 200 a\u{7f}b",
        "HTTP/1.1 200 a\rb",
        "HTTP/1.1 200 a\r",
        "HTTP/1.2 200 OK",
        "HTTP/2 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        "ICY 200 OK",
        " HTTP/1.1 200 OK",
        "\r\nHTTP/1.1 200 OK",
        "<html>",
    ] {
        check(format!("{line}\r\nContent-Length: 0\r\n\r\n"), "Malformed");
    }
    check("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "Malformed");
    check("\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "Malformed");
}

#[test]
fn heads_with_two_readings_are_malformed() {
    for head in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3, 3",
        "Content-Length: +3",
        "Content-Length: -3",
        "Content-Length: 0x3",
        "Content-Length:",
        "Content-Length: 9223372036854775808",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \u{b}chunked",
        "X: a\nY: b",
        "X: a\rY: b",
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        " X: a",
        "X: a\0b",
        "X : a",
        ": a",
        "X(Y): a",
        "no colon",
    ] {
        for status in ["200 OK", "100 Continue", "204 No Content", "304 Not Modified", "500 No"] {
            check(format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n"), "Malformed");
        }
        check_responses(&Method::HEAD, format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"), "Malformed");
    }
    check("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Malformed");
    check_responses(&Method::HEAD, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Malformed");
}

#[test]
fn sizes_are_limited_on_both_sides() {
    let answer = |fields: &str| format!("HTTP/1.1 204 No Content\r\n{fields}\r\n");
    check(answer(&"X: a\r\n".repeat(256)), "none");
    check(answer(&"X: a\r\n".repeat(257)), "HeadTooLarge");
    let around = answer("X: \r\n").len();
    let large = |bytes: usize| answer(&format!("X: {}\r\n", "a".repeat(bytes - around)));
    check(large(64 << 10), "none");
    check(large((64 << 10) + 1), "HeadTooLarge");
    check(large(64 << 10).repeat(3), "none, none, none");
    check("a".repeat(64 << 10), "head");
    check("a".repeat((64 << 10) + 1), "HeadTooLarge");
    check(format!("HTTP/1.1 200 {}\r\n\r\n", "a".repeat(64 << 10)), "HeadTooLarge");
    check(format!("HTTP/1.1 200 {}\n", "a".repeat(64 << 10)), "HeadTooLarge");
}

/// The answer that a text begins with.
fn first(text: &str) -> Response {
    let mut buffer = BytesMut::from(text);
    ResponseParser::new(Limits::ANSWER).parse(&mut buffer, &Method::GET).unwrap().unwrap()
}

#[test]
fn servers_say_whether_connections_are_kept() {
    for (head, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", true),
        // It ends with its connection, whatever is said.
        ("HTTP/1.1 200 OK\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n", true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n", true),
        ("HTTP/1.1 204 No Content\r\n", true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n", true),
        // It has no body, but who says so may send one.
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n", false),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n", false),
    ] {
        assert_eq!(first(&format!("{head}\r\n")).persistent, expected, "{head}");
    }
}

#[test]
fn heads_say_what_was_sent() {
    let head = first("HTTP/1.0 404 Gone away\r\nSet-Cookie: a=B\r\nX:\t\r\nset-cookie: C\r\n\r\n");
    assert_eq!((head.status, head.version, head.framing), (StatusCode::NOT_FOUND, Version::Http10, Framing::Close));
    let fields: [(&str, &[u8]); 3] = [("set-cookie", b"a=B"), ("x", b""), ("set-cookie", b"C")];
    assert_eq!(head.fields.iter().collect::<Vec<_>>(), fields);
}
