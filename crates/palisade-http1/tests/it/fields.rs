//! Tables of fields, and the maps they stand for.

use bytes::BytesMut;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use palisade_core::{Head as _, Single};
use palisade_http1::{Fields, Limits, RequestParser, write};

use crate::drive::list;

fn fields(text: &str) -> Fields {
    let mut buffer = BytesMut::from(&*format!("GET / HTTP/1.1\r\n{text}\r\n"));
    RequestParser::new(Limits::default()).parse(&mut buffer).unwrap().unwrap().fields
}

#[test]
fn fields_are_found_by_name() {
    let fields = fields("Accept: a\r\nCookie: x\r\nHost: h\r\nCOOKIE:\r\nDNT: 1\r\n");
    assert_eq!((fields.len(), fields.is_empty()), (5, false));
    assert_eq!(fields.get("host"), Some(&b"h"[..]));
    assert_eq!(fields.get("cookie"), Some(&b"x"[..]));
    // As long as another, and a beginning of one.
    assert_eq!(fields.get("tsoh"), None);
    assert_eq!(fields.get("hos"), None);
    assert_eq!(fields.get(""), None);

    assert_eq!(fields.single(&header::HOST), Single::One(b"h"));
    assert_eq!(fields.single(&header::COOKIE), Single::Repeated);
    assert_eq!(fields.single(&header::ORIGIN), Single::Absent);
    assert_eq!(fields.first(&header::COOKIE), Some(&b"x"[..]));
    assert!(fields.has(&HeaderName::from_static("dnt")) && !fields.has(&header::ORIGIN));
    let mut cookies = Vec::new();
    fields.each(&header::COOKIE, &mut |value| cookies.push(value));
    assert_eq!(cookies, [&b"x"[..], b""]);
    let mut seen = Vec::new();
    palisade_core::Head::fields(&fields, &mut |name, value| {
        seen.push((String::from_utf8(name.to_vec()).unwrap(), value.to_vec()))
    });
    assert_eq!(seen, list(&fields));
    assert!(Fields::default().is_empty() && Fields::default().get("host").is_none());
}

#[test]
fn fields_are_taken_out() {
    let all = fields("A: 1\r\nB: 2\r\na: 3\r\nC: 4\r\n");
    let mut left = all.clone();
    left.retain(|name| name != b"a");
    assert_eq!(left.iter().collect::<Vec<_>>(), [("b", &b"2"[..]), ("c", b"4")]);
    assert_eq!((left.get("a"), all.get("a")), (None, Some(&b"1"[..])));
}

fn written(fields: &Fields) -> String {
    let mut out = BytesMut::new();
    write::Writable::write(fields, &mut out, &mut |_| true);
    String::from_utf8(out.to_vec()).unwrap()
}

/// However they were sent, and whatever was between them.
#[test]
fn fields_are_written_one_way() {
    for (sent, expected) in [
        ("A: 1\r\nB: 2\r\n", "a: 1\r\nb: 2\r\n"),
        ("A:1\r\nB: 2\r\n", "a: 1\r\nb: 2\r\n"),
        ("A:\t1\r\n", "a: 1\r\n"),
        ("A:  1\r\nB: 2\r\nC: 3 \r\n", "a: 1\r\nb: 2\r\nc: 3\r\n"),
        ("A: 1\t\r\nB: 2\r\n", "a: 1\r\nb: 2\r\n"),
        ("A:\r\nB: \r\nC:  \r\n", "a: \r\nb: \r\nc: \r\n"),
        ("", ""),
    ] {
        assert_eq!(written(&fields(sent)), expected, "{sent:?}");
    }
    let mut some = fields("X: 1\r\nA: 1\r\nB: 2\r\nX: 2\r\nX: 3\r\nC: 3\r\n");
    some.retain(|name| name != b"x");
    assert_eq!(written(&some), "a: 1\r\nb: 2\r\nc: 3\r\n");
    assert_eq!(written(&Fields::default()), "");
}

#[test]
fn a_map_holds_the_same() {
    let table = fields("A: 1\r\nHost: h\r\na:\r\nX: caf\u{e9}\r\n");
    let map = table.to_map();
    let mut expected = HeaderMap::new();
    expected.append("a", HeaderValue::from_static("1"));
    expected.append("host", HeaderValue::from_static("h"));
    expected.append("a", HeaderValue::from_static(""));
    expected.append("x", HeaderValue::from_bytes("caf\u{e9}".as_bytes()).unwrap());
    assert_eq!(map, expected);
    assert_eq!(Fields::default().to_map(), HeaderMap::new());
}

#[test]
fn a_table_is_shown_by_name() {
    assert_eq!(format!("{:?}", fields("A: \u{e9}\r\nB: 2\r\n")), r#"{"a": "\\xc3\\xa9", "b": "2"}"#);
}
