use std::io::{Read as _, Write as _};

use allocation_counter::measure;
use bytes::Bytes;
use palisade_core::config::{Decode, Files, Node, Place, Problems, Setting, Span, Value};
use palisade_core::{HeaderEdits, Policy, ResponseView, Transform as _, Transformation as _};
use proptest::prelude::*;
use proptest::sample::select;

use super::coder::Coder;
use super::{Coding, Compress, accept, config};
use crate::Context;
use crate::testing::{edits, fields, with};

const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

#[test]
fn the_client_chooses_and_the_order_breaks_ties() {
    let check = |accepts: &[&str], offered: &[Coding], expected: &str| {
        let lines: String = accepts.iter().map(|value| format!("accept-encoding: {value}\n")).collect();
        let chosen = accept::choose(&fields(&lines), offered);
        assert_eq!(chosen.map_or("plain", Coding::token), expected, "{accepts:?} of {offered:?}");
    };
    let all = |accepts: &str, expected: &str| check(&[accepts], &ALL, expected);
    check(&[], &ALL, "plain");
    check(&["gzip"], &[], "plain");
    check(&["gzip, br, zstd"], &[Coding::Gzip, Coding::Zstd], "gzip");
    check(&["gzip", "br"], &ALL, "br");
    check(&["gzip;q=0.2, *;q=0.8"], &[Coding::Gzip], "plain");
    all("", "plain");
    all("gzip, deflate, br, zstd", "zstd");
    all("gzip, deflate, br", "br");
    all("deflate", "plain");
    all("GZip", "gzip");
    all("x-gzip", "gzip");
    all("gzip2", "plain");
    // Weights.
    all("gzip;q=1.0, zstd;q=0.9", "gzip");
    all("gzip;q=0.001", "gzip");
    all("gzip;q=0", "plain");
    all("gzip;q=0.000", "plain");
    all("gzip ; q=0.5 , br;Q=0.6", "br");
    all("gzip;q=0.49, br;q=0.5", "br");
    all("gzip;q=0.5, br;q=0.499", "gzip");
    all("gzip, gzip;q=0", "plain");
    // What can't be read is no consent.
    for weight in ["1.001", "2", "0.1234", "-1", ".5", "0,5", "a", "", "1.", "0.", "01", "1.0000"] {
        let expected = if weight == "1." { "gzip" } else { "plain" };
        all(&format!("gzip;q={weight}"), expected);
    }
    all("gzip;level=9", "plain");
    all("gzip;q=1;x=y", "plain");
    all("gzip;", "plain");
    // Everything else.
    all("*", "zstd");
    all("*;q=0", "plain");
    all("*;q=0, gzip", "gzip");
    all("zstd;q=0, *", "br");
    all("gzip;q=0.2, *;q=0.1", "gzip");
    // Plain bytes.
    all("identity", "plain");
    all("identity, gzip", "gzip");
    all("identity, gzip;q=0.9", "plain");
    all("identity;q=0.5, gzip;q=0.5", "gzip");
    all("identity;q=0.5, gzip;q=0.4", "plain");
    all("identity;q=0", "plain");
    all("identity;q=0, gzip;q=0.1", "gzip");
    all("identity;q=0, *;q=0.1", "zstd");
    all("identity;q=0, deflate", "plain");
}

/// What becomes of an answer: the edits, and whether its body is rewritten.
fn decided(request: &str, answer: &str) -> String {
    decided_of(request, answer, None)
}

/// The same of one whose length is known.
fn decided_of(request: &str, answer: &str, length: Option<u64>) -> String {
    let (status, head) = answer.split_once('\n').unwrap_or((answer, ""));
    let (status, head) = (status.parse().unwrap(), fields(head));
    let mut found = HeaderEdits::none();
    let compress = Compress::offering(ALL);
    let response = ResponseView { status, head: &head, length };
    let begun = with(request, |view| compress.begin(view, &response, &mut found));
    format!("{}{}", if begun.is_some() { "rewritten" } else { "plain" }, edits("", &found))
}

