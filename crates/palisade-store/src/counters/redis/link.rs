//! One connection to the server, which all threads share.
//!
//! Calls go out in the order in which they come and are answered in that order, many under way at
//! once. Who asked may leave at any time: the answer is then thrown away, and the connection is none
//! the worse. Calls count as under way until they are answered, not until nobody waits any more, so
//! that a server that stands still is sent a bounded number of them.
//!
//! The `redis` crate would do this too, and was not taken: an abandoned call leaves its bounds there,
//! replies may have any size, a reply that nobody asked for would be given to the next call, and it
//! brings two dozen crates, one of them under a license that isn't allowed here. What is needed of
//! the protocol is small.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use super::miss::Miss;
use super::resp::{self, Command, Garbled, Reply};

/// At most this many calls are under way.
pub(super) const CALLS_MAX: usize = 4_096;

/// Bytes that may wait to be written; beyond it calls wait in their queue.
const OUT_BYTES_MAX: usize = 256 << 10;
const READ_BYTES: usize = 16 << 10;

/// What calls go through.
#[derive(Clone, Debug)]
pub(super) struct Link {
    calls: mpsc::Sender<Call>,
    under_way: Arc<AtomicUsize>,
}

/// A command, and who waits for the reply to it.
#[derive(Debug)]
struct Call {
    command: Command,
    asked: Asked,
}

/// Who waits for a reply.
#[derive(Debug)]
struct Asked {
    /// `None`: nobody does, and the command is sent all the same.
    answer: Option<oneshot::Sender<Reply>>,
    _place: Place,
}

/// One of the calls under way.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The other end of a link: whoever drives it moves the bytes.
pub(super) struct Driver<S> {
    stream: S,
    calls: mpsc::Receiver<Call>,
}

/// A link over a stream that is connected.
pub(super) fn link<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> (Link, Driver<S>) {
    let (sender, calls) = mpsc::channel(CALLS_MAX);
    (Link { calls: sender, under_way: Arc::default() }, Driver { stream, calls })
}

impl Link {
    /// Sends a command. The reply comes unless the connection breaks.
    pub(super) fn send(&self, command: Command) -> Result<oneshot::Receiver<Reply>, Miss> {
        let (answer, reply) = oneshot::channel();
        self.queue(command, Some(answer)).map(|()| reply)
    }

    /// Sends a command of which nobody waits for the reply.
    pub(super) fn post(&self, command: Command) -> Result<(), Miss> {
        self.queue(command, None)
    }

    /// Sends a command and waits for the reply, for as long as it takes.
    pub(super) async fn call(&self, command: Command) -> Result<Reply, Miss> {
        self.send(command)?.await.map_err(|_| Miss::Connection)
    }

    /// Whether everything that was queued was handed to the connection.
    #[cfg(test)]
    pub(super) fn is_sent(&self) -> bool {
        self.calls.capacity() == CALLS_MAX
    }

