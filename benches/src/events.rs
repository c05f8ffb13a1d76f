//! Readiness of many sockets, by epoll, asleep or spinning.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

/// How readiness is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// In the kernel. The side that sends then pays for waking an idle core, which on a virtual
    /// machine costs it microseconds.
    Asleep,
    /// By asking again and again, yielding in between: no proxy ever has to wake us.
    Spinning,
}

/// What a socket is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Read,
    /// That, and room to write.
    ReadAndWrite,
}

/// A socket that is ready.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Under which number it was watched.
    pub token: usize,
    /// There is something to read, or the end.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
}

/// The sockets.
pub struct Events {
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
    wait: Wait,
}

const AT_ONCE: usize = 1_024;

impl Events {
    /// None yet.
    pub fn new(wait: Wait) -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, ready: Vec::with_capacity(AT_ONCE), wait })
    }

    /// Watches a socket. It is forgotten when it is closed.
    pub fn watch(&self, socket: impl AsFd, token: usize) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, data(token), flags(Interest::Read))?)
    }

    /// Watches it for something else.
    pub fn change(&self, socket: impl AsFd, token: usize, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, data(token), flags(interest))?)
    }

    /// Waits until some are ready, at most so long.
    pub fn wait(&mut self, limit: Option<Duration>) -> io::Result<impl Iterator<Item = Ready> + use<>> {
        let began = Instant::now();
        loop {
            let timeout = match self.wait {
                Wait::Asleep => limit,
                Wait::Spinning => Some(Duration::ZERO),
            };
            self.ask(timeout)?;
            let is_over = self.wait == Wait::Asleep || limit.is_some_and(|limit| began.elapsed() >= limit);
            if !self.ready.is_empty() || is_over {
                break;
            }
            std::thread::yield_now();
        }
        let ready: Vec<_> = self.ready.drain(..).map(Ready::from).collect();
        Ok(ready.into_iter())
    }

    fn ask(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut self.ready), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl From<epoll::Event> for Ready {
    fn from(event: epoll::Event) -> Self {
        let epoll::Event { flags, data } = event;
        let token = usize::try_from(data.u64()).unwrap_or(usize::MAX);
        let writable = flags.contains(EventFlags::OUT);
        Self { token, readable: !(flags - EventFlags::OUT).is_empty(), writable }
    }
}

fn data(token: usize) -> EventData {
    EventData::new_u64(token as u64)
}

fn flags(interest: Interest) -> EventFlags {
    match interest {
        Interest::Read => EventFlags::IN,
        Interest::ReadAndWrite => EventFlags::IN | EventFlags::OUT,
    }
}
