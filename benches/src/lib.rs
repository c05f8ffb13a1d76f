//! What stands on both sides of a proxy while it is measured: an application and a load generator.
//!
//! Both have to cost far less than any proxy, else they are what is measured. So: one thread, epoll,
//! blocking nowhere but in TLS handshakes, no HTTP library, and only the HTTP/1.1 that a well-behaved
//! proxy sends. They trust their input and keep to loopback; nothing else may use them.

pub mod chunked;
pub mod client;
pub mod events;
pub mod head;
pub mod histogram;
pub mod limiter;
pub mod options;
pub mod socket;
mod tls;

use std::io::{ErrorKind, Read, Write};

/// What reading or writing a socket came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// So many bytes.
    Some(usize),
    /// None for now.
    Later,
    /// The connection is over.
    Closed,
}

/// Reads what is there.
pub fn read(socket: &mut impl Read, buffer: &mut [u8]) -> Moved {
    moved(socket.read(buffer))
}

/// Writes what fits.
pub fn write(socket: &mut impl Write, bytes: &[u8]) -> Moved {
    moved(socket.write(bytes))
}

fn moved(result: std::io::Result<usize>) -> Moved {
    match result {
        Ok(0) => Moved::Closed,
        Ok(count) => Moved::Some(count),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Moved::Later,
        Err(_) => Moved::Closed,
    }
}
