use http::{Request, Uri};

use super::*;

/// `text` is a request line and fields as an engine gives them; `expected` is `ok` or the fault.
fn check_text(text: &str, expected: &str) {
    let mut lines = text.lines();
    let mut line = lines.next().unwrap().split(' ');
    let mut next = || line.next().unwrap();
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = next().parse().unwrap();
    parts.uri = next().parse().unwrap();
    parts.version = match next() {
        "HTTP/1.0" => Version::HTTP_10,
        "HTTP/1.1" => Version::HTTP_11,
        "HTTP/2" => Version::HTTP_2,
        "HTTP/0.9" => Version::HTTP_09,
        other => panic!("{other}"),
    };
    for field in lines {
        let (name, value) = field.split_once(':').unwrap();
        let name = HeaderName::try_from(name).unwrap();
        // An engine of HTTP/1.1 trims; that of HTTP/2 doesn't.
        let value = if parts.version == Version::HTTP_2 { value.strip_prefix(' ').unwrap() } else { value.trim() };
        parts.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let found = check(&parts).map_or_else(|malformed| format!("{malformed:?}"), |()| "ok".to_owned());
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
        ("GET / HTTP/0.9", "Version"),
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
        ("Transfer-Encoding: chunked\nContent-Length: 1", "Encoding"),
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
    let mut parts = Request::get("/").version(Version::HTTP_2).header("host", "a").body(()).unwrap().into_parts().0;
    parts.uri = Uri::builder().scheme("https").authority("a").path_and_query("x").build().unwrap_or_default();
    assert!(parts.uri.path().starts_with('/') || check(&parts) == Err(Malformed::Target));
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
