//! One request and its answer on a connection of our own engine.
//!
//! There is no task beside it: whoever waits for the head or the body drives both directions, so
//! that an answer may come while the request's body is still being sent. It keeps its connection
//! only if both were whole.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use palisade_http1::{Cut, Decoded, Decoder, Fault, Limits, Piece, Response, write};

use super::{Idle, Line, Switched};
use crate::attempt::{Message, expects_body};
use crate::body::{Outgoing, Streamable};
use crate::error::BodyError;
use crate::send::Hints;
use crate::server::Flight;

/// A request under way, and its answer.
pub(crate) struct Exchange<B: 'static> {
    line: Box<Line>,
    flight: Flight<B>,
    body: Outgoing<B>,
    sending: Sending,
    /// Interim answers so far.
    interim: u32,
    persistent: bool,
}

/// What of the request is still to be put in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// So many bytes.
    Length(u64),
    Chunks,
    Nothing,
    /// The body failed, or wasn't as long as it had said.
    Failed,
}

/// Why there is no head.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoHead {
    /// The request's own body failed.
    #[error("the request's body failed")]
    Body,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// It closed without an answer.
    #[error("the connection closed before the answer")]
    Closed,
    /// What came is no answer.
    #[error("the answer can't be read in one way")]
    Malformed(#[source] Fault),
    /// Interim answers without end.
    #[error("too many interim answers")]
    TooMuch,
}

/// Interim answers before an answer.
const INTERIM_MAX: u32 = 100;

impl<B: Streamable> Exchange<B> {
    /// Begins to send. Nothing is written yet.
    pub(crate) fn new(mut line: Box<Line>, flight: Flight<B>, message: &Message<'_, B>, body: Outgoing<B>) -> Self {
        line.begin();
        let sending = render(&mut line, message, &body);
        Self { line, flight, body, sending, interim: 0, persistent: false }
    }

