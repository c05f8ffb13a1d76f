//! An answer on its way to the client: the head that was received or made, and what becomes of it.

use http::StatusCode;
use http::header::HeaderMap;
use palisade_core::{Edited, Head, HeaderEdits};

/// An answer whose head is `H`, as its engine keeps it.
#[derive(Debug)]
pub struct Answer<H, B> {
    /// The status as it will be sent.
    pub status: StatusCode,
    /// The head as it came, or was made.
    pub head: H,
    /// What changes in it.
    pub edits: HeaderEdits,
    /// The body.
    pub body: B,
}

impl<H, B> Answer<H, B> {
    /// The same with another body.
    pub fn map<C>(self, make: impl FnOnce(B) -> C) -> Answer<H, C> {
        let Self { status, head, edits, body } = self;
        Answer { status, head, edits, body: make(body) }
    }

    /// The same with a head of another type.
    pub fn map_head<I>(self, make: impl FnOnce(H) -> I) -> Answer<I, B> {
        let Self { status, head, edits, body } = self;
        Answer { status, head: make(head), edits, body }
    }
}

impl<H: Head, B> Answer<H, B> {
    /// The head with its changes.
    pub fn edited(&self) -> Edited<'_> {
        Edited { head: &self.head, edits: &self.edits }
    }
}

impl<B> From<http::Response<B>> for Answer<HeaderMap, B> {
    fn from(response: http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, head: parts.headers, edits: HeaderEdits::none(), body }
    }
}

impl<B> From<Answer<HeaderMap, B>> for http::Response<B> {
    fn from(answer: Answer<HeaderMap, B>) -> Self {
        let Answer { status, mut head, edits, body } = answer;
        edits.apply(&mut head);
        let mut response = Self::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = head;
        response
    }
}
