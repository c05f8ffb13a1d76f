//! The authority that a client asked for.

use std::borrow::Cow;

use http::header::{HOST, HeaderMap};
use http::uri::Uri;

/// `:authority` or the absolute form's authority, else `Host`, else nothing. Which of them may be
/// sent together is the server's to check before.
pub fn of(uri: &Uri, head: &HeaderMap) -> Box<str> {
    let text: Cow<'_, str> = match uri.authority() {
        Some(authority) => Cow::Borrowed(authority.as_str()),
        None => head.get(HOST).map(|host| String::from_utf8_lossy(host.as_bytes())).unwrap_or_default(),
    };
    text.into()
}
