//! Workers: one thread, one runtime, one service each.
//!
//! A worker has its own listening sockets, accepts, and serves what it accepted until it is closed.
//! Nothing of a request ever leaves its thread, so what a worker builds for itself (upstream
//! connections, log buffers) needs no lock. The rest of the process reaches it through a bounded
//! channel.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use palisade_tower::clock;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::accept::{self, Door, Entrance};
use crate::connection::{Registry, Service, Turns};
use crate::tick::Tick;
use crate::tls::Tls;

/// A running worker.
#[derive(Debug)]
pub struct Worker<S> {
    commands: mpsc::Sender<Command<S>>,
    tick: Arc<Tick>,
    thread: JoinHandle<()>,
}

/// One listener's socket for one worker.
#[derive(Debug)]
pub struct Listener {
    /// Its name in records and labels.
    pub name: &'static str,
    /// Listening already.
    pub socket: TcpListener,
    /// Ends TLS, if set.
    pub tls: Option<Arc<Tls>>,
}

/// What a worker is told.
#[expect(clippy::type_complexity, reason = "a name for the closure would say less than its type")]
pub enum Command<S> {
    /// Do something with the worker's service, between requests.
    Tell(Box<dyn FnOnce(&Rc<S>) + Send>),
    /// Accept nothing more, and let every connection end with the request it has.
    Drain,
}

/// A worker couldn't start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No thread.
    #[error("cannot start the thread of worker {index}")]
    Thread {
        /// Which worker.
        index: usize,
        /// What the system said.
        source: io::Error,
    },
    /// No runtime, or a socket that it can't watch.
    #[error("cannot watch sockets in worker {index}")]
    Runtime {
        /// Which worker.
        index: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The worker is gone.
    #[error("the worker has ended")]
    Gone,
}

/// Commands that may wait. They come from a reload or a signal, one at a time.
const COMMANDS_MAX: usize = 16;

impl<S: Service> Worker<S> {
    /// Starts worker `index`. `init` makes its service, on its thread and within its runtime, where
    /// it may also spawn local tasks.
    ///
    /// # Errors
    ///
    /// If the system has no thread left, or no runtime can be made.
    pub fn start(
        index: usize,
        listeners: Vec<Listener>,
        door: Arc<Door>,
        init: impl FnOnce() -> S + Send + 'static,
    ) -> Result<Self, WorkerError> {
        let failed = |source| WorkerError::Runtime { index, source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let entrances = {
            let _inside = runtime.enter();
            listeners.into_iter().map(Listener::watch).collect::<io::Result<Vec<_>>>().map_err(failed)?
        };
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let tick = Arc::new(Tick::new(clock::monotonic()));
        let beats = Arc::clone(&tick);
        let thread = thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let local = LocalSet::new();
                local.block_on(&runtime, work(entrances, door, inbox, beats, init));
                // What is still open ends here: tasks are dropped with the set.
            })
            .map_err(|source| WorkerError::Thread { index, source })?;
        Ok(Self { commands, tick, thread })
    }

    /// The worker's heartbeat.
    pub fn tick(&self) -> &Arc<Tick> {
        &self.tick
    }

    /// The way to tell the worker something.
    pub fn sender(&self) -> mpsc::Sender<Command<S>> {
        self.commands.clone()
    }

    /// Ends the worker, whatever is still open, and waits for its thread. Blocks.
    ///
    /// # Errors
    ///
    /// If it had ended before, by a panic outside of any request.
    pub fn stop(self) -> Result<(), WorkerError> {
        drop(self.commands);
        self.thread.join().map_err(|_| WorkerError::Gone)
    }
}

impl Listener {
    fn watch(self) -> io::Result<Entrance> {
        self.socket.set_nonblocking(true)?;
        let socket = tokio::net::TcpListener::from_std(self.socket)?;
        Ok(Entrance { name: self.name, socket, tls: self.tls })
    }
}

async fn work<S: Service>(
    entrances: Vec<Entrance>,
    door: Arc<Door>,
    mut inbox: mpsc::Receiver<Command<S>>,
    tick: Arc<Tick>,
    init: impl FnOnce() -> S,
) {
    let service = Rc::new(init());
    let registry = Rc::new(Registry::default());
    let (deadlines, turns) = (palisade_proxy::Deadlines::start(), Turns::start());
    tokio::task::spawn_local(async move { tick.run().await });
    for entrance in entrances {
        let (door, service) = (Arc::clone(&door), Rc::clone(&service));
        let (registry, deadlines, turns) = (Rc::clone(&registry), Rc::clone(&deadlines), Rc::clone(&turns));
        // It ends with the worker, or when that drains.
        tokio::task::spawn_local(accept::run(entrance, door, service, registry, deadlines, turns));
    }
    // The channel closes when the worker is stopped.
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Tell(tell) => tell(&service),
            Command::Drain => registry.drain(),
        }
    }
}

impl<S> fmt::Debug for Command<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tell(_) => "Tell",
            Self::Drain => "Drain",
        })
    }
}

#[cfg(test)]
mod tests;
