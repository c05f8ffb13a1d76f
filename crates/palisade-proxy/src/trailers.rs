//! Which trailer fields pass: those that the head named in `Trailer`, unless a reader may act on
//! a field of that name that came in the head.
//!
//! A trailer comes after the decision. So nothing that frames, routes, authenticates or caches
//! the message may come there, nor a name that only the gateway may send.

use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue, TRAILER};
use palisade_core::{Head, HeaderEdits};

/// The names that may pass; empty in nearly every message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trailers(Vec<HeaderName>);

/// More announced names than anybody sends.
const NAMES_MAX: usize = 32;

const FORBIDDEN: [HeaderName; 34] = [
    header::AGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::EXPECT,
    header::EXPIRES,
    header::FORWARDED,
    header::HOST,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::ORIGIN,
    header::PRAGMA,
    header::RANGE,
    header::REFERER,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::VARY,
    header::WWW_AUTHENTICATE,
];

/// Beginnings of names that are the gateway's to send, that carry an identity or a client's
/// address behind other gateways, or that hold for one connection.
const RESERVED: [&str; 15] = [
    "access-control-",
    "cf-connecting-",
    "keep-alive",
    "palisade-",
    "proxy-",
    "remote-",
    "sec-",
    "traceparent",
    "true-client-ip",
    "x-auth",
    "x-forwarded-",
    "x-middleware-",
    "x-palisade-",
    "x-real-ip",
    "x-request-id",
];

impl Trailers {
    /// Reads the names out of `Trailer`, and leaves there only those that may pass. `keep` says of
    /// further names, in lower case, whether the caller lets them.
    pub(crate) fn announced(head: &dyn Head, keep: &dyn Fn(&[u8]) -> bool, edits: &mut HeaderEdits) -> Self {
        let mut names = Vec::new();
        head.each(&TRAILER, &mut |value| {
            let listed = value.split(|byte| *byte == b',');
            let listed = listed.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
            names.extend(listed.filter(|name| may_pass(name) && keep(name.as_str().as_bytes())));
            names.truncate(NAMES_MAX);
        });
        edits.remove(TRAILER);
        for name in &names {
            edits.append(TRAILER, HeaderValue::from(name.clone()));
        }
        Self(names)
    }

    /// The fields that pass; `None` if there are none.
    pub(crate) fn keep(&self, mut fields: HeaderMap) -> Option<HeaderMap> {
        let mut kept = HeaderMap::new();
        for name in &self.0 {
            if let header::Entry::Occupied(entry) = fields.entry(name) {
                let (name, values) = entry.remove_entry_mult();
                for value in values {
                    kept.append(name.clone(), value);
                }
            }
        }
        (!kept.is_empty()).then_some(kept)
    }
}

fn may_pass(name: &HeaderName) -> bool {
    let text = name.as_str();
    // Servers fold other bytes into `-`, so a name with one could pose as a reserved name.
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain && !FORBIDDEN.contains(name) && !RESERVED.iter().any(|reserved| text.starts_with(reserved))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_announced_and_harmless_fields_pass() {
        for (announced, sent, expected) in [
            ("x-checksum", vec![("x-checksum", "1")], vec!["x-checksum"]),
            ("X-Checksum, grpc-status", vec![("grpc-status", "0"), ("x-other", "1")], vec!["grpc-status"]),
            ("content-length", vec![("content-length", "1")], vec![]),
            ("Authorization,cookie", vec![("authorization", "1"), ("cookie", "1")], vec![]),
            ("x-palisade-user, x_palisade_user", vec![("x-palisade-user", "1"), ("x_palisade_user", "1")], vec![]),
            ("x-forwarded-for, x-real-ip", vec![("x-forwarded-for", "1"), ("x-real-ip", "1")], vec![]),
            ("x-checksum, x-unwanted", vec![("x-unwanted", "1")], vec![]),
            ("", vec![("x-checksum", "1")], vec![]),
        ] {
            let headers = map(&[("trailer", announced)]);
            let kept =
                Trailers::announced(&headers, &|name| name != b"x-unwanted", &mut HeaderEdits::none()).keep(map(&sent));
            let names: Vec<_> = kept.iter().flat_map(HeaderMap::keys).map(HeaderName::as_str).collect();
            assert_eq!(names, expected, "{announced}");
        }
    }

    #[test]
    fn the_announcement_names_only_what_passes() {
        let (mut headers, mut edits) = (map(&[("trailer", "x-a, content-length, x-b")]), HeaderEdits::none());
        Trailers::announced(&headers, &|_| true, &mut edits);
        edits.apply(&mut headers);
        let left: Vec<_> = headers.get_all(TRAILER).iter().collect();
        assert_eq!(left, ["x-a", "x-b"]);
    }
}
