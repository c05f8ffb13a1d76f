//! What an answer used, seen as it passes.
//!
//! The first of these that there is: the application's own field, in the head or behind the body; a
//! JSON answer's usage; the last usage in a stream of events; else a guess from what was sent. An
//! answer of 400 and beyond that tells no usage used nothing.

use http::header::{CONTENT_ENCODING, HeaderMap};
use palisade_core::decision::Fact;
use palisade_core::{ResponseView, Watch, media};

use super::usage::{self, USED_FIELD};
use super::{USED, named};

/// A longer answer tells no usage that is read.
const JSON_BYTES_MAX: usize = 1 << 20;
/// The same of one event.
const EVENT_BYTES_MAX: usize = 256 << 10;

/// The watching of one answer.
pub(super) struct Watching {
    told: Option<u64>,
    form: Form,
    is_failure: Failure,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    No,
    Yes,
}

/// How an answer is written.
enum Form {
    /// What was seen so far; nothing once it is too long.
    Json(Option<Vec<u8>>),
    Events(Events),
    Other,
}

/// A stream of events, line by line.
#[derive(Default)]
struct Events {
    line: Vec<u8>,
    /// Whether the last line ended in a CR, to which an LF may still belong.
    after_cr: bool,
    /// Data of the event under way.
    data: Vec<u8>,
    /// Events with data, but for the one that says that it was the last.
    count: u64,
    usage: Option<u64>,
}

impl Watching {
    pub(super) fn new(response: &ResponseView<'_>) -> Self {
        let coded =
            response.head.first(&CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        let media_type = response.media_type().and_then(|media_type| std::str::from_utf8(media_type).ok());
        let form = match media_type {
            Some(media_type) if media_type.eq_ignore_ascii_case("text/event-stream") && !coded => {
                Form::Events(Events::default())
            }
            Some(media_type) if media::is_json(media_type.as_bytes()) && !coded => Form::Json(Some(Vec::new())),
            Some(_) | None => Form::Other,
        };
        Self {
            told: response.head.first(&USED_FIELD).and_then(usage::whole),
            form,
            is_failure: if response.status.as_u16() >= 400 { Failure::Yes } else { Failure::No },
            bytes: 0,
        }
    }

    fn used(&self, bytes_in: u64) -> u64 {
        let read = || match &self.form {
            Form::Json(body) => body.as_deref().and_then(usage::read),
            Form::Events(events) => events.usage,
            Form::Other => None,
        };
        let guess = || match (self.is_failure, &self.form) {
            (Failure::Yes, _) => 0,
            (Failure::No, Form::Events(events)) => bytes_in.div_ceil(4) + events.count,
            (Failure::No, Form::Json(_) | Form::Other) => bytes_in.div_ceil(4) + self.bytes.div_ceil(4),
        };
        self.told.or_else(read).unwrap_or_else(guess)
    }
}

impl Watch for Watching {
    fn see(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        match &mut self.form {
            Form::Json(body) => {
                *body = body.take().filter(|body| body.len() + chunk.len() <= JSON_BYTES_MAX);
                if let Some(body) = body {
                    body.extend_from_slice(chunk);
                }
            }
            Form::Events(events) => events.see(chunk),
            Form::Other => {}
        }
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        if let Some(value) = trailers.remove(&USED_FIELD) {
            self.told = self.told.or_else(|| usage::whole(value.as_bytes()));
        }
    }

    fn found(&self, bytes_in: u64) -> Fact {
        named(USED, self.used(bytes_in))
    }
}

impl Events {
    fn see(&mut self, chunk: &[u8]) {
        for part in chunk.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let is_second_half = part == b"\n" && self.after_cr;
            self.after_cr = part.ends_with(b"\r");
            if is_second_half {
                continue;
            }
            if self.line.len() + part.len() <= EVENT_BYTES_MAX {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") || self.after_cr {
                let line = std::mem::take(&mut self.line);
                self.line(line.trim_ascii_end());
            }
        }
    }

    /// Fields other than `data` say nothing of tokens; an empty line ends the event.
    fn line(&mut self, line: &[u8]) {
        if let Some(data) = line.strip_prefix(b"data:") {
            if self.data.len() + data.len() <= EVENT_BYTES_MAX {
                self.data.extend_from_slice(data.trim_ascii_start());
                self.data.push(b'\n');
            }
        } else if line.is_empty() && !self.data.is_empty() {
            let data = std::mem::take(&mut self.data);
            if data.trim_ascii() != b"[DONE]" {
                self.count += 1;
                self.usage = usage::read(&data).or(self.usage);
            }
        }
    }
}
