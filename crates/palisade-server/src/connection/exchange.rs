//! What the two ends of a connection's engine tell each other: the socket below it, and the
//! service above it.
//!
//! The engine in the middle says neither when it has called the service nor when an answer is
//! over, so the service's side marks it here. All of it happens in one task; the atomics are
//! relaxed and exist because a socket that may become a WebSocket must be `Send`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The exchanges of one connection.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    open: AtomicU32,
    begun: AtomicU64,
    called: AtomicBool,
    tunnel: AtomicBool,
    broken: AtomicBool,
    waiting_for_window: AtomicU32,
}

/// One exchange, from the service's call until its answer has been handed to the engine whole.
#[derive(Debug)]
pub(crate) struct Open {
    exchange: Arc<Exchange>,
    waits_for_window: bool,
    closing: Closing,
}

/// What a client takes a closed connection for in the middle of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Its end.
    Ends,
    /// A cut: lengths and chunks say what is missing.
    Cuts,
}

impl Exchange {
    /// A request is asked of the service.
    pub(crate) fn open(self: &Arc<Self>, closing: Closing) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.called.store(true, Ordering::Relaxed);
        Open { exchange: Arc::clone(self), waits_for_window: false, closing }
    }

    /// Whether any request is under way.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// Requests so far.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// A message begins that the service hasn't seen.
    pub(crate) fn begin_message(&self) {
        self.called.store(false, Ordering::Relaxed);
    }

    /// Whether the service was asked about the message that is being read.
    pub(crate) fn is_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    /// Whether the connection speaks another protocol from now on.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Relaxed)
    }

    /// Whether an answer ended before its end.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Whether any answer has bytes that the client's window doesn't allow to be sent.
    pub(crate) fn waits_for_window(&self) -> bool {
        self.waiting_for_window.load(Ordering::Relaxed) > 0
    }
}

impl Open {
    /// The answer is a 101.
    pub(crate) fn become_tunnel(&self) {
        self.exchange.tunnel.store(true, Ordering::Relaxed);
    }

    /// The answer has no more bytes and isn't whole. Where its framing tells so, closing is enough,
    /// and throws nothing away that was sent; a client of HTTP/1.0 takes a close for the end.
    pub(crate) fn breaks(&self) {
        if self.closing == Closing::Ends {
            self.exchange.broken.store(true, Ordering::Relaxed);
        }
    }

    /// The engine has the head or bytes of an answer; it asks for more once it could send them.
    pub(crate) fn handed_over(&mut self) {
        if !std::mem::replace(&mut self.waits_for_window, true) {
            self.exchange.waiting_for_window.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The engine asks for bytes.
    pub(crate) fn asked(&mut self) {
        if std::mem::replace(&mut self.waits_for_window, false) {
            self.exchange.waiting_for_window.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.asked();
        self.exchange.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_is_open_until_its_answer_is_gone() {
        let exchange = Arc::new(Exchange::default());
        assert!(!exchange.is_called());
        let mut open = exchange.open(Closing::Cuts);
        open.handed_over();
        open.handed_over();
        assert!(exchange.is_open() && exchange.is_called() && exchange.waits_for_window());
        open.asked();
        assert!(!exchange.waits_for_window());
        open.handed_over();
        drop(open);
        assert!(!exchange.is_open() && exchange.is_called() && !exchange.waits_for_window());
        assert!(!exchange.is_broken());
        exchange.open(Closing::Cuts).breaks();
        assert!(!exchange.is_broken());
        exchange.open(Closing::Ends).breaks();
        assert!(!exchange.is_open() && exchange.is_broken());
        exchange.begin_message();
        assert!(!exchange.is_called());
        assert_eq!(exchange.begun(), 3);
    }
}
