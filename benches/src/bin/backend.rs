//! The application behind a proxy that is measured: `backend [--spin]`.
//!
//! Listens on a free port of loopback and prints it. `GET /bytes/N` answers N bytes, anything else
//! 1 KiB of JSON after the request's body was read, and `HEAD` its head alone.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use benches::chunked::LastChunk;
use benches::events::{Events, Interest, Ready};
use benches::options::Options;
use benches::{Moved, head, read, write};

const LISTENER: usize = usize::MAX;

fn main() -> io::Result<()> {
    let mut events = Events::new(Options::typed().wait())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    events.watch(&listener, LISTENER)?;
    println!("{}", listener.local_addr()?);
    io::stdout().flush()?;

    let answers = Answers::new();
    let mut buffer = vec![0; 1 << 18];
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free = Vec::new();
    loop {
        for ready in events.wait(None)? {
            if ready.token == LISTENER {
                accept(&listener, &events, &mut connections, &mut free)?;
            } else if let Some(Some(connection)) = connections.get_mut(ready.token)
                && connection.serve(ready, &events, &mut buffer, &answers)? == State::Closed
                && let Some(connection) = connections.get_mut(ready.token)
            {
                *connection = None;
                free.push(ready.token);
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    events: &Events,
    connections: &mut Vec<Option<Connection>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    while let Ok((socket, _)) = listener.accept() {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let token = free.pop().unwrap_or(connections.len());
        events.watch(&socket, token)?;
        let connection = Connection {
            socket,
            unread: Vec::new(),
            reading: Reading::Head,
            unsent: Vec::new(),
            filler: 0,
            part: Part::All,
            interest: Interest::Read,
        };
        match connections.get_mut(token) {
            Some(place) => *place = Some(connection),
            None => connections.push(Some(connection)),
        }
    }
    Ok(())
}

/// Answers, rendered once.
struct Answers {
    small: Vec<u8>,
    /// Its head.
    head: Vec<u8>,
    filler: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let body = format!(r#"{{"status":"ok","data":"{}"}}"#, "x".repeat(1_024 - 25));
        let small = format!(
            "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Tue, 24 Nov 2026 00:00:00 GMT\r\n\
             Content-Type: application/json\r\nCache-Control: private, no-store\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let head = small.as_bytes().get(..small.len() - body.len()).unwrap_or_default().to_vec();
        Self { small: small.into_bytes(), head, filler: vec![b'z'; 1 << 18] }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

enum Reading {
    Head,
    Length(usize),
    Chunks(LastChunk),
}

struct Connection {
    socket: TcpStream,
    /// The beginning of a head.
    unread: Vec<u8>,
    reading: Reading,
    /// What did not fit into the socket, and how many bytes of filler follow it.
    unsent: Vec<u8>,
    filler: usize,
    part: Part,
    interest: Interest,
}

/// What of the small answer is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Head,
}

impl Connection {
    fn serve(&mut self, ready: Ready, events: &Events, buffer: &mut [u8], answers: &Answers) -> io::Result<State> {
        let mut state = State::Open;
        if ready.writable {
            state = self.flush(answers);
        }
        if ready.readable && state == State::Open {
            state = match read(&mut self.socket, buffer) {
                Moved::Some(count) => self.take(buffer.get(..count).unwrap_or_default(), answers),
                Moved::Later => State::Open,
                Moved::Closed => State::Closed,
            };
        }
        let is_sent = self.unsent.is_empty() && self.filler == 0;
        let interest = if is_sent { Interest::Read } else { Interest::ReadAndWrite };
        if state == State::Open && interest != self.interest {
            self.interest = interest;
            events.change(&self.socket, ready.token, interest)?;
        }
        Ok(state)
    }

    fn take(&mut self, bytes: &[u8], answers: &Answers) -> State {
        let joined;
        let mut bytes = bytes;
        if !self.unread.is_empty() {
            self.unread.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.unread);
            bytes = &joined;
        }
        while !bytes.is_empty() {
            let (taken, is_whole) = match &mut self.reading {
                Reading::Length(left) => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    (taken, *left == 0)
                }
                // A client that waits for its answer sends nothing after its last chunk.
                Reading::Chunks(last) => (bytes.len(), last.ends(bytes)),
                Reading::Head => match head::length(bytes) {
                    None => {
                        self.unread = bytes.to_vec();
                        return State::Open;
                    }
                    Some(length) => (length, self.begin(bytes.get(..length).unwrap_or_default())),
                },
            };
            bytes = bytes.get(taken..).unwrap_or_default();
            if is_whole && self.answer(answers) == State::Closed {
                return State::Closed;
            }
        }
        State::Open
    }

    /// Looks at a head; whether the request is whole with it.
    fn begin(&mut self, head: &[u8]) -> bool {
        if let Some(path) = head.strip_prefix(b"GET /bytes/") {
            let digits = path.split(|byte| *byte == b' ').next().unwrap_or_default();
            self.filler = head::number(digits);
        }
        self.part = if head.starts_with(b"HEAD ") { Part::Head } else { Part::All };
        self.reading = match head::field(head, "content-length").map(head::number) {
            Some(length) if length > 0 => Reading::Length(length),
            None if head::field(head, "transfer-encoding").is_some() => Reading::Chunks(LastChunk::new()),
            Some(_) | None => Reading::Head,
        };
        matches!(self.reading, Reading::Head)
    }

    fn answer(&mut self, answers: &Answers) -> State {
        self.reading = Reading::Head;
        let small = match self.part {
            Part::All => &answers.small,
            Part::Head => &answers.head,
        };
        if self.filler > 0 {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
                self.filler
            );
            self.unsent.extend_from_slice(head.as_bytes());
        } else if self.unsent.is_empty() {
            // The usual case: one write, nothing copied.
            match write(&mut self.socket, small) {
                Moved::Some(sent) => self.unsent.extend_from_slice(small.get(sent..).unwrap_or_default()),
                Moved::Later => self.unsent.extend_from_slice(small),
                Moved::Closed => return State::Closed,
            }
        } else {
            self.unsent.extend_from_slice(small);
        }
        self.flush(answers)
    }

    fn flush(&mut self, answers: &Answers) -> State {
        loop {
            let is_filler = self.unsent.is_empty();
            let bytes = if is_filler {
                answers.filler.get(..self.filler.min(answers.filler.len())).unwrap_or_default()
            } else {
                &self.unsent
            };
            if bytes.is_empty() {
                return State::Open;
            }
            match write(&mut self.socket, bytes) {
                Moved::Some(sent) if is_filler => self.filler -= sent,
                Moved::Some(sent) => drop(self.unsent.drain(..sent)),
                Moved::Later => return State::Open,
                Moved::Closed => return State::Closed,
            }
        }
    }
}
