//! Answers that are written without the engine: to what is no request.
//!
//! The same problem document as any refusal, with an id of its own. The connection closes after
//! it, and nothing that follows on it is read as a request.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};

use palisade_core::{Reason, Refusal, RequestId};
use palisade_http1::Fault;
use palisade_tower::clock;
use palisade_tower::render::{self, Audience};

use crate::counters::ConnectionLimit;

/// The bytes of a refusal.
pub(crate) fn refusal(reason: Reason) -> Vec<u8> {
    let now = clock::now();
    let request_id = RequestId::new(now.utc, entropy());
    let (head, body) = render::refusal(&Refusal::new(reason), request_id, Audience::Program).into_parts();
    let mut text = String::with_capacity(640);
    let phrase = head.status.canonical_reason().unwrap_or_default();
    let _ = write!(text, "HTTP/1.1 {} {phrase}\r\n", head.status.as_u16());
    for (name, value) in &head.headers {
        let _ = write!(text, "{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    let _ = write!(text, "x-request-id: {request_id}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

/// An id only has to be unlike others. The standard library's hasher is seeded by the system.
fn entropy() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(0_u8));
    half() << 64 | half()
}

/// The reason of a fault's refusal, and the limit that acted, if one did.
pub(crate) fn refusal_of(fault: Fault) -> (Reason, Option<ConnectionLimit>) {
    match fault {
        Fault::Malformed => (Reason::HttpMalformed, None),
        Fault::HeadTooLarge => (Reason::HttpHeadTooLarge, Some(ConnectionLimit::HeadSize)),
        Fault::TargetTooLong => (Reason::HttpTargetTooLong, Some(ConnectionLimit::TargetSize)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_whole_message() {
        let text = String::from_utf8(refusal(Reason::HttpTimeout)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{head}");
        for field in ["content-type: application/problem+json", "connection: close"] {
            assert!(head.lines().any(|line| line == field), "{head}");
        }
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert!(body.contains("\"code\":\"http.timeout\""), "{body}");
        assert_ne!(text, String::from_utf8(refusal(Reason::HttpTimeout)).unwrap());
    }
}
