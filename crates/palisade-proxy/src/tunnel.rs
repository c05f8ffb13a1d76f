//! Bytes both ways after a protocol was switched.
//!
//! Each direction ends by itself: when one side has sent its last byte, the other is told so and
//! may go on sending. A tunnel ends when both directions have, when one breaks, or when nothing
//! came from either side for the idle time.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use crate::deadline::Deadline;
use crate::http1::Switched;
use crate::server::Flight;

/// Bytes that one direction holds at most.
const BUFFER: usize = 8 * 1024;

/// The application's end of a tunnel. Dropping it closes the connection.
pub struct Tunnel<B: 'static> {
    upstream: Upstream,
    flight: Option<Flight<B>>,
    deadline: Deadline,
    idle: Duration,
}

/// The application's socket.
pub(crate) enum Upstream {
    Here(Box<Switched>),
    /// Once hyper gives it.
    Soon(oneshot::Receiver<Switched>),
}

/// What went through a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Bytes from the client to the application.
    pub up: u64,
    /// Bytes from the application to the client.
    pub down: u64,
    /// How it ended.
    pub end: TunnelEnd,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelEnd {
    /// Both sides had sent their last byte.
    Closed,
    /// The client's connection broke, or was never switched.
    ClientLost,
    /// The application's connection broke, or was never switched.
    UpstreamLost,
    /// Nothing came from either side for too long.
    Idle,
    /// The gateway ends.
    Ended,
}

/// One direction.
#[derive(Debug)]
struct Direction {
    /// What was read before the tunnel began.
    first: Bytes,
    held: Box<[u8]>,
    start: usize,
    end: usize,
    carried: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The last byte was read; the rest is to be written and the end to be told.
    Ending,
    Ended,
}

/// Which side of a direction broke.
enum Lost {
    From,
    To,
}

impl<B> Tunnel<B> {
    pub(crate) fn new(upstream: Upstream, flight: Option<Flight<B>>, deadline: Deadline, idle: Duration) -> Self {
        Self { upstream, flight, deadline, idle }
    }

    /// Copies bytes until the tunnel ends, at the latest when `ends` is ready. `client` is what the
    /// server side's engine gives for the request that was answered with the 101: the socket, or
    /// nothing if it is gone.
    pub async fn run(
        self,
        client: impl Future<Output = Option<impl AsyncRead + AsyncWrite + Unpin>>,
        mut ends: impl Future<Output = ()> + Unpin,
    ) -> Carried {
        let Self { upstream, flight, deadline, idle } = self;
        let lost = |end| Carried { up: 0, down: 0, end };
        deadline.set(idle);
        let both = async {
            let upstream = match upstream {
                Upstream::Here(switched) => *switched,
                Upstream::Soon(switched) => switched.await.map_err(|_| lost(TunnelEnd::UpstreamLost))?,
            };
            let client = client.await.ok_or(lost(TunnelEnd::ClientLost))?;
            Ok::<_, Carried>((upstream, client))
        };
        let mut both = pin!(both);
        let met = poll_fn(|context| match deadline.poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(lost(TunnelEnd::Idle))),
            Poll::Pending => both.as_mut().poll(context),
        });
        let carried = match met.await {
            Err(carried) => carried,
            Ok((upstream, client)) => {
                let Switched { wire, first, counted } = upstream;
                let limits = Limits { deadline: &deadline, idle, ends: &mut ends };
                let carried = copy(client, wire, first, limits).await;
                drop(counted);
                carried
            }
        };
        drop(flight);
        carried
    }
}

impl<B> std::fmt::Debug for Tunnel<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").field("idle", &self.idle).finish_non_exhaustive()
    }
}

/// What ends a tunnel that neither side ends.
struct Limits<'a, E> {
    deadline: &'a Deadline,
    idle: Duration,
    ends: &'a mut E,
}

/// Copies both ways; `first` came from upstream before.
async fn copy(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut upstream: impl AsyncRead + AsyncWrite + Unpin,
    first: Bytes,
    limits: Limits<'_, impl Future<Output = ()> + Unpin>,
) -> Carried {
    let Limits { deadline, idle, ends } = limits;
    let mut up = Direction::new(Bytes::new());
    let mut down = Direction::new(first);
    let end = poll_fn(|context| {
        let before = (up.carried, down.carried);
        let upward = up.poll(context, &mut client, &mut upstream);
        let downward = down.poll(context, &mut upstream, &mut client);
        if (up.carried, down.carried) != before {
            deadline.set(idle);
        }
        match (upward, downward) {
            (Poll::Ready(Err(Lost::From)), _) | (_, Poll::Ready(Err(Lost::To))) => Poll::Ready(TunnelEnd::ClientLost),
            (Poll::Ready(Err(Lost::To)), _) | (_, Poll::Ready(Err(Lost::From))) => Poll::Ready(TunnelEnd::UpstreamLost),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(TunnelEnd::Closed),
            (Poll::Pending, _) | (_, Poll::Pending) if Pin::new(&mut *ends).poll(context).is_ready() => {
                Poll::Ready(TunnelEnd::Ended)
            }
            (Poll::Pending, _) | (_, Poll::Pending) => deadline.poll(context).map(|()| TunnelEnd::Idle),
        }
    })
    .await;
    Carried { up: up.carried, down: down.carried, end }
}

impl Direction {
    fn new(first: Bytes) -> Self {
        Self { first, held: vec![0; BUFFER].into(), start: 0, end: 0, carried: 0, state: State::Open }
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Lost>> {
        loop {
            while !self.first.is_empty() {
                let written = ready!(Pin::new(&mut *to).poll_write(context, &self.first)).and_then(some);
                let Ok(count) = written else { return Poll::Ready(Err(Lost::To)) };
                self.first.advance(count);
                self.carried += count as u64;
            }
            while let Some(bytes) = self.held.get(self.start..self.end).filter(|bytes| !bytes.is_empty()) {
                let written = ready!(Pin::new(&mut *to).poll_write(context, bytes)).and_then(some);
                let Ok(count) = written else { return Poll::Ready(Err(Lost::To)) };
                self.start += count;
                self.carried += count as u64;
            }
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    if ready!(Pin::new(&mut *to).poll_shutdown(context)).is_err() {
                        return Poll::Ready(Err(Lost::To));
                    }
                    self.state = State::Ended;
                }
                State::Open => {
                    let mut buffer = ReadBuf::new(&mut self.held);
                    match Pin::new(&mut *from).poll_read(context, &mut buffer) {
                        Poll::Pending => {
                            // What was written must not wait for the next byte.
                            return match Pin::new(&mut *to).poll_flush(context) {
                                Poll::Ready(Err(_)) => Poll::Ready(Err(Lost::To)),
                                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                            };
                        }
                        Poll::Ready(Err(_)) => return Poll::Ready(Err(Lost::From)),
                        Poll::Ready(Ok(())) => {
                            (self.start, self.end) = (0, buffer.filled().len());
                            if self.end == 0 {
                                self.state = State::Ending;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A write of nothing means that nothing more can be written.
fn some(count: usize) -> io::Result<usize> {
    if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) }
}
