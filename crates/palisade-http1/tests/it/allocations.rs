//! What messages may allocate. The counting allocator is that of a test-only crate; it counts per
//! thread.

use allocation_counter::measure;
use bytes::BytesMut;
use http::Method;
use palisade_http1::{Decoded, Decoder, Framing, Limits, Piece, RequestParser, ResponseParser, write};

/// A browser asks for a page.
const REQUEST: &str = "GET /search?q=palisade&page=2 HTTP/1.1\r\nHost: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://www.example.com/\r\nConnection: keep-alive\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nPriority: u=0, i\r\n\r\n";

#[test]
fn a_head_has_a_table_and_shares_its_buffer() {
    let mut parser = RequestParser::new(Limits::default());
    let mut buffer = BytesMut::from(&*REQUEST.repeat(2));
    let mut head = None;
    let count = measure(|| head = parser.parse(&mut buffer).unwrap());
    assert_eq!(head.as_ref().map(|head| head.fields.len()), Some(12));
    assert!(count.count_total <= 2, "{count:?}");
    assert!(count.bytes_total < 600, "{count:?}");
    // The buffer is shared already.
    let count = measure(|| head = parser.parse(&mut buffer).unwrap());
    assert!(head.is_some() && count.count_total <= 1, "{count:?}");
}

#[test]
fn an_answer_costs_no_more() {
    let mut buffer =
        BytesMut::from(REQUEST.replace("GET /search?q=palisade&page=2 HTTP/1.1", "HTTP/1.1 200 OK").as_str());
    let mut head = None;
    let count = measure(|| head = ResponseParser::new(Limits::ANSWER).parse(&mut buffer, &Method::GET).unwrap());
    assert!(head.is_some() && count.count_total <= 2, "{count:?}");
}

#[test]
fn a_body_costs_the_sharing_of_its_buffer() {
    let mut buffer = BytesMut::from(&b"3;x\r\nabc\r\n".repeat(1_000)[..]);
    let mut decoder = Decoder::new(Framing::Chunked, &Limits { chunk_extension_bytes_max: 2_000, ..Limits::default() });
    let mut chunks = 0;
    let count = measure(|| {
        while let Ok(Decoded::Piece(Piece::Data(_))) = decoder.decode(&mut buffer) {
            chunks += 1;
        }
    });
    assert_eq!(chunks, 1_000);
    assert!(count.count_total <= 1, "{count:?}");
}

#[test]
fn a_head_is_written_without_any() {
    let mut out = BytesMut::with_capacity(200);
    let count = measure(|| {
        write::request_line(&mut out, &Method::GET, "/search?q=palisade");
        write::field(&mut out, "host", b"www.example.com");
        write::length_field(&mut out, 1_234);
        write::end_of_head(&mut out);
        write::chunk_size(&mut out, 1_234);
        write::last_chunk(&mut out, None);
    });
    assert_eq!(count.count_total, 0, "{count:?}");
}
