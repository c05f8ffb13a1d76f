//! Accepting connections: one loop per worker and listener.
//!
//! Before each, it is asked whether there may be one more at all: memory and descriptors pause
//! accepting, so that clients wait in the kernel's queue and find another instance. A connection
//! that its own count doesn't allow is accepted and closed at once.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use palisade_proxy::{Deadlines, Engine};
use rustix::io::Errno;
use tokio::net::TcpListener;

use crate::admission::{Admission, AdmissionRule};
use crate::connection::{self, Registry, Service, Surroundings, Turns};
use crate::counters::{ConnectionLimit, Counters, ListenerCounters};
use crate::descriptors::Descriptors;
use crate::limits::Limits;
use crate::memory::{Memory, Pressure};
use crate::swap::Swap;
use crate::tls::Tls;

/// What all workers ask before they accept: one for the process.
#[derive(Debug)]
pub struct Door {
    /// Limits of connections that are accepted from now on.
    pub limits: Swap<Limits>,
    /// What happened.
    pub counters: ListenerCounters,
    /// Who speaks HTTP/1.1.
    pub http1: Engine,
    /// Connections that are open.
    pub admission: Arc<Admission>,
    /// Memory.
    pub memory: Arc<Memory>,
    /// File descriptors.
    pub descriptors: Descriptors,
}

/// One listener of a worker.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) name: &'static str,
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Bytes of an answer that wait in the kernel for a client's window.
const NOTSENT_BYTES: u32 = 128 << 10;

/// How long accepting pauses when something runs out.
const PAUSE: Duration = Duration::from_millis(100);

/// How often memory and descriptors are measured.
const SAMPLE: Duration = Duration::from_secs(1);

impl Door {
    /// With these limits, for the process as it is now.
    pub fn new(limits: Limits, rule: AdmissionRule, http1: Engine) -> Self {
        Self {
            http1,
            limits: Swap::new(limits),
            counters: ListenerCounters::default(),
            admission: Arc::new(Admission::new(rule)),
            memory: Arc::default(),
            descriptors: Descriptors::of_process(),
        }
    }

    /// Measures memory and descriptors every second, for as long as it runs. For the runtime of
    /// slow things: it reads files.
    pub async fn keep_measured(&self) {
        loop {
            self.memory.sample();
            self.descriptors.sample();
            tokio::time::sleep(SAMPLE).await;
        }
    }

    /// What forbids to accept, if anything does.
    fn closed(&self) -> Option<ConnectionLimit> {
        if self.memory.pressure() >= Pressure::AcceptNone {
            Some(ConnectionLimit::Memory)
        } else if !self.descriptors.allow_accept() {
            Some(ConnectionLimit::Descriptors)
        } else {
            None
        }
    }
}

/// Accepts until the worker drains.
pub(crate) async fn run<S: Service>(
    entrance: Entrance,
    door: Arc<Door>,
    service: Rc<S>,
    registry: Rc<Registry>,
    deadlines: Rc<Deadlines>,
    turns: Rc<Turns>,
) {
    let counters = door.counters.of(entrance.name);
    let mut place = None;
    loop {
        if let Some(limit) = door.closed() {
            if place.as_ref().is_some_and(connection::Place::is_draining) {
                return;
            }
            counters.limit_acted(limit);
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        // Who is in the kernel's queue when the gateway ends would be reset with it.
        let accepted = poll_fn(|context| {
            let place = place.get_or_insert_with(|| registry.enter(context));
            match entrance.socket.poll_accept(context) {
                Poll::Pending if place.is_draining() => Poll::Ready(None),
                polled => polled.map(Some),
            }
        });
        let (socket, peer) = match accepted.await {
            None => return,
            Some(Ok(accepted)) => accepted,
            Some(Err(error)) => {
                recover(&error, counters).await;
                continue;
            }
        };
        door.descriptors.accepted();
        match door.admission.admit(peer.ip()) {
            Ok(slot) => {
                // Answers are written whole; waiting for more would only delay them. A socket that
                // is gone already says so on its first read.
                let _ = socket.set_nodelay(true);
                // Else the kernel says that there is room only once a third of a buffer of megabytes
                // is sent, and a slow reader's progress isn't seen in time.
                let _ = socket2::SockRef::from(&socket).set_tcp_notsent_lowat(NOTSENT_BYTES);
                let around = Surroundings {
                    service: Rc::clone(&service),
                    limits: door.limits.load(),
                    counters: Arc::clone(counters),
                    memory: Arc::clone(&door.memory),
                    registry: Rc::clone(&registry),
                    deadlines: Rc::clone(&deadlines),
                    turns: Rc::clone(&turns),
                    http1: door.http1,
                    listener: entrance.name,
                    tls: entrance.tls.clone(),
                };
                tokio::task::spawn_local(connection::serve(socket, peer, slot, around));
            }
            Err(limit) => {
                counters.limit_acted(limit);
                drop(socket);
            }
        }
    }
}

/// Waits if accepting again at once would fail again.
async fn recover(error: &io::Error, counters: &Counters) {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::CONNABORTED | Errno::INTR | Errno::CONNRESET) => return,
        Some(Errno::MFILE | Errno::NFILE) => counters.limit_acted(ConnectionLimit::Descriptors),
        Some(Errno::NOMEM | Errno::NOBUFS) => counters.limit_acted(ConnectionLimit::Memory),
        Some(_) | None => {}
    }
    tokio::time::sleep(PAUSE).await;
}