#[test]
fn only_text_of_the_right_size_is_compressed() {
    const ACCEPTS: &str = "GET /x HTTP/1.1\nAccept-Encoding: gzip";
    let rewritten = "rewritten,  + vary = Accept-Encoding,  content-encoding = gzip,  - accept-ranges";
    let check = |answer: &str, expected: &str| assert_eq!(decided(ACCEPTS, answer), expected, "{answer}");
    for (media_type, expected) in [
        ("text/html; charset=utf-8", rewritten),
        ("TEXT/CSS", rewritten),
        ("text/x-component", rewritten),
        ("application/json", rewritten),
        ("application/problem+json", rewritten),
        ("application/xml", rewritten),
        ("application/atom+xml", rewritten),
        ("application/javascript", rewritten),
        ("image/svg+xml", rewritten),
        ("text/event-stream", "plain"),
        ("Text/Event-Stream; charset=utf-8", "plain"),
        ("application/x-ndjson", "plain"),
        ("application/stream+json", "plain"),
        ("application/wasm", "plain"),
        ("application/octet-stream", "plain"),
        ("image/png", "plain"),
        ("multipart/x-mixed-replace", "plain"),
        ("text", "plain"),
        ("json", "plain"),
    ] {
        check(&format!("200\nContent-Type: {media_type}"), expected);
    }
    check("200", "plain");
    check("200\nContent-Type: text/html\nContent-Type: text/html", "plain");
    for (field, expected) in [
        ("Content-Encoding: br", "plain"),
        ("Content-Encoding: identity", "plain"),
        ("Content-Range: bytes 0-1/2", "plain"),
        ("Cache-Control: public, No-Transform", "plain"),
        ("Cache-Control: no-store", rewritten),
        ("Content-Digest: sha-256=:YQ==:", "plain"),
        ("Repr-Digest: sha-256=:YQ==:", "plain"),
        ("Digest: sha-256=YQ==", "plain"),
        ("Content-MD5: YQ==", "plain"),
    ] {
        check(&format!("200\nContent-Type: text/html\n{field}"), expected);
    }
    for (length, expected) in
        [(0, "plain"), (1023, "plain"), (1024, rewritten), (1 << 20, rewritten), ((1 << 20) + 1, "plain")]
    {
        assert_eq!(decided_of(ACCEPTS, "200\nContent-Type: text/html", Some(length)), expected, "{length}");
    }
    for status in ["103", "201", "206", "304", "404", "500"] {
        check(&format!("{status}\nContent-Type: text/html"), "plain");
    }
}

#[test]
fn caches_are_told_whatever_the_client_accepts() {
    let page = "200\nContent-Type: text/html";
    let varied = "plain,  + vary = Accept-Encoding";
    assert_eq!(decided("GET /x HTTP/1.1", page), varied);
    assert_eq!(decided("GET /x HTTP/1.1\nAccept-Encoding: identity", page), varied);
    assert_eq!(decided("HEAD /x HTTP/1.1\nAccept-Encoding: gzip", page), varied);
    assert_eq!(decided("GET /x HTTP/1.1\nAccept-Encoding: gzip\nCache-Control: no-transform", page), varied);
    for told in ["*", "Cookie, accept-encoding", "Cookie\nVary: Accept-Encoding"] {
        assert_eq!(decided("GET /x HTTP/1.1", &format!("{page}\nVary: {told}")), "plain", "{told}");
    }
    assert_eq!(decided("GET /x HTTP/1.1", &format!("{page}\nVary: X-Accept-Encoding")), varied);
}

#[test]
fn tags_become_weak() {
    let check = |tag: &str, expected: &str| {
        let answer = format!("200\nContent-Type: text/html\nVary: *\n{tag}");
        let found = decided("POST /x HTTP/1.1\nAccept-Encoding: br", &answer);
        assert_eq!(found, format!("rewritten,  content-encoding = br,  - accept-ranges{expected}"), "{tag}");
    };
    check("ETag: \"a\"", ",  etag = W/\"a\"");
    check("ETag: W/\"a\"", "");
    check("ETag: a", ",  - etag");
    check("ETag: \"a\"\nETag: \"b\"", ",  - etag");
}

/// What `[app] compress` comes to, and what is said about it.
fn compiled(list: &[&str]) -> (Vec<&'static str>, Vec<String>) {
    let (files, mut problems) = (Files::default(), Problems::default());
    let context = Context {
        files: &files,
        public: None,
        hosts: Vec::new(),
        demo: crate::demo::Demo::Never,
        seed: [3; 16].into(),
    };
    let items = list.iter().map(|text| Node { value: Value::Text((*text).to_owned()), span: None::<Span> });
    let place = Place::top().child("app", None).child("compress", None);
    let value = Decode::decode(&Node::unplaced(Value::List(items.collect())), &place, &mut problems);
    let raw = Setting { value: value.unwrap_or_default(), place };
    let questions = config::compile(raw, &context, &mut problems);
    let shapes = questions.iter().map(|question| match &question.policy {
        Policy::Transform(_) => question.name,
        other => other.shape(),
    });
    (shapes.collect(), problems.iter().map(|problem| problem.message.clone()).collect())
}

