//! One connection of the scripted upstream: reads requests, takes the steps of their answers.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::answer::Step;
use super::digest::Digest;
use super::{Body, Request, Script, Seen, websocket};

/// A connected socket that can be reset.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Closes it with a reset, where the kind of socket knows one.
    fn reset(self);
}

/// The socket and what was read from it and not yet used.
pub(super) struct Wire<S> {
    pub(super) socket: S,
    pub(super) read: Vec<u8>,
}

/// How the request says where its body ends.
#[derive(Clone, Copy)]
enum Framing {
    Length(u64),
    Chunked,
}

/// The limit of a head; a client that sends more is cut off.
const HEAD_MAX: usize = 1 << 20;

pub(super) async fn serve<S: Socket>(socket: S, number: usize, script: &Script, seen: &Seen) -> io::Result<()> {
    let mut wire = Wire { socket, read: Vec::new() };
    while let Some(head) = wire.head().await? {
        let request = seen.request(number, head);
        let mut body = BodyReader::new(&request);
        for step in script(&request).0 {
            match step {
                Step::Read => body.finish(&mut wire, seen).await.map(drop)?,
                Step::Send(bytes) => wire.socket.write_all(&bytes).await?,
                Step::Pause(pause) => wire.pause(tokio::time::sleep(pause)).await?,
                Step::Wait(cue) => wire.pause(cue.given()).await?,
                Step::Close => return wire.socket.shutdown().await,
                Step::Reset => {
                    wire.socket.reset();
                    return Ok(());
                }
                Step::Silence => return wire.drain().await,
                Step::UntilEnd => wire.drain().await?,
                Step::Echo => echo(&mut wire, &mut body, seen).await?,
                Step::Mirror => mirror(&mut wire, &mut body, seen).await?,
                Step::WebSocket => return websocket::serve(&mut wire, &request).await,
            }
        }
        // A body that no step read must not be taken for the next request.
        if !body.ended {
            return wire.drain().await;
        }
    }
    Ok(())
}

async fn echo<S: Socket>(wire: &mut Wire<S>, body: &mut BodyReader, seen: &Seen) -> io::Result<()> {
    let bytes = body.finish(wire, seen).await?;
    let digest = body.digest.0;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Digest: {digest:016x}\r\n\r\n", bytes.len());
    wire.socket.write_all(head.as_bytes()).await?;
    wire.socket.write_all(&bytes).await
}

async fn mirror<S: Socket>(wire: &mut Wire<S>, body: &mut BodyReader, seen: &Seen) -> io::Result<()> {
    wire.socket.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    while let Some(part) = body.next(wire, seen).await? {
        let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), &part, b"\r\n"].concat();
        wire.socket.write_all(&chunk).await?;
    }
    wire.socket.write_all(b"0\r\n\r\n").await
}

impl<S: Socket> Wire<S> {
    /// The next request's head; `None` when the client closed before one.
    async fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                return Ok(Some(self.take(end + 4)));
            }
            if self.read.len() > HEAD_MAX {
                return Err(io::Error::other("head too large"));
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Waits for `end`, or for the client to close the connection.
    async fn pause(&mut self, end: impl Future<Output = ()>) -> io::Result<()> {
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                read = self.more() => if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }

    /// Reads and forgets until the client closes the connection.
    async fn drain(&mut self) -> io::Result<()> {
        while self.more().await? > 0 {
            self.read.clear();
        }
        Ok(())
    }

    pub(super) async fn more(&mut self) -> io::Result<usize> {
        self.read.reserve(16 * 1024);
        self.socket.read_buf(&mut self.read).await
    }

    pub(super) fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.read.split_off(count.min(self.read.len()));
        std::mem::replace(&mut self.read, rest)
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.read, b"\r\n") {
                let mut line = self.take(end + 2);
                line.truncate(end);
                return Ok(line);
            }
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Reads one request's body part by part.
struct BodyReader {
    number: usize,
    framing: Framing,
    /// Bytes left of the body, or of the current chunk.
    left: u64,
    length: u64,
    digest: Digest,
    ended: bool,
}

impl BodyReader {
    fn new(request: &Request) -> Self {
        let chunked = request.values("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked"));
        let length = request.value("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let framing = if chunked { Framing::Chunked } else { Framing::Length(length) };
        let left = if chunked { 0 } else { length };
        let ended = matches!(framing, Framing::Length(0));
        Self { number: request.number, framing, left, length: 0, digest: Digest::default(), ended }
    }

    async fn finish<S: Socket>(&mut self, wire: &mut Wire<S>, seen: &Seen) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(part) = self.next(wire, seen).await? {
            all.extend_from_slice(&part);
        }
        Ok(all)
    }

    async fn next<S: Socket>(&mut self, wire: &mut Wire<S>, seen: &Seen) -> io::Result<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        if self.left == 0 && matches!(self.framing, Framing::Chunked) {
            self.left = self.chunk_size(wire).await?;
        }
        if self.left == 0 {
            self.ended = true;
            seen.body(Body { number: self.number, length: self.length, digest: self.digest.0 });
            return Ok(None);
        }
        if wire.read.is_empty() && wire.more().await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let part = wire.take(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= part.len() as u64;
        self.length += part.len() as u64;
        self.digest = self.digest.with(&part);
        if self.left == 0 && matches!(self.framing, Framing::Chunked) {
            wire.line().await?;
        }
        Ok(Some(part))
    }

    async fn chunk_size<S: Socket>(&mut self, wire: &mut Wire<S>) -> io::Result<u64> {
        let line = wire.line().await?;
        let text = String::from_utf8_lossy(&line);
        let size = u64::from_str_radix(text.trim(), 16).map_err(io::Error::other)?;
        // The trailer section after the last chunk.
        while size == 0 && !wire.line().await?.is_empty() {}
        Ok(size)
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}
