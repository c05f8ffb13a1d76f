//! Requests as text, and how they are read.

use bytes::BytesMut;
use http::Method;
use palisade_http1::{Framing, Limits, Request, RequestParser, Version};

use crate::drive::{check_requests as check, cut, list, requests};

#[test]
fn messages_have_one_end() {
    for (text, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "none"),
        ("GET / HTTP/1.0\r\n\r\n", "none"),
        ("GET / HTTP/1.1\r\n\r\n", "none"),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "none"),
        ("\r\nGET / HTTP/1.1\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", "none, none"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", "none, none"),
        ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n", "length 3, head"),
        ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", "length 3, body"),
        ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "length 0"),
        ("POST / HTTP/1.1\r\nContent-Length: 003\r\n\r\nabc", "length 3"),
        ("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "length 3"),
        ("POST / HTTP/1.1\r\ncOntent-lengtH:\t 3 \r\n\r\nabc", "length 3"),
        ("POST / HTTP/1.1\r\nContent-Length:3\r\n\r\nabc", "length 3"),
        ("POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n", "length 9223372036854775807, body"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "chunked"),
        ("POST / HTTP/1.1\r\nTRANSFER-ENCODING:\tchunked\t\r\n\r\n0\r\n\r\n", "chunked"),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\nG",
            "chunked, head",
        ),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "chunked, body"),
        ("GET / HTTP/1.1\r\nX: caf\u{e9}\r\n\r\n", "none"),
        ("GET / HTTP/1.1\r\nX: a\tb\r\n\r\n", "none"),
        ("GET / HTTP/1.1\r\nX:\r\nY: \t \r\n\r\n", "none"),
        ("GET / HTTP/1.1\r\nContent-Lengths: x\r\nTransfer-Encodings: x\r\n\r\n", "none"),
        ("GET /caf\u{e9} HTTP/1.1\r\n\r\n", "none"),
        ("OPTIONS * HTTP/1.1\r\n\r\n", "none"),
        ("GET http://a/ HTTP/1.1\r\n\r\n", "none"),
        ("!#$%&'*+-.^_`|~ / HTTP/1.1\r\n!#$%&'*+-.^_`|~0aZ: x\r\n\r\n", "none"),
        ("GET /", "head"),
        ("GET / HTTP/1.1\r\n", "head"),
        ("GET / HTTP/1.1\r\n\r", "head"),
        ("\r", "head"),
        ("\r\n", ""),
        ("", ""),
    ] {
        check(text, expected);
    }
}