#[test]
fn a_coding_is_offered_once() {
    assert_eq!(compiled(&[]), (vec![], vec![]));
    assert_eq!(compiled(&["gzip"]), (vec!["compress"], vec![]));
    let (questions, problems) = compiled(&["gzip", "br", "gzip"]);
    assert_eq!(questions, ["compress"]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].ends_with("names gzip once more"), "{problems:?}");
    assert_eq!(compiled(&["deflate"]).1.len(), 1);
}

/// What a client can read of what it has received so far.
fn readable(coding: Coding, received: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Zstd => {
            let mut decoder = zstd::stream::write::Decoder::new(Vec::new()).unwrap();
            decoder.write_all(received).unwrap();
            decoder.flush().unwrap();
            decoder.into_inner()
        }
        Coding::Brotli => {
            // This decoder holds back what does not fit into its buffer until it is fed again.
            let mut decoder = brotli::DecompressorWriter::new(Vec::new(), 1 << 20);
            decoder.write_all(received).unwrap();
            decoder.flush().unwrap();
            decoder.get_ref().clone()
        }
        Coding::Gzip => {
            let mut decoder = flate2::write::GzDecoder::new(Vec::new());
            decoder.write_all(received).unwrap();
            decoder.flush().unwrap();
            decoder.get_ref().clone()
        }
    }
}

/// The whole, for a client that takes nothing less.
fn whole(coding: Coding, received: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    match coding {
        Coding::Zstd => zstd::stream::read::Decoder::new(received)?.read_to_end(&mut content),
        Coding::Brotli => brotli::Decompressor::new(received, 4096).read_to_end(&mut content),
        Coding::Gzip => flate2::read::GzDecoder::new(received).read_to_end(&mut content),
    }?;
    Ok(content)
}

/// Chunks of all kinds: nothing, words that repeat, noise.
fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let words = (select(vec!["{\"id\":", "hello ", "\n", "ä"]), 1..2_000_usize);
    let chunk = prop_oneof![
        1 => Just(Vec::new()),
        4 => words.prop_map(|(word, times)| word.repeat(times).into_bytes()),
        4 => prop::collection::vec(any::<u8>(), 0..2_000),
    ];
    prop::collection::vec(chunk, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_fed_can_be_read_at_once_and_in_the_end_is_whole(coding in select(ALL.to_vec()), chunks in chunks()) {
        let mut coder = Coder::new(coding).unwrap();
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        for chunk in chunks {
            let out = coder.feed(Bytes::copy_from_slice(&chunk));
            prop_assert_eq!(out.is_empty(), chunk.is_empty());
            sent.extend(chunk);
            received.extend(out);
            prop_assert!(readable(coding, &received) == sent, "{:?} after {} bytes", coding, sent.len());
        }
        prop_assert!(sent.is_empty() || whole(coding, &received).is_err(), "a cut body can be told from a whole one");
        received.extend(coder.end());
        prop_assert!(whole(coding, &received)? == sent);
        prop_assert!(coder.end().is_empty() && coder.feed("more".into()).is_empty());
    }
}

#[test]
fn a_coder_keeps_to_its_memory() {
    // Zstandard's own allocations are not seen from here.
    let text: Vec<u8> = (0..super::BYTES_MAX).map(|at| b"{\"key\": 0123}"[(at * at % 13) as usize]).collect();
    for (coding, bytes_max) in [(Coding::Brotli, 1 << 20), (Coding::Gzip, 1 << 19)] {
        let used = measure(|| {
            let mut coder = Coder::new(coding).unwrap();
            text.chunks(1 << 16).for_each(|chunk| drop(coder.feed(Bytes::copy_from_slice(chunk))));
        });
        assert!(used.bytes_max < bytes_max, "{coding:?}: {used:?}");
        assert!(used.bytes_max > bytes_max / 8, "{coding:?}: {used:?}");
    }
}
