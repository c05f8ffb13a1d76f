//! A request's head, kept for another try.
//!
//! The connection takes the head it sends, and a copy of a header map is many small copies. This
//! keeps the fields as bytes in a buffer that is used again and again; reading them back is for
//! the rare request that needs it.

use std::cell::RefCell;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri};

/// Buffers kept for reuse, and the largest that is.
const SPARE_MAX: usize = 64;
const BUFFER_MAX: usize = 16 * 1024;

/// Buffers that no request uses.
#[derive(Debug, Default)]
pub(crate) struct Spare(RefCell<Vec<Vec<u8>>>);

/// A head without a body.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    method: Method,
    uri: Uri,
    fields: Vec<u8>,
    spare: &'a Spare,
}

impl<'a> Replay<'a> {
    pub(crate) fn of(head: &Parts, spare: &'a Spare) -> Self {
        let mut fields = spare.0.borrow_mut().pop().unwrap_or_default();
        for (name, value) in &head.headers {
            for part in [name.as_str().as_bytes(), value.as_bytes()] {
                // A head that came through the limits of a listener fits; a longer field is cut
                // here and makes the copy unreadable, so that it is not sent again.
                fields.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_ne_bytes());
                fields.extend_from_slice(part);
            }
        }
        Self { method: head.method.clone(), uri: head.uri.clone(), fields, spare }
    }

    /// The head again.
    pub(crate) fn restore(&self) -> Option<Parts> {
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = self.method.clone();
        head.uri = self.uri.clone();
        head.headers = fields(&self.fields)?;
        Some(head)
    }
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        let mut spare = self.spare.0.borrow_mut();
        if fields.capacity() <= BUFFER_MAX && spare.len() < SPARE_MAX {
            fields.clear();
            spare.push(fields);
        }
    }
}

fn fields(mut bytes: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    while !bytes.is_empty() {
        let name = HeaderName::from_bytes(part(&mut bytes)?).ok()?;
        headers.append(name, HeaderValue::from_bytes(part(&mut bytes)?).ok()?);
    }
    Some(headers)
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u32::from_ne_bytes(*length)).ok()?)?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_kept_comes_back(fields in prop::collection::vec(("[a-z][a-z0-9-]{0,20}", "[ -~]{0,40}"), 0..30)) {
            let mut request = Request::new(());
            *request.method_mut() = Method::DELETE;
            *request.uri_mut() = Uri::from_static("/a/b?c=d");
            for (name, value) in fields {
                request.headers_mut().append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
            }
            let (head, ()) = request.into_parts();
            let spare = Spare::default();
            // Twice, since the second one uses the first one's buffer.
            for _ in 0..2 {
                let again = Replay::of(&head, &spare).restore().unwrap();
                prop_assert_eq!(&again.headers, &head.headers);
                prop_assert_eq!((&again.method, &again.uri), (&head.method, &head.uri));
            }
            prop_assert_eq!(spare.0.borrow().len(), 1);
        }
    }
}
