//! The socket of a connection, encrypted or not.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::{Moved, moved, read, tls, write};

/// What connections are made over.
#[derive(Clone, Debug)]
pub enum Transport {
    /// TCP.
    Plain,
    /// TLS 1.3 over TCP.
    Tls(Arc<ClientConfig>),
}

/// A socket that never blocks.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP, after its handshake.
    Encrypted(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Transport {
    /// TLS with any server, whatever its certificate.
    pub fn tls() -> io::Result<Self> {
        tls::config().map(Self::Tls).map_err(io::Error::other)
    }

    /// Connects.
    pub fn connect(&self, address: SocketAddr) -> io::Result<Socket> {
        let mut tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        let session = match self {
            Self::Plain => None,
            Self::Tls(config) => {
                let mut session = tls::session(config).map_err(io::Error::other)?;
                session.complete_io(&mut tcp)?;
                Some(session)
            }
        };
        tcp.set_nonblocking(true)?;
        Ok(match session {
            None => Socket::Plain(tcp),
            Some(session) => Socket::Encrypted(Box::new(StreamOwned::new(session, tcp))),
        })
    }
}

impl Socket {
    /// Reads what is there. More may be left that epoll knows nothing of, already decrypted, until
    /// this says `Later`.
    pub fn read(&mut self, buffer: &mut [u8]) -> Moved {
        match self {
            Self::Plain(tcp) => read(tcp, buffer),
            Self::Encrypted(stream) => read(stream, buffer),
        }
    }

    /// Takes what there is room for. What is encrypted is not sent before the next `write` or
    /// `flush`.
    pub fn write(&mut self, bytes: &[u8]) -> Moved {
        match self.flush() {
            Moved::Some(_) => {}
            stopped => return stopped,
        }
        match self {
            Self::Plain(tcp) => write(tcp, bytes),
            // The stream's own `write` would also read if the socket is full, and then nobody would
            // ever be told of what it has read.
            Self::Encrypted(stream) => write(&mut stream.conn.writer(), bytes),
        }
    }

    /// Sends what was taken, and counts it.
    pub fn flush(&mut self) -> Moved {
        let mut sent = 0;
        if let Self::Encrypted(stream) = self {
            while stream.conn.wants_write() {
                match moved(stream.conn.write_tls(&mut stream.sock)) {
                    Moved::Some(count) => sent += count,
                    stopped => return stopped,
                }
            }
        }
        Moved::Some(sent)
    }

    /// Whether something was taken that is not sent.
    pub fn is_behind(&self) -> bool {
        matches!(self, Self::Encrypted(stream) if stream.conn.wants_write())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(tcp) => tcp.as_fd(),
            Self::Encrypted(stream) => stream.sock.as_fd(),
        }
    }
}
