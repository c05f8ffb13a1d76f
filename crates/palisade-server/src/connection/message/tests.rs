use proptest::prelude::*;

use super::*;

/// Follows `text` as the messages of one connection: `ok` for each complete one, then what is left.
fn check(text: &[u8], expected: &str) {
    let whole = run(text, text.len());
    assert_eq!(whole, expected, "{}", String::from_utf8_lossy(text));
    // How the bytes arrive must not matter.
    for piece in [1, 2, 7] {
        assert_eq!(run(text, piece), expected, "in pieces of {piece}: {}", String::from_utf8_lossy(text));
    }
}

fn run(text: &[u8], piece: usize) -> String {
    let mut follower = Follower::new(Limits::default());
    let mut out = Vec::new();
    for mut bytes in text.chunks(piece.max(1)) {
        while !bytes.is_empty() {
            if follower.is_complete() {
                follower.begin();
            }
            let followed = follower.follow(bytes);
            if let Some(fault) = followed.fault {
                out.push(format!("{fault:?}"));
                return out.join(" ");
            }
            bytes = &bytes[followed.used..];
            if follower.is_complete() {
                out.push("ok".to_owned());
            }
        }
    }
    if follower.is_in_head() {
        out.push("head".to_owned());
    } else if follower.is_in_body() {
        out.push("body".to_owned());
    }
    out.join(" ")
}

#[test]
fn messages_have_one_end() {
    for (text, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "ok"),
        ("GET / HTTP/1.0\r\n\r\n", "ok"),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "ok"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", "ok ok"),
        ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n", "ok head"),
        ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", "body"),
        ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "ok"),
        ("POST / HTTP/1.1\r\nContent-Length:\t 3 \r\n\r\nabc", "ok"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "ok"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\nG", "ok head"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "body"),
        ("GET / HTTP/1.1\r\nX: caf\u{e9}\r\n\r\n", "ok"),
        ("GET /", "head"),
        ("", ""),
    ] {
        check(text.as_bytes(), expected);
    }
}

