//! What a request of the `http` crate asks for: a target, at an authority, in a protocol.

use std::borrow::Cow;

use http::Version;
use http::header::{HOST, HeaderMap};
use http::uri::Uri;
use palisade_core::Protocol;

/// `:authority` or the absolute form's authority, else `Host`, else nothing. Which of them may be
/// sent together is the server's to check before.
pub fn authority(uri: &Uri, head: &HeaderMap) -> Box<str> {
    let text: Cow<'_, str> = match uri.authority() {
        Some(authority) => Cow::Borrowed(authority.as_str()),
        None => head.get(HOST).map(|host| String::from_utf8_lossy(host.as_bytes())).unwrap_or_default(),
    };
    text.into()
}

/// The target without scheme and authority. What asks for a tunnel has none, and `/` stands for it.
pub fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |target| target.as_str())
}

/// The protocol; whatever else a server calls it, it has HTTP/1.1's semantics.
pub fn protocol(version: Version) -> Protocol {
    match version {
        Version::HTTP_2 => Protocol::H2,
        Version::HTTP_10 => Protocol::Http10,
        _ => Protocol::Http11,
    }
}