    /// Sends the request, and gives the head of its answer. Of the interim ones only early hints are
    /// for the client.
    pub(crate) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        method: &Method,
        hints: Option<&dyn Hints>,
    ) -> Poll<Result<Response, NoHead>> {
        if let Poll::Ready(Err(error)) = self.poll_request(context) {
            return Poll::Ready(Err(if self.sending == Sending::Failed {
                NoHead::Body
            } else {
                NoHead::Broken(error)
            }));
        }
        loop {
            let line = &mut *self.line;
            match line.parser.parse(&mut line.input, method).map_err(NoHead::Malformed)? {
                Some(head) if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS => {
                    self.interim += 1;
                    if self.interim > INTERIM_MAX {
                        return Poll::Ready(Err(NoHead::TooMuch));
                    }
                    if let Some(hints) = hints.filter(|_| head.status == StatusCode::EARLY_HINTS) {
                        hints.hint(&head.fields);
                    }
                }
                Some(head) => {
                    line.decoder = Decoder::new(head.framing, &Limits::ANSWER);
                    self.persistent = head.persistent;
                    return Poll::Ready(Ok(head));
                }
                None => match ready!(self.line.poll_read(context)) {
                    Ok(0) => return Poll::Ready(Err(NoHead::Closed)),
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Err(NoHead::Broken(error))),
                },
            }
        }
    }

    /// The next part of the answer's body; the rest of the request's goes on meanwhile.
    pub(crate) fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(Err(error)) = self.poll_request(context) {
            return Poll::Ready(Some(Err(BodyError::cut(error))));
        }
        loop {
            let line = &mut *self.line;
            match line.decoder.decode(&mut line.input) {
                Ok(Decoded::Piece(Piece::Data(data))) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Piece(Piece::Trailers(fields))) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Err(fault) => return Poll::Ready(Some(Err(BodyError::malformed(fault)))),
                Ok(Decoded::More) => match ready!(self.line.poll_read(context)) {
                    Ok(0) => match self.line.decoder.close() {
                        Ok(()) => return Poll::Ready(None),
                        Err(cut @ Cut) => return Poll::Ready(Some(Err(BodyError::cut(cut)))),
                    },
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Some(Err(BodyError::cut(error)))),
                },
            }
        }
    }

    /// Sends what there is of the request. Ready when all of it was sent.
    fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let filled = self.poll_fill(context);
            if let Poll::Ready(Err(error)) = filled {
                return Poll::Ready(Err(error));
            }
            ready!(self.line.poll_write(context))?;
            if matches!(self.sending, Sending::Nothing) {
                return Poll::Ready(Ok(()));
            }
            if filled.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Puts the body into the outbox while there is room. Pending while the client is waited for.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.line.outbox.has_room() && !matches!(self.sending, Sending::Nothing) {
            if self.sending == Sending::Failed {
                return Poll::Ready(Err(failed()));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.put(data)?,
                    Err(frame) => self.end(frame.into_trailers().ok().as_ref())?,
                },
                None => self.end(None)?,
                Some(Err(_)) => {
                    self.sending = Sending::Failed;
                    return Poll::Ready(Err(failed()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn put(&mut self, data: Bytes) -> io::Result<()> {
        match self.sending {
            Sending::Chunks => self.line.outbox.put_chunk(data),
            Sending::Length(left) => match left.checked_sub(data.len() as u64) {
                Some(left) => {
                    self.line.outbox.put(data);
                    self.sending = Sending::Length(left);
                    if self.body.is_end_stream() {
                        return self.end(None);
                    }
                }
                None => {
                    self.sending = Sending::Failed;
                    return Err(failed());
                }
            },
            Sending::Nothing | Sending::Failed => {}
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> io::Result<()> {
        let whole = matches!(self.sending, Sending::Chunks | Sending::Length(0));
        if self.sending == Sending::Chunks {
            write::last_chunk(self.line.outbox.buffer(), trailers);
        }
        self.sending = if whole { Sending::Nothing } else { Sending::Failed };
        if whole { Ok(()) } else { Err(failed()) }
    }
}

impl<B> Exchange<B> {
    /// Whether the answer's body has ended.
    pub(crate) fn is_complete(&self) -> bool {
        self.line.decoder.is_complete()
    }

    /// How long the answer's body is, as far as its head says.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.line.decoder.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    /// Whether any byte came since the request began.
    pub(crate) fn has_heard(&self) -> bool {
        self.line.read > 0
    }

    /// Whether any byte of the request was written.
    pub(crate) fn has_written(&self) -> bool {
        self.line.written > 0
    }

    /// A request's body of which nothing was read.
    pub(crate) fn into_body(self) -> Option<Outgoing<B>> {
        let untouched = self.body.progress().is_none_or(|progress| progress.frames() == 0);
        untouched.then_some(self.body)
    }

    /// The answer has ended: the connection may serve the next request, if nothing is left of this
    /// one.
    pub(crate) fn finish(self) {
        let Self { line, flight, sending, persistent, .. } = self;
        let is_clean = line.input.is_empty() && line.outbox.is_empty() && sending == Sending::Nothing;
        if persistent && is_clean {
            flight.server.put(Idle::Own(line));
        }
    }

    /// The protocol was switched: what is left is the socket and the place in flight.
    pub(crate) fn into_switched(self) -> (Switched, Flight<B>) {
        (self.line.into_switched(), self.flight)
    }
}

/// Writes the head. Framing is made from the body that there is.
fn render<B: Streamable>(line: &mut Line, message: &Message<'_, B>, body: &Outgoing<B>) -> Sending {
    let out = line.outbox.buffer();
    out.reserve(HEAD_ROOM);
    write::request_line(out, message.method, message.target);
    // Taken out before; whatever else has put them in, there is one framing.
    let keep = &mut |name: &[u8]| name != b"content-length" && name != b"transfer-encoding";
    write::edited(out, message.head, &message.edits, keep);
    let sending = match (body, body.size_hint().exact()) {
        (Outgoing::Empty, _) => {
            // Without it some applications refuse a request whose method usually has a body.
            if expects_body(message.method) {
                write::length_field(out, 0);
            }
            Sending::Nothing
        }
        (Outgoing::Streamed(_), Some(length)) => {
            write::length_field(out, length);
            Sending::Length(length)
        }
        (Outgoing::Streamed(_), None) => {
            write::field(out, "transfer-encoding", b"chunked");
            Sending::Chunks
        }
    };
    write::end_of_head(out);
    sending
}

/// Room for most heads.
const HEAD_ROOM: usize = 1 << 10;

fn failed() -> io::Error {
    io::Error::other("the request's body failed")
}