    fn queue(&self, command: Command, answer: Option<oneshot::Sender<Reply>>) -> Result<(), Miss> {
        let place = Place(self.under_way.clone());
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= CALLS_MAX {
            return Err(Miss::Busy);
        }
        self.calls.try_send(Call { command, asked: Asked { answer, _place: place } }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Miss::Busy,
            mpsc::error::TrySendError::Closed(_) => Miss::Connection,
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Moves bytes until the connection ends or every link to it is gone. Calls that were not
    /// answered by then get no reply.
    pub(super) async fn run(self) -> Miss {
        let Self { stream, mut calls } = self;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (mut out, mut buffer) = (BytesMut::new(), BytesMut::with_capacity(READ_BYTES));
        let mut waiting: VecDeque<Asked> = VecDeque::new();
        let mut flush = Flush::Done;
        loop {
            tokio::select! {
                call = calls.recv(), if out.len() < OUT_BYTES_MAX => {
                    let Some(call) = call else { return Miss::Connection };
                    // Whoever has left needs no answer, and nothing was sent yet.
                    if !call.asked.answer.as_ref().is_some_and(oneshot::Sender::is_closed) {
                        call.command.write(&mut out);
                        waiting.push_back(call.asked);
                    }
                }
                written = write(&mut writer, &mut out, &mut flush), if !out.is_empty() || flush == Flush::Due => {
                    if written.is_err() {
                        return Miss::Connection;
                    }
                }
                read = reader.read_buf(&mut buffer) => {
                    if !matches!(read, Ok(1..)) {
                        return Miss::Connection;
                    }
                    if let Err(Garbled) = answer(&mut buffer, &mut waiting) {
                        return Miss::Garbled;
                    }
                }
            }
        }
    }
}

/// Whether bytes may still be inside of the stream: over TLS, the last record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    Due,
    Done,
}

/// May be abandoned while it waits: what is left to do is in its arguments.
async fn write<W: AsyncWrite + Unpin>(writer: &mut W, out: &mut BytesMut, flush: &mut Flush) -> std::io::Result<()> {
    if !out.is_empty() {
        writer.write_buf(out).await?;
        *flush = Flush::Due;
    }
    if out.is_empty() {
        writer.flush().await?;
        *flush = Flush::Done;
    }
    Ok(())
}

fn answer(buffer: &mut BytesMut, waiting: &mut VecDeque<Asked>) -> Result<(), Garbled> {
    while let Some(reply) = resp::take(buffer)? {
        // A reply that nobody asked for: from here on every one would be another's.
        let asked = waiting.pop_front().ok_or(Garbled)?;
        if let Some(answer) = asked.answer {
            // Whoever asked may have left.
            let _ = answer.send(reply);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;
    use crate::testing::runtime;

    fn ping() -> Command {
        Command::new("PING")
    }

    /// What arrived so far, once it is this long.
    async fn arrived(server: &mut DuplexStream, length: usize) {
        let mut bytes = vec![0; length];
        server.read_exact(&mut bytes).await.unwrap();
    }

    const PING_BYTES: usize = b"*1\r\n$4\r\nPING\r\n".len();

    #[test]
    fn a_call_that_was_abandoned_takes_its_own_reply_with_it() {
        runtime().block_on(async {
            let (client, mut server) = tokio::io::duplex(1 << 16);
            let (link, driver) = link(client);
            let driver = tokio::spawn(driver.run());
            let abandoned = link.send(ping()).unwrap();
            arrived(&mut server, PING_BYTES).await;
            drop(abandoned);
            let kept = link.send(ping()).unwrap();
            arrived(&mut server, PING_BYTES).await;
            server.write_all(b":1\r\n:2\r\n").await.unwrap();
            assert_eq!(kept.await, Ok(Reply::Number(2)));
            drop(server);
            assert_eq!(driver.await.unwrap(), Miss::Connection);
            assert_eq!(link.call(ping()).await, Err(Miss::Connection));
        });
    }

    #[test]
    fn a_reply_that_nobody_asked_for_ends_the_connection() {
        runtime().block_on(async {
            let (client, mut server) = tokio::io::duplex(1 << 16);
            let (_link, driver) = link(client);
            server.write_all(b":1\r\n").await.unwrap();
            let ended = tokio::time::timeout(std::time::Duration::from_secs(20), driver.run()).await;
            assert_eq!(ended, Ok(Miss::Garbled));
        });
    }

    #[test]
    fn calls_under_way_are_bounded_until_they_are_answered() {
        runtime().block_on(async {
            let (client, mut server) = tokio::io::duplex(1 << 20);
            let (link, driver) = link(client);
            tokio::spawn(driver.run());
            for _ in 0..CALLS_MAX {
                link.post(ping()).unwrap();
            }
            assert_eq!(link.post(ping()), Err(Miss::Busy));
            arrived(&mut server, CALLS_MAX * PING_BYTES).await;
            assert_eq!(link.post(ping()), Err(Miss::Busy), "sent is not answered");
            server.write_all(b":1\r\n").await.unwrap();
            while link.post(ping()).is_err() {
                tokio::task::yield_now().await;
            }
        });
    }
}
