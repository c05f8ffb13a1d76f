//! The server's protocol, as much of it as is needed: commands out, replies in.
//!
//! A server is not trusted to be one: what it sends is bounded in length, number and depth, and what
//! is no reply ends the connection.

use std::fmt;

use bytes::{Buf as _, BytesMut};

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `:1`
    Number(i64),
    /// `+OK`, or a string by its length.
    Text(Box<[u8]>),
    /// `-ERR …`
    Error(Box<str>),
    /// Nothing.
    Nil,
    /// Several.
    List(Vec<Reply>),
}

/// What came is no reply, or one that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbled;

/// The longest reply: a page of overrides, each as long as it may be. `INFO` is a few kilobytes, a step's
/// verdicts are fewer.
pub(super) const REPLY_BYTES_MAX: usize = 1 << 20;

/// The longest line: an error may quote a whole command.
const LINE_BYTES_MAX: usize = 4 << 10;
/// A page of overrides is hundreds of entries, a step's verdicts are hundreds of numbers.
const LIST_MAX: usize = 4_096;
/// Lists in lists, of which no script makes any.
const DEPTH_MAX: usize = 4;

/// A command in the making.
#[derive(Clone, Default)]
pub(super) struct Command {
    words: usize,
    body: Vec<u8>,
}

impl fmt::Debug for Command {
    /// Without its words: one of them may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command of {} words", self.words)
    }
}

impl Command {
    /// A command of this name.
    pub(super) fn new(name: &str) -> Self {
        Self::default().word(name.as_bytes())
    }

    /// With one more word.
    #[must_use]
    pub(super) fn word(mut self, word: &[u8]) -> Self {
        self.push(word);
        self
    }

    /// Adds a word.
    pub(super) fn push(&mut self, word: &[u8]) {
        self.words += 1;
        self.body.push(b'$');
        self.body.extend_from_slice(itoa::Buffer::new().format(word.len()).as_bytes());
        self.body.extend_from_slice(b"\r\n");
        self.body.extend_from_slice(word);
        self.body.extend_from_slice(b"\r\n");
    }

    /// Adds the words of another.
    pub(super) fn extend(&mut self, words: &Self) {
        self.words += words.words;
        self.body.extend_from_slice(&words.body);
    }

    /// Adds a number.
    pub(super) fn number(&mut self, number: u64) {
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Writes it down.
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(b"*");
        out.extend_from_slice(itoa::Buffer::new().format(self.words).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
    }
}

/// Takes the first reply off the buffer; `None` if it isn't whole yet.
pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Reply>, Garbled> {
    let mut reader = Reader { rest: buffer };
    match reader.reply(DEPTH_MAX) {
        Ok(reply) => {
            let taken = buffer.len() - reader.rest.len();
            buffer.advance(taken);
            Ok(Some(reply))
        }
        Err(Stop::Garbled) => Err(Garbled),
        Err(Stop::Short) if buffer.len() > REPLY_BYTES_MAX => Err(Garbled),
        Err(Stop::Short) => Ok(None),
    }
}

/// Why reading stopped.
enum Stop {
    Short,
    Garbled,
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn reply(&mut self, depth: usize) -> Result<Reply, Stop> {
        let (kind, line) = self.line()?.split_first().ok_or(Stop::Garbled)?;
        match kind {
            b'+' => Ok(Reply::Text(line.into())),
            b'-' => Ok(Reply::Error(String::from_utf8_lossy(line).into())),
            b':' => Ok(Reply::Number(number(line)?)),
            b'$' => match length(line, REPLY_BYTES_MAX)? {
                None => Ok(Reply::Nil),
                Some(length) => Ok(Reply::Text(self.bytes(length)?.into())),
            },
            b'*' => match length(line, LIST_MAX)? {
                None => Ok(Reply::Nil),
                Some(_) if depth == 0 => Err(Stop::Garbled),
                Some(length) => (0..length).map(|_| self.reply(depth - 1)).collect::<Result<_, _>>().map(Reply::List),
            },
            _ => Err(Stop::Garbled),
        }
    }

    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let near = self.rest.get(..LINE_BYTES_MAX).unwrap_or(self.rest);
        let Some(end) = near.iter().position(|byte| *byte == b'\n') else {
            return Err(if near.len() == LINE_BYTES_MAX { Stop::Garbled } else { Stop::Short });
        };
        let (line, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        line.strip_suffix(b"\r\n").ok_or(Stop::Garbled)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Stop::Short)?;
        let (end, rest) = rest.split_at_checked(2).ok_or(Stop::Short)?;
        self.rest = rest;
        if end == b"\r\n" { Ok(bytes) } else { Err(Stop::Garbled) }
    }
}

fn number(line: &[u8]) -> Result<i64, Stop> {
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(Stop::Garbled)
}

/// `-1` is nothing.
fn length(line: &[u8], max: usize) -> Result<Option<usize>, Stop> {
    match number(line)? {
        -1 => Ok(None),
        length => usize::try_from(length).ok().filter(|length| *length <= max).map(Some).ok_or(Stop::Garbled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Option<Reply>, Garbled>, left: usize) {
        let mut buffer = BytesMut::from(text);
        assert_eq!(take(&mut buffer), expected, "{text:?}");
        assert_eq!(buffer.len(), left, "{text:?}");
    }

    #[test]
    fn replies_are_taken_one_by_one() {
        let text = |text: &str| Reply::Text(text.as_bytes().into());
        check("+OK\r\n:1\r\n", Ok(Some(text("OK"))), 4);
        check(":-7\r\n", Ok(Some(Reply::Number(-7))), 0);
        check("-NOSCRIPT No\r\n", Ok(Some(Reply::Error("NOSCRIPT No".into()))), 0);
        check("$4\r\na\r\nb\r\n", Ok(Some(text("a\r\nb"))), 0);
        check("$-1\r\n", Ok(Some(Reply::Nil)), 0);
        check("*2\r\n:1\r\n*0\r\n", Ok(Some(Reply::List(vec![Reply::Number(1), Reply::List(vec![])]))), 0);
    }

    #[test]
    fn a_reply_that_is_not_whole_stays() {
        for part in ["", "+O", "$4\r\nab", "$2\r\nab\r", "*2\r\n:1\r\n"] {
            check(part, Ok(None), part.len());
        }
    }

    #[test]
    fn what_is_no_reply_is_told() {
        let deep = "*1\r\n".repeat(6);
        let long = format!("+{}", "a".repeat(LINE_BYTES_MAX));
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "+OK\n",
            ":\r\n",
            ":9223372036854775808\r\n",
            "$-2\r\n",
            "$1048577\r\n",
            "*4097\r\n",
            "$1\r\nabc\r\n",
            &deep,
            &long,
        ] {
            check(text, Err(Garbled), text.len());
        }
    }
}
