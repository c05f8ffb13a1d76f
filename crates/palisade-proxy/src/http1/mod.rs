//! HTTP/1.1 to the application, by one of two engines.

mod exchange;
pub(crate) mod hyper;
mod line;

use std::net::SocketAddr;

use bytes::Bytes;

use crate::wire::Wire;

pub(crate) use self::exchange::{Exchange, NoHead};
pub(crate) use self::line::{Counted, Line};

/// A connection without a request.
pub(crate) enum Idle<B: 'static> {
    Own(Box<Line>),
    Hyper(hyper::Idle<B>),
}

/// A socket after the protocol was switched, and what was read beyond the 101.
pub(crate) struct Switched {
    pub(crate) wire: Wire,
    pub(crate) first: Bytes,
    /// Of our own engine; hyper's connection is counted by its task.
    pub(crate) counted: Option<Counted>,
}

impl<B> Idle<B> {
    pub(crate) fn is_usable(&mut self) -> bool {
        match self {
            Self::Own(line) => line.is_usable(),
            Self::Hyper(idle) => idle.is_usable(),
        }
    }

    /// It wasn't used for a while: gives its buffers back.
    pub(crate) fn rest(&mut self) {
        if let Self::Own(line) = self {
            line.rest();
        }
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Own(line) => line.peer(),
            Self::Hyper(idle) => idle.peer(),
        }
    }
}
