//! Compression of answers that the application sends plain.
//!
//! **Threat.** None: this saves bytes on the way to the client. What it must not do is cost the
//! others. A worker is one thread for all of its connections, so compression runs there only in
//! turns that are short: one chunk at a time, at fast levels, and never a body that says it is
//! longer than a mebibyte (ADR 5).
//!
//! **Rule.**
//! 1. An answer is compressible if it is a 200 of a text type (`text/*`, JSON, XML, JavaScript),
//!    of 1 KiB to 1 MiB or of unknown length, without `Content-Encoding`, `Content-Range` or a
//!    digest of its bytes, and not marked `no-transform` (RFC 9110 §7.7).
//! 2. Every compressible answer gets `Vary: Accept-Encoding`, whatever this client accepts: a
//!    cache must not hand one client what was made for another.
//! 3. It is compressed if the client accepts a coding that is offered (`accept`) and did not say
//!    `no-transform` itself. An answer to HEAD has no body and is left as it is.
//! 4. Then `Content-Encoding` names the coding, `ETag` becomes weak, since the bytes are no longer
//!    those that it was given to (RFC 9110 §8.8.1), and `Accept-Ranges` goes: ranges of the plain
//!    bytes would be cut out of these. The guard takes `Content-Length` out.
//! 5. Event streams and their like are never touched. Everything else that streams keeps
//!    streaming: each chunk is flushed, so what the application sent can be read at once.
//!
//! **Limits.** Off unless `[app] compress` names codings. It rewrites no 304 and no 206. A page
//! that holds a secret and repeats what its reader sent can be measured through its length (the
//! BREACH attack); such an application leaves this off or says `no-transform`. It needs no store.
//! If a coder fails, the body lacks the coding's end, so no client takes it for whole.

mod accept;
mod coder;
mod coding;
pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderName, HeaderValue, VARY,
};
use http::{Method, StatusCode};
use palisade_core::{Head, HeaderEdits, ResponseView, Single, Transform, Transformation, View, media};

use self::coder::Coder;
pub use self::coding::Coding;

/// Compresses what can be compressed, for clients that accept it.
#[derive(Clone, Debug)]
pub struct Compress {
    /// What is offered; the first one wins where the client has no preference.
    offered: Arc<[Coding]>,
}

/// Below this the head that says so is longer than what is saved.
const BYTES_MIN: u64 = 1 << 10;

/// Longer bodies are files, which are compressed once, when they are made.
const BYTES_MAX: u64 = 1 << 20;

/// Promises about the bytes as they are (RFC 9530, RFC 3230, RFC 2616 §14.15).
static DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

impl Compress {
    /// Offers these codings.
    pub fn offering(codings: impl Into<Arc<[Coding]>>) -> Self {
        Self { offered: codings.into() }
    }
}

impl Transform for Compress {
    fn begin(
        &self,
        view: &View<'_>,
        response: &ResponseView<'_>,
        edits: &mut HeaderEdits,
    ) -> Option<Box<dyn Transformation>> {
        if !is_compressible(response) {
            return None;
        }
        if !varies(response.head) {
            edits.append(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        if view.method == Method::HEAD || is_fixed(view.head) {
            return None;
        }
        let coding = accept::choose(view.head, &self.offered)?;
        let coder = Coder::new(coding)?;
        edits.set(CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
        edits.remove(ACCEPT_RANGES);
        weaken(response.head, edits);
        Some(Box::new(coder))
    }
}

fn is_compressible(response: &ResponseView<'_>) -> bool {
    let head = response.head;
    response.status == StatusCode::OK
        && response.media_type().is_some_and(is_text)
        && response.length.is_none_or(|length| (BYTES_MIN..=BYTES_MAX).contains(&length))
        && !head.has(&CONTENT_ENCODING)
        && !head.has(&CONTENT_RANGE)
        && !DIGESTS.iter().any(|name| head.has(name))
        && !is_fixed(head)
}

/// A type whose content is text, and no stream of messages: those are small, and their clients
/// count on each one leaving as it is.
fn is_text(media_type: &[u8]) -> bool {
    const PLAIN: [&str; 3] = ["application/json", "application/xml", "application/javascript"];
    let Ok(media_type) = str::from_utf8(media_type) else { return false };
    let is_one_of = |types: &[&str]| types.iter().any(|known| media_type.eq_ignore_ascii_case(known));
    let Some((kind, subtype)) = media_type.split_once('/') else { return false };
    let suffix = subtype.rsplit_once('+').map_or("", |(_, suffix)| suffix);
    !media::is_stream(media_type.as_bytes())
        && (kind.eq_ignore_ascii_case("text")
            || is_one_of(&PLAIN)
            || suffix.eq_ignore_ascii_case("json")
            || suffix.eq_ignore_ascii_case("xml"))
}

/// Whether nobody on the way may change the content, by the word of either side.
fn is_fixed(head: &dyn Head) -> bool {
    lists(head, &CACHE_CONTROL, |directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

/// Whether caches are told already that the answer depends on this.
fn varies(head: &dyn Head) -> bool {
    lists(head, &VARY, |name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"))
}

/// Whether a field that is a list has such an element.
fn lists(head: &dyn Head, name: &HeaderName, is_meant: impl Fn(&[u8]) -> bool) -> bool {
    let mut found = false;
    head.each(name, &mut |value| {
        found |= value.split(|byte| *byte == b',').any(|element| is_meant(element.trim_ascii()));
    });
    found
}

/// Makes a strong tag weak. What is no tag would be compared as if it were a strong one, and goes.
fn weaken(head: &dyn Head, edits: &mut HeaderEdits) {
    match head.single(&ETAG) {
        Single::Absent | Single::One([b'W', b'/', b'"', ..]) => {}
        Single::One(tag @ [b'"', ..]) => match HeaderValue::from_bytes(&[b"W/", tag].concat()) {
            Ok(weak) => edits.set(ETAG, weak),
            Err(_) => edits.remove(ETAG),
        },
        Single::One(_) | Single::Repeated => edits.remove(ETAG),
    }
}
