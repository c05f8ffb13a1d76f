//! What becomes of a request's fields on their way to the application.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Fields that are another one each time: their values here would mislead.
const FRESH: [&str; 2] = ["x-request-id", "traceparent"];

/// A field and what it says; `None` if that is new each time.
pub(super) type Field = (String, Option<String>);

/// What the gateway changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Names that don't arrive.
    pub(super) removed: Vec<String>,
    /// Fields that the client did not send, or not like this.
    pub(super) added: Vec<Field>,
}

impl Changes {
    /// What is different between what the client sent and what the application receives.
    pub(super) fn between(sent: &HeaderMap, received: &HeaderMap) -> Self {
        let is_new = |(name, value): &(&HeaderName, &HeaderValue)| {
            // Framing is made anew from the body that there is; it is no news.
            name.as_str() != "content-length" && !sent.get_all(*name).iter().any(|known| known == value)
        };
        let mut added = shown(received.iter().filter(is_new));
        // Each try to reach the application has one of its own, so no edit here holds it.
        added.push(("traceparent".to_owned(), None));
        let gone = |name: &&HeaderName| !received.contains_key(*name) && name.as_str() != "content-length";
        Self { removed: sent.keys().filter(gone).map(HeaderName::to_string).collect(), added }
    }
}

/// Fields as they are told.
pub(super) fn shown<'a>(fields: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> Vec<Field> {
    let show = |(name, value): (&HeaderName, &HeaderValue)| {
        let is_fresh = FRESH.contains(&name.as_str());
        let value = (!is_fresh).then(|| String::from_utf8_lossy(value.as_bytes()).into_owned());
        (name.to_string(), value)
    };
    fields.map(show).collect()
}
