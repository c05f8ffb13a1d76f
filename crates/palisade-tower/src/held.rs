//! A request's body, of which a part may have been read and held back for an examination.
//!
//! What was held goes on first, then the rest: the application receives the same bytes in the same
//! order. Only the guard reads ahead, and only as far as an examination's budget.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use palisade_core::policy::End;

/// A body with what was read ahead of it.
#[derive(Debug)]
pub struct Held<B: Body> {
    chunks: VecDeque<Bytes>,
    /// What ended the reading: trailers or an error, which go on in their place.
    last: Option<Box<Result<Frame<Bytes>, B::Error>>>,
    body: B,
    ended: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Held<B> {
    /// Nothing is held yet.
    pub fn new(body: B) -> Self {
        Self { chunks: VecDeque::new(), last: None, body, ended: false }
    }

    /// The held chunk at `place`, counted from the body's beginning.
    pub fn held(&self, place: usize) -> Option<Bytes> {
        self.chunks.get(place).cloned()
    }

    /// How the reading has ended so far.
    pub fn end(&self) -> End {
        match self.last.as_deref() {
            Some(Err(_)) => End::Part,
            Some(Ok(_)) => End::Whole,
            None if self.ended => End::Whole,
            None => End::Part,
        }
    }

    /// Reads one more chunk and holds it. `None`: the body has ended, or can't be read further.
    pub async fn read(&mut self) -> Option<Bytes> {
        if self.last.is_some() || self.ended {
            return None;
        }
        let Some(frame) = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await else {
            self.ended = true;
            return None;
        };
        match frame {
            Ok(frame) => match frame.into_data() {
                Ok(chunk) => {
                    self.chunks.push_back(chunk.clone());
                    Some(chunk)
                }
                Err(trailers) => {
                    self.last = Some(Box::new(Ok(trailers)));
                    None
                }
            },
            Err(error) => {
                self.last = Some(Box::new(Err(error)));
                None
            }
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Held<B>
where
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if let Some(last) = self.last.take() {
            self.ended = true;
            return Poll::Ready(Some(*last));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty() && self.last.is_none() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let held: u64 = self.chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(held));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}
