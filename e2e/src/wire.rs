//! A client that sends exactly the bytes it is given and reads answers strictly.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::within;

/// A connection.
pub struct Wire<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

/// An answer, complete.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its status.
    pub status: u16,
    /// Its fields in order, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Its body, without chunk framing.
    pub body: Vec<u8>,
}

/// Where the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes.
    Length(usize),
    /// After the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

impl Received {
    /// The values of a field, joined.
    pub fn field(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The problem document, checked to be one and to agree with the answer around it.
    pub fn problem(&self) -> Value {
        assert_eq!(self.field("content-type").as_deref(), Some("application/problem+json"), "{self:?}");
        let problem: Value =
            serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()));
        assert_eq!(problem["status"], self.status, "{problem}");
        assert_eq!(problem["request_id"].as_str(), self.field("x-request-id").as_deref(), "{problem}");
        problem
    }

    /// `429 limits.rate`: status and code of a problem document.
    pub fn refusal(&self) -> String {
        format!("{} {}", self.status, self.problem()["code"].as_str().unwrap_or("without code"))
    }

    /// Whether the connection may carry another request.
    pub fn keeps(&self) -> bool {
        !self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn framing(&self) -> io::Result<Framing> {
        let coding = self.field("transfer-encoding");
        let length = self.field("content-length");
        match (coding.as_deref(), length) {
            (Some("chunked"), None) => Ok(Framing::Chunked),
            (None, Some(length)) => length.parse().map(Framing::Length).map_err(|_| malformed("content-length")),
            (None, None) if matches!(self.status, 100..200 | 204 | 304) => Ok(Framing::Length(0)),
            (None, None) => Ok(Framing::Close),
            (Some(_), _) => Err(malformed("transfer-encoding")),
        }
    }
}

impl Wire {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Self {
        Self::try_open(address).await.unwrap_or_else(|error| panic!("connecting to {address}: {error}"))
    }

    /// Connects, if it can.
    pub async fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = within("connecting", TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Speaks over a stream that is connected already.
    pub fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within("sending", self.stream.write_all(bytes.as_ref())).await
    }

    /// Says that no more bytes will come.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// A GET and its answer.
    pub async fn get(&mut self, path: &str) -> io::Result<Received> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await?;
        self.answer().await
    }

    /// Sends a request and reads its answer at the same time, as it must be when the answer begins
    /// before the request has ended.
    pub async fn exchange(&mut self, request: &[u8]) -> (io::Result<()>, io::Result<Received>) {
        let (reader, mut writer) = tokio::io::split(&mut self.stream);
        let mut reading =
            Wire { stream: tokio::io::join(reader, tokio::io::sink()), buffer: std::mem::take(&mut self.buffer) };
        let both = tokio::join!(within("sending", writer.write_all(request)), reading.answer());
        self.buffer = reading.buffer;
        both
    }

    /// The next final answer. One that answers a HEAD is read by [`Wire::head`].
    pub async fn answer(&mut self) -> io::Result<Received> {
        let mut answer = self.head().await?;
        while matches!(answer.status, 100..200) && answer.status != 101 {
            answer = self.head().await?;
        }
        match answer.framing()? {
            Framing::Length(length) => answer.body = self.exactly(length).await?,
            Framing::Chunked => {
                while let Some(chunk) = self.chunk().await? {
                    answer.body.extend(chunk);
                }
            }
            Framing::Close => answer.body = self.end().await?,
        }
        Ok(answer)
    }

    /// The head of the next answer, interim ones included.
    pub async fn head(&mut self) -> io::Result<Received> {
        let head = self.until(b"\r\n\r\n").await?;
        let text = String::from_utf8(head).map_err(|_| malformed("head"))?;
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let start = lines.next().unwrap_or_default();
        let status = ["HTTP/1.1 ", "HTTP/1.0 "].iter().find_map(|version| start.strip_prefix(version)?.get(..3));
        let status = status.and_then(|status| status.parse().ok()).ok_or_else(|| malformed(&text))?;
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(line))?;
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        Ok(Received { status, fields: fields.collect::<io::Result<_>>()?, body: Vec::new() })
    }

    /// The next chunk of a chunked body; `None` is its end.
    pub async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.until(b"\r\n").await?;
        let size = std::str::from_utf8(&line).ok().and_then(|line| usize::from_str_radix(line.trim_end(), 16).ok());
        let size = size.ok_or_else(|| malformed("chunk size"))?;
        let mut data = self.exactly(size + 2).await?;
        if data.split_off(size) != b"\r\n" {
            return Err(malformed("chunk"));
        }
        Ok((size > 0).then_some(data))
    }

    /// Exactly this many bytes.
    pub async fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.more().await?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// All bytes up to the end of the connection. A reset is an error.
    pub async fn end(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.more().await {
                Ok(()) => (),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(std::mem::take(&mut self.buffer)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the other side ends the connection, in whichever way, without sending more.
    pub async fn closes(&mut self) -> bool {
        match self.end().await {
            Ok(rest) => rest.is_empty(),
            Err(_) => self.buffer.is_empty(),
        }
    }

    async fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return Ok(self.buffer.drain(..at + mark.len()).collect());
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        match within("reading", self.stream.read_buf(&mut self.buffer)).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("malformed answer: {what}"))
}
