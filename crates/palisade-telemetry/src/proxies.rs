//! Whether a proxy in front of the gateway seems to be missing in `trusted_proxies`.
//!
//! Then all of its clients count as one, and limits per address meet them all together. Two signs
//! tell it: nearly all requests have one address, or most of them carry `X-Forwarded-For` from peers
//! whose word doesn't count.
//!
//! Rule:
//! 1. Requests are judged in windows of five minutes, if there are a thousand of them. Health paths
//!    don't count: whoever asks for them is one anyway.
//! 2. Over 90 % of them have one address: [`Finding::OneAddress`].
//! 3. Over half of them carry the field in vain: [`Finding::Untrusted`].
//! 4. Each is told once an hour at most.
//!
//! Limits: addresses are not kept. A majority vote (Boyer and Moore) names the one that can have
//! over half of the requests, and it is counted from when it was named: what it had before is
//! missing, so a finding may come a window late, and is never wrong. Records that were dropped
//! because telemetry was overloaded are not seen.

use std::time::Duration;

use palisade_core::{ClientIp, Kind, Monotonic, Record};

use crate::access_log::shown;
use crate::event::{Events, Value};
use crate::settings::AddressForm;

/// How long requests are gathered before they are judged.
const WINDOW: Duration = Duration::from_secs(300);
/// Fewer requests tell nothing.
const REQUESTS_MIN: u64 = 1_000;
/// Between two findings of the same kind.
const QUIET: Duration = Duration::from_secs(3_600);

/// What five minutes of requests show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nearly all requests have this address.
    OneAddress { address: ClientIp, of_it: u64, requests: u64 },
    /// Most requests carry `X-Forwarded-For` in vain, the last of them from this peer.
    Untrusted { peer: ClientIp, forwarded: u64, requests: u64 },
}

/// Sees every record.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    window: Option<Window>,
    told_address: Option<Monotonic>,
    told_untrusted: Option<Monotonic>,
}

/// The requests of one window.
#[derive(Debug)]
struct Window {
    began: Monotonic,
    requests: u64,
    /// The winner of the vote so far, its votes, and its requests since it was named.
    leader: ClientIp,
    votes: u64,
    of_leader: u64,
    forwarded: u64,
    /// Who sent the last of those.
    forwarder: ClientIp,
}

impl Judge {
    /// Counts a request that is over. The first one after a window's end has that window judged.
    pub(crate) fn see(&mut self, record: &Record) -> Vec<Finding> {
        if record.kind == Kind::Health {
            return Vec::new();
        }
        // When it ended: a stream that began an hour ago is news.
        let now = record.now.monotonic.plus(record.duration);
        let mut found = Vec::new();
        if let Some(over) = self.window.take_if(|window| now.since(window.began) >= WINDOW) {
            found.extend(over.one_address().filter(|_| is_due(&mut self.told_address, now)));
            found.extend(over.untrusted().filter(|_| is_due(&mut self.told_untrusted, now)));
        }
        self.window.get_or_insert_with(|| Window::since(now)).count(record);
        found
    }
}

/// Whether it is time to tell something again; then it counts as told.
fn is_due(told: &mut Option<Monotonic>, now: Monotonic) -> bool {
    let due = told.is_none_or(|told| now.since(told) >= QUIET);
    if due {
        *told = Some(now);
    }
    due
}

impl Window {
    const fn since(began: Monotonic) -> Self {
        let nobody = ClientIp::UNSPECIFIED;
        Self { began, requests: 0, leader: nobody, votes: 0, of_leader: 0, forwarded: 0, forwarder: nobody }
    }

    fn count(&mut self, record: &Record) {
        self.requests += 1;
        if record.forwarded_untrusted {
            self.forwarded += 1;
            // Nobody spoke for it, so it is the peer itself.
            self.forwarder = record.client;
        }
        if self.votes == 0 {
            (self.leader, self.of_leader) = (record.client, 0);
        }
        if self.leader == record.client {
            self.votes += 1;
            self.of_leader += 1;
        } else {
            self.votes -= 1;
        }
    }

    fn one_address(&self) -> Option<Finding> {
        let Self { requests, leader, of_leader, .. } = *self;
        let is_one = requests >= REQUESTS_MIN && of_leader * 10 > requests * 9;
        is_one.then_some(Finding::OneAddress { address: leader, of_it: of_leader, requests })
    }

    fn untrusted(&self) -> Option<Finding> {
        let Self { requests, forwarded, forwarder, .. } = *self;
        let is_most = requests >= REQUESTS_MIN && forwarded * 2 > requests;
        is_most.then_some(Finding::Untrusted { peer: forwarder, forwarded, requests })
    }
}

