//! One blocking connection, and answers read strictly.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub(super) struct Connection {
    socket: TcpStream,
    /// Read, and not yet used.
    read: Vec<u8>,
}

/// An answer; its body was read and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body_bytes: usize,
    /// Whether another request may follow.
    pub(super) keeps: bool,
}

/// Whether an answer's head is followed by its body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Follows,
    Missing,
}

impl Connection {
    pub(super) fn open(to: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, read: Vec::new() })
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Reads one answer to its end.
    pub(super) fn answer(&mut self, body: Body) -> io::Result<Answer> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head: Vec<u8> = self.read.drain(..end).collect();
        let head = std::str::from_utf8(&head).map_err(|_| malformed("the head"))?;
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap_or_default();
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| malformed(line))?;
        let (mut length, mut keeps) = (None, true);
        for line in lines {
            let (name, value) = line.split_once(": ").ok_or_else(|| malformed(line))?;
            match name.to_ascii_lowercase().as_str() {
                "content-length" if length.is_none() => length = value.parse().ok(),
                "content-length" | "transfer-encoding" => return Err(malformed(line)),
                "connection" => keeps &= !value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        let length = match body {
            Body::Follows => length.ok_or_else(|| malformed("no length"))?,
            Body::Missing => 0,
        };
        self.skip(length)?;
        Ok(Answer { status, body_bytes: length, keeps })
    }

    /// So many bytes, thrown away.
    pub(super) fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        while bytes > 0 {
            if self.read.is_empty() {
                self.more()?;
            }
            let here = bytes.min(self.read.len());
            self.read.drain(..here);
            bytes -= here;
        }
        Ok(())
    }

    /// Whether the other side closes without another word.
    pub(super) fn closes(&mut self) -> bool {
        self.read.is_empty() && matches!(self.socket.read(&mut [0; 1]), Ok(0) | Err(_))
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        let count = self.socket.read(&mut buffer)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.read.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(())
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("malformed answer: {what}"))
}
