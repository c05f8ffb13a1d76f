//! A scripted upstream: an application that does exactly what a test says.
//!
//! It speaks HTTP/1.1 over plain sockets and no library, so that it can break every rule. A script
//! looks at each request's head and answers with an [`Answer`]: steps such as reading the body,
//! sending bytes, pausing, cutting or resetting the connection. It runs in a thread of its own
//! with real time, so a test may use any runtime, none, or a paused clock.
//!
//! It counts requests and connections and keeps every request as it came. To see what a client
//! did, [`Upstream::until`] waits for a condition with a limit; nothing here sleeps to wait.

mod answer;
mod connection;
mod cue;
mod digest;
mod websocket;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub use answer::Answer;
pub use cue::Cue;
pub use digest::digest;

/// What one request looked like when its head was complete.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which request it is, of all, from 0.
    pub number: usize,
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// The head's bytes, with the empty line.
    pub head: Vec<u8>,
}

/// A running upstream. Dropping it closes its port and all its connections at once, as a killed
/// process would.
#[derive(Debug)]
pub struct Upstream {
    address: String,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// An address of the loopback interface at which connections are refused, and that nobody else
/// gets. An upstream may be started there, stopped and started again.
#[derive(Debug)]
pub struct Nowhere {
    address: SocketAddr,
    /// Bound and not listening: that is what refuses, and what keeps the port.
    _socket: TcpSocket,
}

/// What a client did so far.
#[derive(Debug, Default)]
pub struct Seen {
    requests: AtomicUsize,
    accepted: AtomicUsize,
    closed: AtomicUsize,
    bodies: Mutex<Vec<Body>>,
    heads: Mutex<Vec<Request>>,
}

/// A request's body, when its end was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Which request it belonged to.
    pub number: usize,
    /// How many bytes it had.
    pub length: u64,
    /// The [`digest`] of its bytes.
    pub digest: u64,
}

type Script = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

impl Request {
    /// The method.
    pub fn method(&self) -> String {
        self.start_line().split(' ').next().unwrap_or_default().to_owned()
    }

    /// The target, as it was sent.
    pub fn target(&self) -> String {
        self.start_line().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// Every value of a field, in order.
    pub fn values(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.head);
        let lines = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
    }

    /// The value of a field that is sent once.
    pub fn value(&self, name: &str) -> Option<String> {
        self.values(name).into_iter().next()
    }

    fn start_line(&self) -> String {
        String::from_utf8_lossy(&self.head).split("\r\n").next().unwrap_or_default().to_owned()
    }
}

impl Upstream {
    /// Starts one on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port could be bound.
    pub fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script)
    }

    /// Starts one at an address, for instance where another one was stopped.
    ///
    /// # Errors
    /// When the address could not be bound.
    pub fn start_at(
        address: SocketAddr,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::run(Listener::Tcp(address), Arc::new(script))
    }

    /// Starts one on a Unix socket.
    ///
    /// # Errors
    /// When the path could not be bound.
    pub fn start_unix(path: &Path, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> io::Result<Self> {
        Self::run(Listener::Unix(path.to_owned()), Arc::new(script))
    }

    /// A place at which nobody listens.
    ///
    /// # Errors
    /// When no port could be bound.
    pub fn nowhere() -> io::Result<Nowhere> {
        // Found without sharing, so that the port is nobody else's.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(Nowhere { address, _socket: bind(address)? })
    }

    fn run(listener: Listener, script: Script) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (listener, address) = {
            let _inside = runtime.enter();
            listener.listen()?
        };
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = oneshot::channel();
        let inside = Arc::clone(&seen);
        let thread = thread::Builder::new().name("upstream".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = accept(listener, script, inside) => {}
                }
            });
        })?;
        Ok(Self { address, seen, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens: `127.0.0.1:PORT`, or the socket's path.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a client did so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Waits, blocking the thread, until `reached` holds for what was seen; false after `limit`.
    pub fn until(&self, limit: Duration, reached: impl Fn(&Seen) -> bool) -> bool {
        let start = Instant::now();
        while !reached(&self.seen) {
            if start.elapsed() > limit {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Waits like [`Self::until`], without blocking the runtime that calls it.
    pub async fn reached(&self, limit: Duration, reached: impl Fn(&Seen) -> bool) -> bool {
        let start = Instant::now();
        while !reached(&self.seen) {
            if start.elapsed() > limit {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        true
    }
}

impl Nowhere {
    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl fmt::Display for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself; then nobody listens for this.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Seen {
    /// Requests whose head was complete.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Connections accepted.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections accepted and not closed by either side.
    pub fn open(&self) -> usize {
        self.connections().saturating_sub(self.closed.load(Ordering::SeqCst))
    }

    /// The requests, in the order in which their heads were complete.
    pub fn heads(&self) -> Vec<Request> {
        lock(&self.heads).clone()
    }

    /// The bodies that were read to their end.
    pub fn bodies(&self) -> Vec<Body> {
        lock(&self.bodies).clone()
    }

    fn request(&self, connection: usize, head: Vec<u8>) -> Request {
        let mut heads = lock(&self.heads);
        let request = Request { number: self.requests(), connection, head };
        heads.push(request.clone());
        self.requests.fetch_add(1, Ordering::SeqCst);
        request
    }

    fn body(&self, body: Body) {
        lock(&self.bodies).push(body);
    }
}

enum Listener {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn listen(self) -> io::Result<(Listening, String)> {
        match self {
            Self::Tcp(address) => {
                let listener = bind(address)?.listen(1024)?;
                let address = listener.local_addr()?.to_string();
                Ok((Listening::Tcp(listener), address))
            }
            Self::Unix(path) => Ok((Listening::Unix(UnixListener::bind(&path)?), path.display().to_string())),
        }
    }
}

/// Binds an address, also if it is bound already by this process's user.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(listener: Listening, script: Script, seen: Arc<Seen>) -> io::Result<()> {
    // Dropping the set ends every connection.
    let mut connections = JoinSet::new();
    match listener {
        Listening::Tcp(listener) => loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let number = seen.accepted.fetch_add(1, Ordering::SeqCst);
            connections.spawn(serve(stream, number, Arc::clone(&script), Arc::clone(&seen)));
            while connections.try_join_next().is_some() {}
        },
        Listening::Unix(listener) => loop {
            let (stream, _) = listener.accept().await?;
            let number = seen.accepted.fetch_add(1, Ordering::SeqCst);
            connections.spawn(serve(stream, number, Arc::clone(&script), Arc::clone(&seen)));
            while connections.try_join_next().is_some() {}
        },
    }
}

async fn serve<S: connection::Socket>(stream: S, number: usize, script: Script, seen: Arc<Seen>) {
    // What goes wrong with a connection is what the test is about; it sees the other end.
    let _ = connection::serve(stream, number, &script, &seen).await;
    seen.closed.fetch_add(1, Ordering::SeqCst);
}

impl connection::Socket for TcpStream {
    fn reset(self) {
        let _ = self.set_zero_linger();
    }
}

impl connection::Socket for tokio::net::UnixStream {
    fn reset(self) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
