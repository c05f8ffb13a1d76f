//! What a scripted upstream does about one request.

use std::time::Duration;

use bytes::Bytes;

use super::Cue;

/// Steps, taken in order. After the last one the connection waits for the next request, unless
/// a step ended it.
#[derive(Clone, Debug, Default)]
pub struct Answer(pub(super) Vec<Step>);

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Reads the request's body to its end and notes it.
    Read,
    /// Sends these bytes.
    Send(Bytes),
    /// Does nothing for a while.
    Pause(Duration),
    /// Does nothing until the test says so.
    Wait(Cue),
    /// Closes the connection in good order.
    Close,
    /// Resets the connection.
    Reset,
    /// Does nothing until the client closes the connection.
    Silence,
    /// Reads and forgets until the client has sent its last byte.
    UntilEnd,
    /// Reads the body and answers with it, and with its digest in `X-Digest`.
    Echo,
    /// Answers with the body's chunks as they arrive.
    Mirror,
    /// Accepts a WebSocket and sends each message back.
    WebSocket,
}

impl Answer {
    /// No step.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the request's body, then answers 200 with this one and its length.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::status(200, &[], body)
    }

    /// Reads the request's body, then answers with a status, fields and a body with its length.
    pub fn status(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        Self::new().read().full(status, fields, body)
    }

    /// Answers at once and leaves the request's body unread.
    pub fn early(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::new().full(status, &[], body)
    }

    /// Answers with the request's body and its digest in `X-Digest`.
    pub fn echo() -> Self {
        Self(vec![Step::Echo])
    }

    /// Answers with the request's body, each part as soon as it arrives.
    pub fn mirror() -> Self {
        Self(vec![Step::Mirror])
    }

    /// Accepts a WebSocket and sends each message back.
    pub fn websocket() -> Self {
        Self(vec![Step::WebSocket])
    }

    /// Says nothing until the client gives up.
    pub fn silent() -> Self {
        Self(vec![Step::Silence])
    }

    /// Closes the connection without an answer.
    pub fn close() -> Self {
        Self(vec![Step::Close])
    }

    /// Promises `body`, sends its first `sent` bytes and closes the connection.
    pub fn cut(body: &[u8], sent: usize) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        Self::new().read().send(head).send(body.get(..sent).unwrap_or(body)).closed()
    }

    /// Begins a chunked body, sends one chunk and closes without the last one.
    pub fn cut_chunks(chunk: &[u8]) -> Self {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        Self::new().read().send(head).chunk(chunk).closed()
    }

    /// Sends both lengths, which no reader may accept.
    pub fn both_lengths() -> Self {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        Self::new().read().send(head).chunk(b"hello").end_chunks()
    }

    /// Sends a chunked body, a pause before each part but the first.
    pub fn chunks<P: AsRef<[u8]>>(media_type: &str, parts: impl IntoIterator<Item = P>, every: Duration) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut answer = Self::new().read().send(head);
        for (number, part) in parts.into_iter().enumerate() {
            if number > 0 {
                answer = answer.pause(every);
            }
            answer = answer.chunk(part.as_ref());
        }
        answer.end_chunks()
    }

    /// Then reads the request's body to its end.
    #[must_use]
    pub fn read(self) -> Self {
        self.then(Step::Read)
    }

    /// Then sends these bytes.
    #[must_use]
    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Send(Bytes::copy_from_slice(bytes.as_ref())))
    }

    /// Then does nothing for a while.
    #[must_use]
    pub fn pause(self, pause: Duration) -> Self {
        self.then(Step::Pause(pause))
    }

    /// Then does nothing until the test gives its cue.
    #[must_use]
    pub fn wait(self, cue: &Cue) -> Self {
        self.then(Step::Wait(cue.clone()))
    }

    /// Then closes the connection in good order.
    #[must_use]
    pub fn closed(self) -> Self {
        self.then(Step::Close)
    }

    /// Then resets the connection.
    #[must_use]
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Then says nothing until the client closes the connection.
    #[must_use]
    pub fn hold(self) -> Self {
        self.then(Step::Silence)
    }

    /// Then reads and forgets until the client has sent its last byte.
    #[must_use]
    pub fn until_end(self) -> Self {
        self.then(Step::UntilEnd)
    }

    /// Then sends one chunk of a chunked body.
    #[must_use]
    pub fn chunk(self, data: &[u8]) -> Self {
        self.send([format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat())
    }

    /// Then ends a chunked body.
    #[must_use]
    pub fn end_chunks(self) -> Self {
        self.send("0\r\n\r\n")
    }

    /// Then sends a whole answer with its length.
    #[must_use]
    pub fn full(self, status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if status >= 200 && status != 204 && status != 304 {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send([head.as_bytes(), body].concat())
    }

    /// The same after a pause.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.0.insert(0, Step::Pause(pause));
        self
    }

    fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }
}
