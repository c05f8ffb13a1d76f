//! `cargo xtask soak addresses`: two million addresses against the smallest table of counters.
//!
//! Who can choose addresses, or values of a header that is a key, must neither fill the memory nor
//! wash out what is known of others: what was used up before stays refused, and what is new is
//! admitted. This is scenario 28 of the limits. It needs an optimized binary: without optimization
//! the flood takes minutes.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;

use super::client::{Body, Connection};
use super::listening;
use crate::arguments::Arguments;
use crate::bench::machine::{free_port, raise_descriptors};
use crate::bench::process::{Place, Running};
use crate::bench::stand::{self, Rest};
use crate::failure::Failure;
use crate::root::Root;

const ADDRESSES: u32 = 2_000_000;

/// After so many everything has been used once. Memory may grow by so much from there.
const FIRST: u32 = 10_000;
const GROWTH_KB_MAX: u64 = 8 << 10;

const CLIENTS: u32 = 4;

/// Requests that are sent at once.
const BATCH: u32 = 100;

const USED_UP: (&str, &str) = ("192.0.2.1", "used-up");

pub(super) fn run(root: &Root, mut arguments: Arguments) -> Result<(), Failure> {
    let palisade: Option<PathBuf> = arguments.value("--palisade")?;
    arguments.end()?;
    stand::build(root, palisade.as_deref())?;
    check(root, palisade.unwrap_or(root.join("target/release/palisade")))
}

/// Sends the flood to this binary. What else is needed is built.
pub(crate) fn check(root: &Root, palisade: PathBuf) -> Result<(), Failure> {
    raise_descriptors()?;
    let palisade = std::path::absolute(&palisade).map_err(Failure::file(palisade))?;
    let folder = tempfile::tempdir().map_err(Failure::file("a temporary folder"))?;
    let place = Place(["setpriv", "--pdeathsig", "TERM"].map(str::to_owned).to_vec());
    let backend = stand::backend(root, &place, folder.path(), Rest::Asleep)?;
    let listen = free_port()?;
    let mut running = listening(&palisade, &place, folder.path(), listen, &config(listen, backend.address))?;
    println!("{ADDRESSES} addresses to {}", palisade.display());
    let judged = judge(listen, &running);
    running.stop(Signal::TERM);
    judged
}

/// A flood on a slow machine must not outlast the two hours until who is used up has another
/// request.
fn config(listen: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        r#"[app]
listen = "{listen}"
upstream = "http://{upstream}"
trusted_proxies = ["127.0.0.0/8"]
drain_delay = "0s"

[limits]
per_ip = "off"
table = "1MiB"

[limits.api]
on = "/api/**"
rate = "5/10h"

[limits.session]
on = "/api/**"
key = "header.x-session"
rate = "5/10h"

[log]
access = "off"

[admin]
listen = false
"#
    )
}

fn judge(to: SocketAddr, running: &Running) -> Result<(), Failure> {
    for _ in 0..5 {
        expect(to, USED_UP, 200)?;
    }
    expect(to, USED_UP, 429)?;
    flood(to, 0..FIRST)?;
    let before = running.resident_kb();
    let began = Instant::now();
    let each = (ADDRESSES - FIRST) / CLIENTS;
    thread::scope(|scope| {
        let parts = (0..CLIENTS).map(|client| FIRST + client * each..FIRST + (client + 1) * each);
        let clients: Vec<_> = parts.map(|part| scope.spawn(move || flood(to, part))).collect();
        let mut ended = clients.into_iter().map(|client| client.join());
        let panicked = |_| Err(Failure::Found("a client panicked".to_owned()));
        ended.try_for_each(|ended| ended.unwrap_or_else(panicked))
    })?;
    let after = running.resident_kb();
    println!("{:.0} s; {before} KB after {FIRST} requests, {after} KB at the end", began.elapsed().as_secs_f64());
    let (address, session) = USED_UP;
    expect(to, (address, "new"), 429)?;
    expect(to, ("192.0.2.2", session), 429)?;
    expect(to, ("192.0.2.2", "new"), 200)?;
    match after.saturating_sub(before) {
        growth if growth > GROWTH_KB_MAX => Err(Failure::Found(format!("the memory grew by {growth} KB"))),
        _ if before == 0 => Err(Failure::Found("the memory can't be read".to_owned())),
        _ => Ok(()),
    }
}

/// One request, from an address and with a session, and the status that it has to be answered with.
fn expect(to: SocketAddr, (address, session): (&str, &str), expected: u16) -> Result<(), Failure> {
    let lost = |error: std::io::Error| Failure::Found(format!("{address} has no answer: {error}"));
    let mut connection = Connection::open(to).map_err(lost)?;
    connection.send(request(address, session).as_bytes()).map_err(lost)?;
    match connection.answer(Body::Missing).map_err(lost)?.status {
        status if status == expected => Ok(()),
        status => {
            let what = format!("{address} with session {session} was answered {status}, not {expected}");
            Err(Failure::Found(what))
        }
    }
}

/// One request from each of these addresses, with a session of its own. All of them have to be
/// admitted.
fn flood(to: SocketAddr, numbers: Range<u32>) -> Result<(), Failure> {
    let lost = |error: std::io::Error| Failure::Found(format!("no answer: {error}"));
    let mut connection = Connection::open(to).map_err(lost)?;
    for first in numbers.clone().step_by(BATCH as usize) {
        let batch = first..numbers.end.min(first + BATCH);
        let requests: String = batch.clone().map(|number| request(&address(number), &number.to_string())).collect();
        connection.send(requests.as_bytes()).map_err(lost)?;
        for number in batch {
            let answer = connection.answer(Body::Missing).map_err(lost)?;
            if answer.status != 200 {
                return Err(Failure::Found(format!("{} was answered {}", address(number), answer.status)));
            }
        }
    }
    Ok(())
}

/// HEAD counts as GET does and its answer is short.
fn request(address: &str, session: &str) -> String {
    format!("HEAD /api/x HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\nX-Session: {session}\r\n\r\n")
}

/// Each another client: IPv4, and IPv6 in a /48 of its own.
fn address(number: u32) -> String {
    let [_, a, b, c] = number.to_be_bytes();
    match number % 2 {
        0 => format!("11.{a}.{b}.{c}"),
        _ => format!("2a{a:02x}:{b:02x}{c:02x}::1"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn addresses_differ_in_what_counts() {
        let network = |number: u32| match address(number).parse().unwrap() {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits() >> 80,
        };
        let numbers = || (0..ADDRESSES).step_by(97);
        assert_eq!(numbers().map(network).collect::<BTreeSet<u128>>().len(), numbers().count());
    }
}
