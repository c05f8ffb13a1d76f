//! An answer on its way out: its head, then its body, framed for this client.
//!
//! Framing is made from the body that there is, never copied: a known length is told, an unknown
//! one is sent in chunks, or ended by closing for a client of HTTP/1.0. An answer that breaks off
//! is never ended as if it were whole.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::CONNECTION;
use http_body::Body;
use palisade_core::Head as _;
use palisade_http1::{Outbox, Version, write};
use palisade_proxy::AnswerHead;
use palisade_tower::answer::Answer;

use super::conn::{Over, Shared};
use crate::connection::date;
use crate::connection::stream::Transport;

/// What of the request decides about its answer's framing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Whether it was `HEAD`.
    pub(super) is_head: bool,
    /// The client's version.
    pub(super) version: Version,
    /// Whether the connection may be kept.
    pub(super) persistent: bool,
}

/// An answer that is being sent.
pub(super) struct Outgoing<B> {
    body: B,
    sending: Sending,
    ended: Ended,
}

/// How it was framed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Whether the connection may be kept.
    pub(super) persistent: bool,
    /// Whether closing is the body's end.
    pub(super) ends_with_connection: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Whole,
    /// The body broke off, or wasn't as long as it had said.
    Cut,
}

/// What is still to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Length(u64),
    Chunks,
    /// Until the connection closes.
    Close,
    /// Everything was put out.
    Nothing,
    Cut,
}

/// Room for most heads, and a small body.
const ROOM: usize = 2 << 10;

impl<B: Body<Data = Bytes> + Unpin> Outgoing<B> {
    /// Writes the head.
    pub(super) fn begin(answer: Answer<AnswerHead, B>, asked: Asked, outbox: &mut Outbox) -> Self {
        let status = answer.status;
        let out = outbox.buffer();
        out.reserve(ROOM);
        write::status_line(out, status);
        let switches = status == StatusCode::SWITCHING_PROTOCOLS;
        let has_body = !asked.is_head && has_body(status);
        // The head of an answer whose body isn't sent tells the length it would have.
        let tells_length = asked.is_head || status == StatusCode::NOT_MODIFIED;
        let mut persistent = asked.persistent;
        let mut is_dated = false;
        if !switches && answer.edited().first(&CONNECTION).is_some_and(|value| value.eq_ignore_ascii_case(b"close")) {
            persistent = false;
        }
        let keep = &mut |name: &[u8]| match name {
            b"connection" => switches,
            b"transfer-encoding" => false,
            b"content-length" => tells_length,
            name => {
                is_dated |= name == b"date";
                true
            }
        };
        write::edited(out, &answer.head, &answer.edits, keep);
        let sending = if !has_body {
            Sending::Nothing
        } else if let Some(length) = answer.body.size_hint().exact() {
            write::length_field(out, length);
            if length == 0 { Sending::Nothing } else { Sending::Length(length) }
        } else if asked.version == Version::Http11 {
            write::field(out, "transfer-encoding", b"chunked");
            Sending::Chunks
        } else {
            persistent = false;
            Sending::Close
        };
        if !is_dated && !status.is_informational() {
            date::write(out);
        }
        if !switches {
            tell_connection(out, asked.version, persistent);
        }
        write::end_of_head(out);
        let ended = Ended { persistent, ends_with_connection: sending == Sending::Close };
        Self { body: answer.body, sending, ended }
    }

    /// Sends everything. The client is looked after meanwhile.
    pub(super) fn poll<T: Transport>(
        &mut self,
        context: &mut Context<'_>,
        conn: &Shared<T>,
    ) -> Poll<Result<Sent, Over>> {
        loop {
            let filled = self.poll_fill(context, conn);
            match conn.with(|conn| conn.poll_write(context)) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(over)) => return Poll::Ready(Err(over)),
                Poll::Pending => return conn.with(|conn| conn.poll_watch(context)).map(Err),
            }
            match self.sending {
                Sending::Nothing => return Poll::Ready(Ok(Sent::Whole)),
                Sending::Cut => return Poll::Ready(Ok(Sent::Cut)),
                Sending::Length(_) | Sending::Chunks | Sending::Close => {}
            }
            if filled.is_pending() {
                return conn.with(|conn| conn.poll_watch(context)).map(Err);
            }
        }
    }

    /// How it was framed.
    pub(super) fn ended(self) -> Ended {
        self.ended
    }

    /// Puts parts of the body into the outbox while there is room. Pending while the body is.
    fn poll_fill<T: Transport>(&mut self, context: &mut Context<'_>, conn: &Shared<T>) -> Poll<()> {
        while !matches!(self.sending, Sending::Nothing | Sending::Cut) && conn.with(|conn| conn.outbox().has_room()) {
            // The body may read the request's from the connection.
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            let has_ended = self.body.is_end_stream();
            conn.with(|conn| match frame {
                None => self.end(conn.outbox(), None),
                Some(Err(_)) => self.sending = Sending::Cut,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.put(conn.outbox(), data);
                        if has_ended {
                            self.end(conn.outbox(), None);
                        }
                    }
                    Err(frame) => self.end(conn.outbox(), frame.into_trailers().ok().as_ref()),
                },
            });
        }
        Poll::Ready(())
    }

    fn put(&mut self, outbox: &mut Outbox, data: Bytes) {
        match self.sending {
            Sending::Length(left) => match left.checked_sub(data.len() as u64) {
                Some(left) => {
                    self.sending = Sending::Length(left);
                    outbox.put(data);
                }
                // More than was told is the beginning of another answer to the client.
                None => self.sending = Sending::Cut,
            },
            Sending::Chunks => outbox.put_chunk(data),
            Sending::Close => outbox.put(data),
            Sending::Nothing | Sending::Cut => {}
        }
    }

    fn end(&mut self, outbox: &mut Outbox, trailers: Option<&http::HeaderMap>) {
        self.sending = match self.sending {
            Sending::Length(0) | Sending::Close => Sending::Nothing,
            Sending::Chunks if outbox.has_room() => {
                write::last_chunk(outbox.buffer(), trailers);
                Sending::Nothing
            }
            // A large chunk is still to be sent; the body says again that it has ended.
            Sending::Chunks => Sending::Chunks,
            Sending::Length(_) | Sending::Cut => Sending::Cut,
            Sending::Nothing => Sending::Nothing,
        };
    }
}

/// Whether answers of this status have a body (RFC 9110 §6.4.1).
fn has_body(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// What each version doesn't take for granted.
fn tell_connection(out: &mut BytesMut, version: Version, persistent: bool) {
    match (version, persistent) {
        (Version::Http11, true) | (Version::Http10, false) => {}
        (Version::Http11, false) => write::field(out, "connection", b"close"),
        (Version::Http10, true) => write::field(out, "connection", b"keep-alive"),
    }
}
