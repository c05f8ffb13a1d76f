//! Addresses of a server's name.
//!
//! The system's resolver tells no time to live, so an answer is taken to be good for five seconds.
//! After that a new one is fetched beside the request that noticed, which goes on with the former:
//! only the first request ever waits for the resolver. A lookup that fails changes nothing.
//! Names whose servers are only reached over kept connections are looked up every thirty seconds.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::address::{Host, Target};

/// How long an answer is used without asking again.
const FRESH: Duration = Duration::from_secs(5);

/// How old an answer gets when no new connection asks for one.
pub(crate) const STALE: Duration = Duration::from_secs(30);

/// More addresses of one name than are ever tried.
const ADDRESSES_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Resolver {
    target: Target,
    answer: RefCell<Option<Answer>>,
    refresh: Cell<Refresh>,
    /// Keeps all but one of those who need the first answer from asking for it.
    first: Semaphore,
}

#[derive(Clone, Debug)]
struct Answer {
    addresses: Rc<[SocketAddr]>,
    since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresh {
    Idle,
    UnderWay,
}

impl Resolver {
    pub(crate) fn new(target: Target) -> Rc<Self> {
        let answer = match target.host() {
            Host::Ip(ip) => {
                Some(Answer { addresses: [SocketAddr::new(*ip, target.port())].into(), since: Instant::now() })
            }
            Host::Name(_) => None,
        };
        Rc::new(Self {
            target,
            answer: RefCell::new(answer),
            refresh: Cell::new(Refresh::Idle),
            first: Semaphore::new(1),
        })
    }

    /// The addresses, at least one.
    pub(crate) async fn addresses(self: &Rc<Self>) -> io::Result<Rc<[SocketAddr]>> {
        if let Some(known) = self.known(FRESH) {
            return Ok(known);
        }
        let _turn = self.first.acquire().await;
        match self.known(FRESH) {
            Some(known) => Ok(known),
            None => self.look_up().await,
        }
    }

    /// What is known now; asks anew, beside the caller, if that is older than `fresh`.
    pub(crate) fn known(self: &Rc<Self>, fresh: Duration) -> Option<Rc<[SocketAddr]>> {
        let answer = self.answer.borrow().clone()?;
        let is_name = matches!(self.target.host(), Host::Name(_));
        if is_name && answer.since.elapsed() >= fresh && self.refresh.replace(Refresh::UnderWay) == Refresh::Idle {
            let this = Rc::clone(self);
            // It ends by itself: the resolver has its own limit, and holds nothing but this.
            spawn_local(async move {
                if this.look_up().await.is_err()
                    && let Some(answer) = this.answer.borrow_mut().as_mut()
                {
                    // Not before the next five seconds have passed.
                    answer.since = Instant::now();
                }
                this.refresh.set(Refresh::Idle);
            });
        }
        Some(answer.addresses)
    }

    async fn look_up(&self) -> io::Result<Rc<[SocketAddr]>> {
        let addresses: Rc<[SocketAddr]> = match self.target.host() {
            Host::Ip(ip) => [SocketAddr::new(*ip, self.target.port())].into(),
            Host::Name(name) => lookup_host((&**name, self.target.port())).await?.take(ADDRESSES_MAX).collect(),
        };
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        *self.answer.borrow_mut() = Some(Answer { addresses: Rc::clone(&addresses), since: Instant::now() });
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;
    use crate::address::Address;

    fn resolver(text: &str) -> Rc<Resolver> {
        Resolver::new(text.parse::<Address>().unwrap().target().unwrap().clone())
    }

    #[tokio::test]
    async fn an_address_is_its_own_answer() {
        let addresses = resolver("http://127.0.0.1:81").addresses().await.unwrap();
        assert_eq!(*addresses, [SocketAddr::from(([127, 0, 0, 1], 81))]);
    }

    #[tokio::test]
    async fn an_old_answer_is_used_while_a_new_one_is_fetched() {
        let check = async {
            let resolver = resolver("http://localhost:81");
            let former: Rc<[SocketAddr]> = [SocketAddr::from(([192, 0, 2, 1], 81))].into();
            let since = Instant::now().checked_sub(FRESH).unwrap();
            *resolver.answer.borrow_mut() = Some(Answer { addresses: Rc::clone(&former), since });
            assert_eq!(resolver.addresses().await.unwrap(), former);
            let start = Instant::now();
            while resolver.known(FRESH).unwrap() == former {
                assert!(start.elapsed() < Duration::from_secs(5));
                tokio::task::yield_now().await;
            }
            assert!(resolver.known(FRESH).unwrap().iter().all(|address| address.ip().is_loopback()));
        };
        LocalSet::new().run_until(check).await;
    }
}