#[test]
fn heads_with_two_readings_are_malformed() {
    for head in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3\r\nX: a\r\ncontent-length: 4",
        "Content-Length: 3, 3",
        "Content-Length: +3",
        "Content-Length: -3",
        "Content-Length: 0x3",
        "Content-Length: 3 3",
        "Content-Length: 3\t3",
        "Content-Length: a",
        "Content-Length:",
        "Content-Length: \u{b}3",
        "Content-Length: \u{a0}3",
        "Content-Length: 9223372036854775808",
        "Content-Length: 99999999999999999999",
        "Content-Length: 00000000000000000003",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: \u{a0}chunked",
        "Transfer-Encoding: chu\tnked",
        "Transfer-Encoding:",
        "X: a\nY: b",
        "X: a\n",
        "X: a\rY: b",
        "X: a\r",
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        "X: a\r\n ",
        " X: a",
        "\tX: a",
        "X: a\0b",
        "X: a\u{1}b",
        "X: a\u{1f}b",
        "X: a\u{7f}b",
        "X: \0",
        "X : a",
        "X\t: a",
        ": a",
        ":",
        "X Y: a",
        "X(Y): a",
        "X\u{e9}: a",
        "X\0: a",
        "no colon",
        "X",
    ] {
        check(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n"), "Malformed");
    }
    check("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "Malformed");
    check(b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: a\r\n\r\n", "Malformed");
    check("GET / HTTP/1.1\nHost: a\n\n", "Malformed");
    check("GET / HTTP/1.1\r\nHost: a\n\r\n", "Malformed");
    check("GET / HTTP/1.1\r\nHost: a\r\n\n", "Malformed");
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", "Malformed");
}

/// Every byte that isn't `tchar`, in a name and in a method; every control byte in a value.
#[test]
fn bytes_outside_their_set_are_malformed() {
    for byte in 0..=u8::MAX {
        let is_token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let expected = if is_token { "none" } else { "Malformed" };
        check(
            [b"GET / HTTP/1.1\r\nX", &[byte][..], b"Y: a\r\n\r\n"].concat(),
            if byte == b':' { "none" } else { expected },
        );
        check([b"X", &[byte][..], b"Y / HTTP/1.1\r\n\r\n"].concat(), expected);
        let is_control = byte != b'\t' && (byte < b' ' || byte == 0x7f);
        let expected = if is_control { "Malformed" } else { "none" };
        // At both ends and in the middle, in short values and long ones.
        for (before, after) in [("", "a"), ("a", ""), ("a", "a"), ("a sentence of some length", "and another one")] {
            let value = [before.as_bytes(), &[byte], after.as_bytes()].concat();
            check([b"GET / HTTP/1.1\r\nX: ", &value[..], b"\r\n\r\n"].concat(), expected);
        }
        let is_target = byte > b' ' && byte < 0x7f;
        check([b"GET /a", &[byte][..], b"b HTTP/1.1\r\n\r\n"].concat(), if is_target { "none" } else { "Malformed" });
    }
}

#[test]
fn request_lines_have_three_parts() {
    for line in [
        "",
        "GET",
        "GET ",
        "GET /",
        "GET / ",
        "GET  HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1\t",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET /\ta HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /a\u{1} HTTP/1.1",
        "GET /a\r HTTP/1.1",
        "GET / HTTP/1.2",
        "GET / HTTP/0.9",
        "GET / HTTP/2.0",
        "GET / HTTP/2",
        "GET / HTTP/11",
        "GET / HTTP/1.10",
        "GET / http/1.1",
        "GET / HTTP/1.1\r",
        "GET /HTTP/1.1",
        "PRI * HTTP/2.0",
        "G(T / HTTP/1.1",
        " / HTTP/1.1",
        " GET / HTTP/1.1",
        "\r\nGET / HTTP/1.1",
        "Host: a",
    ] {
        // One empty line before the request is skipped, not two.
        check(format!("\r\n{line}\r\nHost: a\r\n\r\n"), "Malformed");
    }
    check("\nGET / HTTP/1.1\r\n\r\n", "Malformed");
    check(b"GET /\xff HTTP/1.1\r\n\r\n", "Malformed");
    check(b"GET /\xc3 HTTP/1.1\r\n\r\n", "Malformed");
    check(format!("{} / HTTP/1.1\r\n\r\n", "M".repeat(32)), "none");
    check(format!("{} / HTTP/1.1\r\n\r\n", "M".repeat(33)), "Malformed");
}

#[test]
fn sizes_are_limited_on_both_sides() {
    let get = |target: usize, rest: &str| format!("GET /{} HTTP/1.1\r\n{rest}\r\n", "a".repeat(target - 1));
    check(get(8 << 10, ""), "none");
    check(get((8 << 10) + 1, ""), "TargetTooLong");
    check(format!("{} /{} HTTP/1.1\r\n\r\n", "M".repeat(32), "a".repeat((8 << 10) - 1)), "none");
    check("a".repeat(8_236), "head");
    check("a".repeat(8_237), "Malformed");
    check(format!("GET /{}", "a".repeat(8_231)), "head");
    check(format!("GET /{}", "a".repeat(8_232)), "TargetTooLong");
    // Whatever else is wrong with such a line, and however much of it arrives at once.
    check(format!("GET /{}\r\n", "a".repeat(9_000)), "TargetTooLong");
    check(format!("GET /{}\n", "a".repeat(9_000)), "TargetTooLong");
    check(format!("G(T /{} HTTP/3\r\n", "a".repeat(8 << 10)), "TargetTooLong");
    check(format!("GET /{} a HTTP/1.1\r\n", "a".repeat(8 << 10)), "Malformed");

    check(get(1, &"X: a\r\n".repeat(100)), "none");
    check(get(1, &"X: a\r\n".repeat(101)), "HeadTooLarge");
    check(get(1, &format!("{}no colon\r\n", "X: a\r\n".repeat(100))), "HeadTooLarge");
    let around = "GET / HTTP/1.1\r\nX: \r\n\r\n".len();
    let large = |bytes: usize| get(1, &format!("X: {}\r\n", "a".repeat(bytes - around)));
    check(large(32 << 10), "none");
    check(large((32 << 10) + 1), "HeadTooLarge");
    // The empty line that is skipped counts.
    check(format!("\r\n{}", large((32 << 10) - 2)), "none");
    check(format!("\r\n{}", large((32 << 10) - 1)), "HeadTooLarge");
    check(format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(33 << 10)), "HeadTooLarge");
    // Each head has them for itself.
    check(large(32 << 10).repeat(3), "none, none, none");
    check(get(1, &"X: a\r\n".repeat(100)).repeat(3), "none, none, none");
}

#[test]
fn the_first_fault_counts() {
    let many = "X: a\r\n".repeat(200);
    check(format!("GET / HTTP/1.1\r\nno colon\r\n{many}\r\n"), "Malformed");
    check(format!("GET / HTTP/1.1\r\n{many}no colon\r\n\r\n"), "HeadTooLarge");
    check(format!("GET / HTTP/1.1\r\nX: {}\nY", "a".repeat(33 << 10)), "HeadTooLarge");
    check(format!("GET / HTTP/1.1\r\nX: {}\r\nContent-Length: x\r\n", "a".repeat((32 << 10) - 30)), "HeadTooLarge");
    check(format!("GET / HTTP/1.1\r\nX: {}\r\nContent-Length: x\r\n", "a".repeat((32 << 10) - 60)), "Malformed");
}

/// The first request of a text that has one.
fn first(text: &str) -> Request {
    let mut buffer = BytesMut::from(text);
    RequestParser::new(Limits::default()).parse(&mut buffer).unwrap().unwrap()
}

#[test]
fn heads_say_what_was_sent() {
    let head = first("PoST /A?b=%20c HTTP/1.0\r\nHoSt:  A:80 \t\r\nX-A: B\r\nx-a:\r\nCookie: a=\"b\"\r\n\r\n");
    assert_eq!(head.method.as_str(), "PoST");
    assert_eq!(&*head.target, "/A?b=%20c");
    assert_eq!((head.version, head.framing), (Version::Http10, Framing::None));
    let fields: [(&str, &[u8]); 4] = [("host", b"A:80"), ("x-a", b"B"), ("x-a", b""), ("cookie", b"a=\"b\"")];
    assert_eq!(head.fields.iter().collect::<Vec<_>>(), fields);
    assert_eq!(first("GET / HTTP/1.1\r\n\r\n").method, Method::GET);
    assert_eq!(first("GET / HTTP/1.1\r\n\r\n").version, Version::Http11);
}

#[test]
fn clients_say_whether_connections_are_kept() {
    for (head, expected) in [
        ("HTTP/1.1\r\n", true),
        ("HTTP/1.1\r\nConnection: close\r\n", false),
        ("HTTP/1.1\r\nConnection: keep-alive\r\n", true),
        ("HTTP/1.1\r\nConnection: closed\r\n", true),
        ("HTTP/1.1\r\nConnection: X, CLOSE\t,\r\n", false),
        ("HTTP/1.1\r\nConnection: X\r\nConnection: close\r\n", false),
        ("HTTP/1.1\r\nX: close\r\n", true),
        ("HTTP/1.0\r\n", false),
        ("HTTP/1.0\r\nConnection: Keep-Alive\r\n", true),
        ("HTTP/1.0\r\nConnection: Keep-Alive, close\r\n", false),
        ("HTTP/1.0\r\nConnection: close\r\nConnection: Keep-Alive\r\n", false),
        ("HTTP/1.0\r\nKeep-Alive: timeout=5\r\n", false),
    ] {
        assert_eq!(first(&format!("GET / {head}\r\n")).persistent, expected, "{head}");
    }
}

#[test]
fn only_those_who_send_a_body_wait_for_a_100() {
    for (head, expected) in [
        ("HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n", true),
        ("HTTP/1.1\r\nExpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", true),
        ("HTTP/1.1\r\nContent-Length: 1\r\n", false),
        ("HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continued\r\n", false),
        ("HTTP/1.1\r\nContent-Length: 0\r\nExpect: 100-continue\r\n", false),
        ("HTTP/1.1\r\nExpect: 100-continue\r\n", false),
        ("HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n", false),
    ] {
        assert_eq!(first(&format!("POST / {head}\r\n")).expects_continue, expected, "{head}");
    }
}

#[test]
fn nothing_is_left_of_one_head_in_the_next() {
    let text = "POST /a HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\nExpect: 100-continue\r\n\r\nx\
        GET /b HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    let read = requests(cut(text.as_bytes(), &[5]));
    let second = first("GET /b HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(read.messages[1].head, format!("{second:?}"));
    assert_eq!(read.messages[1].fields, list(&second.fields));
}

#[test]
fn a_head_begins_with_its_first_byte() {
    let mut parser = RequestParser::new(Limits::default());
    let mut buffer = BytesMut::new();
    let mut after = |bytes: &str| {
        buffer.extend_from_slice(bytes.as_bytes());
        let found = parser.parse(&mut buffer).unwrap().is_some();
        (found, parser.has_begun(), buffer.len())
    };
    assert_eq!(after(""), (false, false, 0));
    // The empty line is taken away at once, so that nothing is held for an idle connection.
    assert_eq!(after("\r\n"), (false, false, 0));
    assert_eq!(after("G"), (false, true, 1));
    assert_eq!(after("ET / HTTP/1.1\r\n"), (false, true, 16));
    assert_eq!(after("\r\nG"), (true, false, 1));
    assert_eq!(after(""), (false, true, 1));
}
