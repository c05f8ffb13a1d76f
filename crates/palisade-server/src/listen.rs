//! Listening sockets, bound before any worker starts.
//!
//! Each worker has a socket of its own on the shared port (`SO_REUSEPORT`), so that the kernel
//! spreads connections and no worker waits for another's lock. The port is first bound alone and
//! given back: otherwise a second process of the same user would silently share our traffic.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;

use socket2::{Domain, Protocol, Socket, Type};

/// The name of the listener for requests to the application.
pub(crate) const PUBLIC: &str = "public";

/// Connections that the kernel keeps for us until a worker accepts them.
const BACKLOG: i32 = 4096;

/// One listening socket for each worker, all on one address.
#[derive(Debug)]
pub struct Sockets {
    address: SocketAddr,
    sockets: Vec<TcpListener>,
}

/// Listening was not possible.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address could not be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    Alone,
    Shared,
}

impl Sockets {
    /// Binds `address` once for each worker. With port 0 the system chooses one, the same for all.
    ///
    /// # Errors
    ///
    /// If the address is not ours, or in use, or its port needs a privilege.
    pub fn bind(address: SocketAddr, workers: NonZeroUsize) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Bind { address, source };
        if address.port() != 0 {
            drop(open(address, Port::Alone).map_err(failed)?);
        }
        let first = open(address, Port::Shared).map_err(failed)?;
        let bound = first.local_addr().map_err(failed)?;
        let mut sockets = vec![first];
        for _ in 1..workers.get() {
            sockets.push(open(bound, Port::Shared).map_err(failed)?);
        }
        for socket in &sockets {
            socket2::SockRef::from(socket).listen(BACKLOG).map_err(failed)?;
        }
        Ok(Self { address: bound, sockets })
    }

    /// The address with the port that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The sockets, one for each worker.
    pub fn into_each(self) -> Vec<TcpListener> {
        self.sockets
    }
}

fn open(address: SocketAddr, port: Port) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    // A restart must not wait for connections of the last run that are still in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(port == Port::Shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn workers(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    #[test]
    fn workers_have_sockets_of_one_port() {
        let sockets = Sockets::bind(ANY, workers(3)).unwrap();
        let address = sockets.address();
        assert_ne!(address.port(), 0);
        let each = sockets.into_each();
        assert_eq!(each.len(), 3);
        assert!(each.iter().all(|socket| socket.local_addr().unwrap() == address));
        TcpStream::connect(address).unwrap();
    }

    #[test]
    fn a_port_that_another_shares_is_in_use_all_the_same() {
        let first = Sockets::bind(ANY, workers(1)).unwrap();
        let second = Sockets::bind(first.address(), workers(1));
        assert!(matches!(second, Err(ListenError::Bind { source, .. }) if source.kind() == io::ErrorKind::AddrInUse));
    }
}
