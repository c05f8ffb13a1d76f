//! One connection of the load generator: sends the same request again and again, reads answers.

use std::io;
use std::net::SocketAddr;

use crate::chunked::LastChunk;
use crate::socket::{Socket, Transport};
use crate::{Moved, head};

/// What is sent.
#[derive(Clone, Debug)]
pub struct Request {
    head: Vec<u8>,
    body_bytes: usize,
    filler: Vec<u8>,
}

impl Request {
    /// As a browser would send it: a GET, or with a body a POST.
    pub fn new(path: &str, body_bytes: usize) -> Self {
        let method = if body_bytes == 0 { "GET" } else { "POST" };
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: app.example.com\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36\r\n\
             Accept: application/json, text/plain, */*\r\nAccept-Language: en-US,en;q=0.9\r\n\
             Accept-Encoding: gzip, deflate, br\r\nCookie: sid=5f2c1e9d8a7b4c3e9f0a1b2c3d4e5f60; theme=dark\r\n"
        );
        if body_bytes > 0 {
            head.push_str(&format!("Content-Type: application/octet-stream\r\nContent-Length: {body_bytes}\r\n"));
        }
        head.push_str("\r\n");
        Self { head: head.into_bytes(), body_bytes, filler: vec![b'b'; body_bytes.min(1 << 18)] }
    }
}

/// What has become of the request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not over. There is more to send once there is room, or an answer to come.
    Waiting {
        /// Part of the request is still to be sent.
        unsent: bool,
    },
    /// A whole answer came, with this status.
    Answered(u16),
    /// The connection broke.
    Broken,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    /// The socket.
    pub socket: Socket,
    /// When the request under way was sent, or should have been.
    pub since_ns: u64,
    unsent_head: usize,
    unsent_body: usize,
    status: u16,
    unread: Vec<u8>,
    reading: Reading,
}

#[derive(Clone, Copy, Debug)]
enum Reading {
    Head,
    Length(usize),
    Chunks(LastChunk),
}

impl Client {
    /// Connects.
    pub fn connect(transport: &Transport, address: SocketAddr) -> io::Result<Self> {
        let socket = transport.connect(address)?;
        let unread = Vec::new();
        Ok(Self { socket, since_ns: 0, unsent_head: 0, unsent_body: 0, status: 0, unread, reading: Reading::Head })
    }

    /// Begins a request.
    pub fn send(&mut self, request: &Request, now_ns: u64) -> Progress {
        self.since_ns = now_ns;
        self.unsent_head = request.head.len();
        self.unsent_body = request.body_bytes;
        self.push(request)
    }

    /// Sends what there is room for.
    pub fn push(&mut self, request: &Request) -> Progress {
        loop {
            let (left, bytes) = match self.unsent_head {
                0 => (&mut self.unsent_body, request.filler.as_slice()),
                unsent => (&mut self.unsent_head, request.head.get(request.head.len() - unsent..).unwrap_or_default()),
            };
            let moved = match *left {
                0 => self.socket.flush(),
                left => self.socket.write(bytes.get(..bytes.len().min(left)).unwrap_or_default()),
            };
            match moved {
                Moved::Some(sent) if *left > 0 => *left -= sent,
                Moved::Some(_) | Moved::Later => return self.waiting(),
                Moved::Closed => return Progress::Broken,
            }
        }
    }

    /// Reads until there is nothing, or an answer is whole.
    pub fn pull(&mut self, buffer: &mut [u8]) -> Progress {
        loop {
            match self.socket.read(buffer) {
                Moved::Some(count) => {
                    if let Some(status) = self.take(buffer.get(..count).unwrap_or_default()) {
                        return Progress::Answered(status);
                    }
                }
                Moved::Later => return self.waiting(),
                Moved::Closed => return Progress::Broken,
            }
        }
    }

    fn waiting(&self) -> Progress {
        Progress::Waiting { unsent: self.unsent_head + self.unsent_body > 0 || self.socket.is_behind() }
    }

    /// The status, once the answer is whole.
    fn take(&mut self, bytes: &[u8]) -> Option<u16> {
        let joined;
        let mut bytes = bytes;
        if matches!(self.reading, Reading::Head) {
            if !self.unread.is_empty() {
                self.unread.extend_from_slice(bytes);
                joined = std::mem::take(&mut self.unread);
                bytes = &joined;
            }
            let Some(length) = head::length(bytes) else {
                self.unread = bytes.to_vec();
                return None;
            };
            let head = bytes.get(..length).unwrap_or_default();
            self.status = u16::try_from(head.get(9..12).map_or(0, head::number)).unwrap_or(0);
            self.reading = match head::field(head, "transfer-encoding") {
                Some(_) => Reading::Chunks(LastChunk::new()),
                None => Reading::Length(head::field(head, "content-length").map_or(0, head::number)),
            };
            bytes = bytes.get(length..).unwrap_or_default();
        }
        let is_whole = match &mut self.reading {
            Reading::Head => false,
            Reading::Length(left) => {
                *left = left.saturating_sub(bytes.len());
                *left == 0
            }
            Reading::Chunks(last) => last.ends(bytes),
        };
        if !is_whole {
            return None;
        }
        self.reading = Reading::Head;
        Some(self.status)
    }
}
