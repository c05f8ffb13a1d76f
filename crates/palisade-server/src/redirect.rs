//! The answer beside TLS: go to the public address.
//!
//! Every request is answered with 308, which keeps method and body. Path and query are kept as
//! they were sent; the host is `public_url`'s, never the client's.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, LOCATION};
use http::{Response, StatusCode};

/// The public address, as `scheme://authority`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    origin: Box<str>,
}

impl Redirect {
    /// To `origin`, which has no path.
    pub fn new(origin: &str) -> Self {
        Self { origin: origin.trim_end_matches('/').into() }
    }

    /// The answer to a request for `target`, a path and perhaps a query.
    pub fn answer(&self, target: &str) -> Response<Bytes> {
        // `OPTIONS *` has no path to go to.
        let path = if target.starts_with('/') { target } else { "/" };
        let mut response = Response::new(Bytes::new());
        match HeaderValue::try_from(format!("{}{path}", self.origin)) {
            Ok(location) => {
                *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
                response.headers_mut().insert(LOCATION, location);
            }
            Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
        }
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_are_kept() {
        for (target, location) in [
            ("/", "https://app.example/"),
            ("/a%20b?c=d&e", "https://app.example/a%20b?c=d&e"),
            ("//evil.example/a", "https://app.example//evil.example/a"),
            ("*", "https://app.example/"),
        ] {
            let response = Redirect::new("https://app.example/").answer(target);
            assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
            assert_eq!(response.headers()[LOCATION], location, "{target}");
        }
    }
}