#[test]
fn heads_with_two_readings_are_malformed() {
    for head in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3, 3",
        "Content-Length: +3",
        "Content-Length: -3",
        "Content-Length: 0x3",
        "Content-Length: 3 3",
        "Content-Length:",
        "Content-Length: 9223372036854775808",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chu\tnked",
        "Transfer-Encoding:",
        "X: a\nY: b",
        "X: a\rY: b",
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        " X: a",
        "X: a\0b",
        "X: a\u{1}b",
        "X: a\u{7f}b",
        "X : a",
        "X\t: a",
        ": a",
        "X Y: a",
        "X(Y): a",
        "no colon",
    ] {
        check(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n").as_bytes(), "Malformed");
    }
    check(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "Malformed");
    check(b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: a\r\n\r\n", "Malformed");
    check(b"GET / HTTP/1.1\nHost: a\n\n", "Malformed");
    check(b"GET / HTTP/1.1\r\nHost: a\r\n\n", "Malformed");
}

#[test]
fn request_lines_have_three_parts() {
    for line in [
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /a\u{1} HTTP/1.1",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "PRI * HTTP/2.0",
        "G(T / HTTP/1.1",
        " / HTTP/1.1",
        " GET / HTTP/1.1",
        "\r\nGET / HTTP/1.1",
    ] {
        let text = format!("{line}\r\nHost: a\r\n\r\n");
        // One empty line before the request is skipped, not two.
        let text = if line.starts_with('\r') { format!("\r\n{text}") } else { text };
        check(text.as_bytes(), "Malformed");
    }
    check(b"\nGET / HTTP/1.1\r\n\r\n", "Malformed");
}

#[test]
fn chunks_are_read_one_way() {
    for (body, expected) in [
        ("0\r\n\r\n", "ok"),
        ("000\r\n\r\n", "ok"),
        ("1;a=\"b\"\r\nx\r\n0\r\n\r\n", "ok"),
        ("+1\r\nx\r\n", "Malformed"),
        ("-1\r\nx\r\n", "Malformed"),
        ("0x1\r\nx\r\n", "Malformed"),
        ("1 \r\nx\r\n", "Malformed"),
        (" 1\r\nx\r\n", "Malformed"),
        ("1 ;a\r\nx\r\n", "Malformed"),
        ("\r\nx\r\n", "Malformed"),
        ("g\r\nx\r\n", "Malformed"),
        ("1;a\nb\r\nx\r\n", "Malformed"),
        ("00000000000000001\r\nx\r\n", "Malformed"),
        ("FFFFFFFFFFFFFFFF\r\nx\r\n", "Malformed"),
        ("8000000000000000\r\nx\r\n", "Malformed"),
        ("7FFFFFFFFFFFFFFF\r\nx", "body"),
        ("1\r\nxy\r\n", "Malformed"),
        ("1\r\nx\n", "Malformed"),
        ("1\r\nx0\r\n\r\n", "Malformed"),
        ("1\nx\r\n0\r\n\r\n", "Malformed"),
        ("0\r\nX : a\r\n\r\n", "Malformed"),
        ("0\r\n\n", "Malformed"),
        ("0\r\nContent-Length: 48\r\n\r\n", "Malformed"),
        ("0\r\nX: a\r\ntransfer-encoding: chunked\r\n\r\n", "Malformed"),
        ("0\r\nContent-Lengths: 48\r\n\r\n", "ok"),
    ] {
        check(format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}").as_bytes(), expected);
    }
}

#[test]
fn sizes_are_limited_on_both_sides() {
    let get = |target: usize, rest: &str| format!("GET /{} HTTP/1.1\r\n{rest}\r\n", "a".repeat(target - 1));
    check(get(8 << 10, "").as_bytes(), "ok");
    check(get((8 << 10) + 1, "").as_bytes(), "TargetTooLong");
    check("a".repeat(9_000).as_bytes(), "Malformed");
    check(format!("GET /{}", "a".repeat(40_000)).as_bytes(), "TargetTooLong");
    // Whatever else is wrong with such a line, and however much of it arrives at once.
    check(format!("GET /{}\r\n", "a".repeat(9_000)).as_bytes(), "TargetTooLong");
    check(format!("GET /{}\n", "a".repeat(9_000)).as_bytes(), "TargetTooLong");

    check(get(1, &"X: a\r\n".repeat(100)).as_bytes(), "ok");
    check(get(1, &"X: a\r\n".repeat(101)).as_bytes(), "HeadTooLarge");
    let around = "GET / HTTP/1.1\r\nX: \r\n\r\n".len();
    check(get(1, &format!("X: {}\r\n", "a".repeat((32 << 10) - around))).as_bytes(), "ok");
    check(get(1, &format!("X: {}\r\n", "a".repeat((32 << 10) - around + 1))).as_bytes(), "HeadTooLarge");
    check(format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(33 << 10)).as_bytes(), "HeadTooLarge");

    let chunked = |body: &str| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let chunk = |extension: usize| format!("1;{}\r\nx\r\n", "e".repeat(extension - 1));
    check(chunked(&chunk(253)).as_bytes(), "body");
    check(chunked(&chunk(254)).as_bytes(), "Malformed");
    check(chunked(&chunk(128).repeat(32)).as_bytes(), "body");
    check(chunked(&chunk(128).repeat(33)).as_bytes(), "Malformed");
    check(chunked(&"1\r\nx\r\n".repeat(20_000)).as_bytes(), "body");
    let trailers = |bytes: usize| chunked(&format!("0\r\nX: {}\r\n\r\n", "a".repeat(bytes - 7)));
    check(trailers(8 << 10).as_bytes(), "ok");
    check(trailers((8 << 10) + 1).as_bytes(), "Malformed");
}

#[test]
fn what_comes_before_a_fault_may_pass() {
    let good = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let followed = Follower::new(Limits::default()).follow(format!("{good}+1\r\nx\r\n").as_bytes());
    assert_eq!(followed, Followed { used: good.len(), fault: Some(Fault::Malformed) });
}

proptest! {
    /// However bytes arrive, the same messages are found.
    #[test]
    fn pieces_do_not_matter(
        bodies in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), any::<bool>()), 1..5),
        piece in 1_usize..50,
    ) {
        let mut text = Vec::new();
        for (body, chunked) in &bodies {
            if *chunked {
                text.extend_from_slice(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
                if !body.is_empty() {
                    text.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
                    text.extend_from_slice(body);
                    text.extend_from_slice(b"\r\n");
                }
                text.extend_from_slice(b"0\r\n\r\n");
            } else {
                text.extend_from_slice(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
                text.extend_from_slice(body);
            }
        }
        prop_assert_eq!(run(&text, piece), vec!["ok"; bodies.len()].join(" "));
    }

    /// No bytes make it panic, whatever they are.
    #[test]
    fn any_bytes_have_an_answer(text in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..20) {
        run(&text, piece);
    }
}