impl Finding {
    /// Warns in the log. What else it can mean is in the reference.
    pub(crate) fn tell(self, events: &Events, form: AddressForm) {
        let (event, address, (key, count), requests, help) = match self {
            Self::OneAddress { address, of_it, requests } => {
                ("limits.one_address", address, ("of_address", of_it), requests, ONE_ADDRESS)
            }
            Self::Untrusted { peer, forwarded, requests } => {
                ("limits.forwarded_header_untrusted", peer, ("forwarded", forwarded), requests, UNTRUSTED)
            }
        };
        let address = shown(address, form).map(|(address, mask)| format!("{address}{mask}"));
        let mut fields: Vec<_> = address.iter().map(|address| ("address", Value::Text(address))).collect();
        fields.extend([
            (key, Value::Number(count)),
            ("requests", Value::Number(requests)),
            ("window_s", Value::Number(WINDOW.as_secs())),
            ("help", Value::Text(help)),
        ]);
        events.emit(event, &fields);
    }
}

const ONE_ADDRESS: &str = "if this address is a proxy of yours, add it to [app] trusted_proxies: until then all its \
    clients share the limits of one; more: palisade explain app.trusted_proxies";
const UNTRUSTED: &str = "if a proxy of yours sends X-Forwarded-For, add it to [app] trusted_proxies: until then its \
    word does not count, and all its clients share the limits of one; more: palisade explain app.trusted_proxies";

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::testing::record;

    /// A request from `10.0.0.0` plus `client` that ended at `second`.
    fn seen(client: u32, second: u64) -> Record {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + client);
        let mut record = record();
        record.client = ClientIp::from(std::net::IpAddr::V4(address));
        record.now.monotonic = Monotonic::from_nanos(second * 1_000_000_000);
        record.duration = Duration::ZERO;
        record
    }

    /// What `judge` finds in a window that begins at `second` and has these requests.
    fn judge(judge: &mut Judge, second: u64, requests: impl Iterator<Item = Record>) -> String {
        let mut found: Vec<_> = requests.flat_map(|record| judge.see(&record)).collect();
        found.extend(judge.see(&seen(0, second + WINDOW.as_secs())));
        let one = |finding| match finding {
            Finding::OneAddress { address, of_it, requests } => format!("{address} {of_it}/{requests}"),
            Finding::Untrusted { peer, forwarded, requests } => format!("from {peer} {forwarded}/{requests}"),
        };
        found.into_iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn over_nine_tenths_are_one_address() {
        let check = |clients: Vec<u32>, expected: &str| {
            let found = judge(&mut Judge::default(), 0, clients.iter().map(|client| seen(*client, 0)));
            assert_eq!(found, expected, "{} requests", clients.len());
        };
        // One client, and all others different, spread through the window.
        let mixed = |of_one: usize, others: usize| -> Vec<u32> {
            let mut clients = vec![1; of_one + others];
            clients
                .iter_mut()
                .rev()
                .step_by((of_one + others) / others.max(1))
                .take(others)
                .zip(2..)
                .for_each(|(client, other)| *client = other);
            assert_eq!(clients.iter().filter(|client| **client == 1).count(), of_one);
            clients
        };
        check(vec![], "");
        check(mixed(999, 0), "");
        check(mixed(1_000, 0), "10.0.0.1 1000/1000");
        check(mixed(901, 99), "10.0.0.1 901/1000");
        check(mixed(900, 100), "");
        check(mixed(9_001, 999), "10.0.0.1 9001/10000");
        check((0..10_000).collect(), "");
        // Named late, it is not called more than it is: the others took 40 of its 2,000 votes.
        check([vec![2; 40], vec![1; 2_000]].concat(), "10.0.0.1 1960/2040");
    }

    #[test]
    fn over_half_carry_the_field_in_vain() {
        let check = |forwarded: u32, requests: u32, expected: &str| {
            let one = |client| {
                let mut record = seen(client, 0);
                record.forwarded_untrusted = client < forwarded;
                record
            };
            assert_eq!(judge(&mut Judge::default(), 0, (0..requests).map(one)), expected, "{forwarded}/{requests}");
        };
        check(0, 1_000, "");
        check(500, 1_000, "");
        check(501, 1_000, "from 10.0.1.244 501/1000");
        check(999, 999, "");
        check(1_000, 1_000, "from 10.0.3.231 1000/1000");
    }

    #[test]
    fn a_window_ends_with_the_first_request_after_it() {
        let mut judge = Judge::default();
        let many = |judge: &mut Judge, second| (0..600).flat_map(|_| judge.see(&seen(1, second))).count();
        assert_eq!(many(&mut judge, 0) + many(&mut judge, 299), 0);
        assert_eq!(judge.see(&seen(2, 299)), []);
        assert_eq!(judge.see(&seen(2, 300)).len(), 1);
        // What ended there counts in the next one: 600 requests are too few.
        assert_eq!(many(&mut judge, 300) + many(&mut judge, 600), 0);
    }

    #[test]
    fn what_is_told_is_told_once_an_hour() {
        let mut told = Vec::new();
        let mut one = Judge::default();
        for window in 0..26 {
            let second = window * 300;
            if !judge(&mut one, second, (0..1_000).map(|_| seen(1, second))).is_empty() {
                told.push(second + 300);
            }
        }
        assert_eq!(told, [300, 3_900, 7_500]);
    }

    #[test]
    fn health_paths_do_not_count() {
        let probe = || {
            let mut record = seen(1, 0);
            record.kind = Kind::Health;
            record
        };
        assert_eq!(judge(&mut Judge::default(), 0, (0..2_000).map(|_| probe())), "");
    }
}
