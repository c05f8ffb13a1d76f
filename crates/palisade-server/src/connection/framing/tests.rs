use http::Uri;
use http::header::HeaderName;

use super::*;

/// `text` is a request line and fields as an engine gives them; `expected` is `ok` or the fault.
fn check_text(text: &str, expected: &str) {
    let mut lines = text.lines();
    let mut line = lines.next().unwrap().split(' ');
    let mut next = || line.next().unwrap();
    let method: Method = next().parse().unwrap();
    let uri: Uri = next().parse().unwrap();
    let protocol = match next() {
        "HTTP/1.0" => Protocol::Http10,
        "HTTP/1.1" => Protocol::Http11,
        "HTTP/2" => Protocol::H2,
        other => panic!("{other}"),
    };
    let mut fields = HeaderMap::new();
    for field in lines {
        let (name, value) = field.split_once(':').unwrap();
        let name = HeaderName::try_from(name).unwrap();
        // An engine of HTTP/1.1 trims; that of HTTP/2 doesn't.
        let value = if protocol == Protocol::H2 { value.strip_prefix(' ').unwrap() } else { value.trim() };
        fields.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let line = Line { method: &method, protocol, authority, target: uri.path() };
    let found = check(&line, &fields).map_or_else(|malformed| format!("{malformed:?}"), |()| "ok".to_owned());
    assert_eq!(found, expected, "{text}");
}

#[test]
fn methods_and_versions() {
    for (line, expected) in [
        ("GET / HTTP/1.1", "ok"),
        ("PROPFIND / HTTP/1.1", "ok"),
        ("TRACE / HTTP/1.1", "ok"),
        ("CONNECT a:1 HTTP/1.1", "ok"),
        ("CONNECT b:1 HTTP/1.1", "ok"),
        ("CONNECT u@b:1 HTTP/1.1", "Host"),
        ("CONNECT * HTTP/1.1", "Target"),
        ("trace / HTTP/1.1", "ok"),
    ] {
        check_text(&format!("{line}\nHost: a"), expected);
    }
}

#[test]
fn lengths_and_encodings() {
    for (fields, expected) in [
        ("Content-Length: 0", "ok"),
        ("Content-Length: 9223372036854775807", "ok"),
        ("Content-Length: 9223372036854775808", "Length"),
        ("Content-Length: 1\nContent-Length: 1", "Length"),
        ("Content-Length: 1, 1", "Length"),
        ("Content-Length: +1", "Length"),
        ("Content-Length:", "Length"),
        ("Transfer-Encoding: chunked", "ok"),
        ("Transfer-Encoding: CHUNKED", "ok"),
        ("Transfer-Encoding: chunked\nTransfer-Encoding: chunked", "Encoding"),
        ("Transfer-Encoding: gzip, chunked", "Encoding"),
        ("Transfer-Encoding: chunked\nContent-Length: 1", "BothLengths"),
        ("Content-Length: 1\nTransfer-Encoding: chunked", "BothLengths"),
    ] {
        check_text(&format!("POST / HTTP/1.1\nHost: a\n{fields}"), expected);
    }
    check_text("POST / HTTP/1.0\nTransfer-Encoding: chunked", "Encoding");
}

#[test]
fn one_host() {
    for (text, expected) in [
        ("GET / HTTP/1.1", "Host"),
        ("GET / HTTP/1.0", "ok"),
        ("GET / HTTP/1.1\nHost: a\nHost: a", "Host"),
        ("GET / HTTP/1.0\nHost: a\nHost: a", "Host"),
        ("GET / HTTP/1.1\nHost:", "Host"),
        ("GET / HTTP/1.1\nHost: u@a", "Host"),
        ("GET http://a/x HTTP/1.1\nHost: a", "ok"),
        ("GET http://A/x HTTP/1.1\nHost: a", "ok"),
        ("GET http://a/x HTTP/1.1\nHost: b", "OtherHost"),
        ("GET http://a:80/x HTTP/1.1\nHost: a", "OtherHost"),
        ("GET http://u@a/x HTTP/1.1\nHost: a", "Host"),
        ("GET http://a/x HTTP/1.1", "Host"),
        ("GET https://a/x HTTP/2", "ok"),
        ("GET https://a/x HTTP/2\nhost: a", "ok"),
        ("GET https://a/x HTTP/2\nhost: b", "OtherHost"),
        ("GET /x HTTP/2\nhost: a", "ok"),
        ("GET /x HTTP/2", "Host"),
        ("GET https://u@a/x HTTP/2", "Host"),
    ] {
        check_text(text, expected);
    }
}

#[test]
fn targets_are_paths() {
    for (line, expected) in [
        ("OPTIONS * HTTP/1.1", "ok"),
        ("GET * HTTP/1.1", "Target"),
        ("GET /a?b=c HTTP/1.1", "ok"),
        ("GET a HTTP/1.1", "Target"),
    ] {
        check_text(&format!("{line}\nHost: a"), expected);
    }
    let line = Line { method: &Method::GET, protocol: Protocol::H2, authority: Some("a"), target: "x" };
    assert_eq!(check(&line, &HeaderMap::new()), Err(Malformed::Target));
}

#[test]
fn http2_has_no_connection_and_no_blanks() {
    for (field, expected) in [
        ("connection: close", "ConnectionField"),
        ("keep-alive: timeout=5", "ConnectionField"),
        ("proxy-connection: close", "ConnectionField"),
        ("transfer-encoding: chunked", "ConnectionField"),
        ("upgrade: websocket", "ConnectionField"),
        ("te: trailers", "ok"),
        ("te: gzip", "ConnectionField"),
        ("x: a", "ok"),
        ("x: ", "ok"),
        ("x: a b", "ok"),
        ("x:  a", "Blanks"),
        ("x: a ", "Blanks"),
        ("x: \ta", "Blanks"),
        ("content-length: 1\ncontent-length: 1", "Length"),
    ] {
        check_text(&format!("GET https://a/ HTTP/2\n{field}"), expected);
    }
    check_text("GET / HTTP/1.1\nHost: a\nKeep-Alive: timeout=5", "ok");
}

#[test]
fn connection_names_only_what_is_a_connections() {
    for (value, expected) in [
        ("close", "ok"),
        ("keep-alive, X-Foo", "ok"),
        ("close, Host", "Connection"),
        ("content-length", "Connection"),
        ("Content-Type", "Connection"),
        ("x,cookie", "Connection"),
        ("authorization\t", "Connection"),
        ("cookies", "ok"),
        ("upgrade, Sec-WebSocket-Key", "Connection"),
        ("sec-websocket-extensions", "Connection"),
    ] {
        check_text(&format!("GET / HTTP/1.1\nHost: a\nConnection: {value}"), expected);
    }
}

#[test]
fn websocket_handshakes_are_whole() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let version = "Sec-WebSocket-Version: 13";
    let ask = "Host: a\nConnection: Upgrade\nUpgrade: websocket";
    for (line, fields, expected) in [
        ("GET / HTTP/1.1", format!("{ask}\n{key}\n{version}"), "ok"),
        (
            "GET / HTTP/1.1",
            format!("Host: a\nConnection: keep-alive, upgrade\nUpgrade: WebSocket\n{key}\n{version}"),
            "ok",
        ),
        ("POST / HTTP/1.1", format!("{ask}\n{key}\n{version}"), "WebSocket"),
        ("GET / HTTP/1.1", format!("{ask}\n{key}\n{version}\nContent-Length: 0"), "WebSocket"),
        ("GET / HTTP/1.1", format!("{ask}\n{version}"), "WebSocket"),
        ("GET / HTTP/1.1", format!("{ask}\n{key}\n{key}\n{version}"), "WebSocket"),
        ("GET / HTTP/1.1", format!("{ask}\nSec-WebSocket-Key: short==\n{version}"), "WebSocket"),
        ("GET / HTTP/1.1", format!("{ask}\n{key}\nSec-WebSocket-Version: 12"), "WebSocket"),
        ("GET / HTTP/1.1", format!("{ask}\n{key}"), "WebSocket"),
        ("GET / HTTP/1.1", "Host: a\nConnection: Upgrade\nUpgrade: h2c".to_owned(), "ok"),
        ("GET / HTTP/1.1", "Host: a\nUpgrade: websocket".to_owned(), "ok"),
        ("GET / HTTP/1.0", "Host: a\nConnection: Upgrade\nUpgrade: websocket".to_owned(), "ok"),
    ] {
        check_text(&format!("{line}\n{fields}"), expected);
    }
}

#[test]
fn crumbs_become_one_cookie() {
    for (crumbs, expected) in [(&[][..], &[][..]), (&["a=1"], &["a=1"]), (&["a=1", "b=2", "c=3"], &["a=1; b=2; c=3"])] {
        let mut head = HeaderMap::new();
        for crumb in crumbs {
            head.append(header::COOKIE, HeaderValue::from_static(crumb));
        }
        join_cookies(&mut head);
        assert_eq!(head.get_all(header::COOKIE).iter().collect::<Vec<_>>(), expected);
    }
}
