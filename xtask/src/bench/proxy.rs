//! `cargo xtask bench proxy`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::instructions::recorded_total;
use super::load::{Sample, words};
use super::machine::{self, Cores};
use super::page::Page;
use super::peers::Peer;
use super::process::{Place, Running};
use super::results::Results;
use super::sets::{Measure, Set};
use super::stand::{Rest, Stand, ask, build};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::root::{Root, write};

/// What was asked for.
struct Options {
    peers: Vec<Peer>,
    sets: Vec<Set>,
    rounds: usize,
    seconds: f64,
    connections: usize,
    idle_connections: usize,
    rate: u32,
    rest: Rest,
    palisade: Option<PathBuf>,
    json: Option<PathBuf>,
    table: Table,
}

/// What becomes of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Print,
    Write,
}

const RESULTS: Page = Page { begin: "<!-- bench: begin -->\n", end: "<!-- bench: end -->" };

/// Before the first round, so that every connection, buffer and table is there.
const WARM_SECONDS: f64 = 1.0;

/// Answers that carry 10 MB, in one round.
const LARGE_BODIES: usize = 100;

pub(crate) fn run(root: &Root, arguments: Arguments) -> Result<(), Failure> {
    let options = Options::parse(arguments)?;
    if !machine::is_inside() {
        machine::install(root)?;
        options.peers.iter().try_for_each(|peer| peer.install(root))?;
        build(root, options.palisade.as_deref())?;
        machine::enter_network()?;
    }
    let stand = Stand::new(root, options.palisade.clone(), Cores::divide()?, options.connections, options.rest)?;
    let mut results = Results::new(stand.binary_bytes(), recorded_total(root)?);
    for set in &options.sets {
        eprintln!("{}: {}", set.name(), set.about());
        match set {
            Set::Idle => idle(&stand, &options, &mut results)?,
            Set::Start => start(&stand, &options, &mut results)?,
            set => rounds(&stand, &options, *set, &mut results)?,
        }
    }
    let versions: Vec<String> = options.peers.iter().map(|peer| stand.version(*peer)).collect();
    let head = format!(
        "{}\n\n{}; {} rounds of {} s, {} connections\n\n",
        command_line(std::env::args().skip(1)),
        machine::describe(root),
        options.rounds,
        options.seconds,
        options.connections
    );
    let text = format!("{head}{}\n\n{}", versions.join(", "), results.to_markdown());
    if let Some(path) = &options.json {
        write(path, &format!("{:#}\n", results.to_json()))?;
    }
    match options.table {
        Table::Print => println!("{text}"),
        Table::Write => RESULTS.write(root, &text)?,
    }
    Ok(())
}

impl Options {
    fn parse(mut arguments: Arguments) -> Result<Self, Failure> {
        let mut peers = arguments.list("--peers")?.unwrap_or(vec![Peer::PalisadeHyper, Peer::Nginx, Peer::Haproxy]);
        if !peers.contains(&Peer::Palisade) {
            peers.insert(0, Peer::Palisade);
        }
        let options = Self {
            peers,
            sets: arguments.list("--sets")?.unwrap_or(Set::ALL.to_vec()),
            rounds: arguments.value("--rounds")?.unwrap_or(5),
            seconds: arguments.value("--secs")?.unwrap_or(2.0),
            connections: arguments.value("--connections")?.unwrap_or(64),
            idle_connections: arguments.value("--idle-connections")?.unwrap_or(2_000),
            rate: arguments.value("--rate")?.unwrap_or(4_000),
            rest: if arguments.flag("--wake") { Rest::Asleep } else { Rest::Spinning },
            palisade: arguments.value("--palisade")?,
            json: arguments.value("--json")?,
            table: if arguments.flag("--write") { Table::Write } else { Table::Print },
        };
        arguments.end()?;
        let counts = [options.rounds, options.connections, options.idle_connections, options.rate as usize];
        if counts.contains(&0) || options.seconds.is_nan() || options.seconds < 0.1 {
            return Err(Failure::Usage("rounds, connections, rate and seconds must be more than nothing".to_owned()));
        }
        if options.table == Table::Write && options.palisade.is_some() {
            return Err(Failure::Usage("what is written has to be about what the repository builds".to_owned()));
        }
        Ok(options)
    }

    fn peers(&self, set: Set) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(move |peer| set.has(**peer))
    }
}

/// A peer that can't be started is left out, and told; Palisade can't be.
fn unless_missing<T>(peer: Peer, started: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match started {
        Ok(started) => Ok(Some(started)),
        Err(failure) if peer != Peer::Palisade => {
            eprintln!("  without {}: {failure}", peer.name());
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Every peer once per round, each time another one first.
fn rounds(stand: &Stand, options: &Options, set: Set, results: &mut Results) -> Result<(), Failure> {
    let rest = if set == Set::Rate { Rest::Asleep } else { stand.rest };
    let backend = stand.backend(rest)?;
    let mut running = Vec::new();
    for peer in options.peers(set) {
        running.extend(unless_missing(*peer, stand.start(*peer, set, backend.address))?);
    }
    for started in &running {
        let warm = drive(stand, options, set, started.address, WARM_SECONDS)?;
        started.check_work(set, warm.done)?;
    }
    for round in 0..options.rounds {
        let count = running.len();
        for started in running.iter().cycle().skip(round % count).take(count) {
            let before = started.running.cpu_ns();
            let sample = drive(stand, options, set, started.address, options.seconds)?;
            let cpu_ns = started.running.cpu_ns().saturating_sub(before) as f64;
            for (measure, value) in [
                (Measure::CpuUs, cpu_ns / 1e3 / sample.done),
                (Measure::PerSecond, sample.done / sample.seconds),
                (Measure::P50Us, sample.p50_us),
                (Measure::P99Us, sample.p99_us),
                (Measure::Bad, sample.bad),
            ] {
                results.add(set, started.peer, measure, value);
            }
        }
    }
    Ok(())
}

fn drive(stand: &Stand, options: &Options, set: Set, to: SocketAddr, seconds: f64) -> Result<Sample, Failure> {
    let load = &stand.load;
    let large = |arguments: &str| {
        load.own(to, &words(&format!("closed --connections 4 --seconds 20 --requests {LARGE_BODIES} {arguments}")))
    };
    match set {
        Set::H2 => load.h2(to, seconds),
        Set::Tls => load.tls(to, seconds),
        Set::Down => large("--path /bytes/10000000"),
        Set::Up => large("--body 10000000"),
        Set::Rate => {
            let line =
                format!("open --connections {} --rate {} --seconds {seconds}", options.connections, options.rate);
            stand.load_asleep().own(to, &words(&line))
        }
        Set::Hardened | Set::Plain | Set::Idle | Set::Start => load.closed(to, seconds),
    }
}

/// Memory: after start, after load, and with kept connections that do nothing.
fn idle(stand: &Stand, options: &Options, results: &mut Results) -> Result<(), Failure> {
    let backend = stand.backend(Rest::Asleep)?;
    for peer in options.peers(Set::Idle) {
        let Some(started) = unless_missing(*peer, stand.start(*peer, Set::Idle, backend.address))? else { continue };
        let fresh = started.running.memory_kb() as f64;
        stand.load.closed(started.address, options.seconds)?;
        let loaded = started.running.memory_kb() as f64;
        let held = stand.hold(options.idle_connections, started.address)?;
        let full = started.running.memory_kb() as f64;
        held.release()?;
        results.add(Set::Idle, *peer, Measure::StartKb, fresh);
        results.add(Set::Idle, *peer, Measure::LoadedKb, loaded);
        results.add(Set::Idle, *peer, Measure::PerConnectionKb, (full - loaded) / options.idle_connections as f64);
    }
    Ok(())
}

/// From the start of the process to the end of the first answer's status line.
fn start(stand: &Stand, options: &Options, results: &mut Results) -> Result<(), Failure> {
    let backend = stand.backend(Rest::Asleep)?;
    for _ in 0..options.rounds {
        for peer in options.peers(Set::Start) {
            let site = stand.site(*peer, Set::Start, backend.address)?;
            let Some(program) = unless_missing(*peer, stand.program(*peer, &site))? else { continue };
            let began = Instant::now();
            // Without the words that put it on a core: each of them is a program of its own.
            let running = Running::start(program, &Place(Vec::new()), &site.folder)?;
            first_answer(site.listen)?;
            results.add(Set::Start, *peer, Measure::FirstAnswerMs, began.elapsed().as_secs_f64() * 1e3);
            drop(running);
        }
    }
    Ok(())
}

fn first_answer(address: SocketAddr) -> Result<(), Failure> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        if ask(address).is_ok_and(|head| head.starts_with("HTTP/1.1 200")) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Err(Failure::Found(format!("no answer from {address}")))
}

/// What repeats this run, without what only says where its results go.
fn command_line(typed: impl Iterator<Item = String>) -> String {
    let mut words = vec!["cargo xtask".to_owned()];
    let mut typed = typed.filter(|word| word != "--write");
    while let Some(word) = typed.next() {
        if word == "--json" {
            typed.next();
        } else {
            words.push(word);
        }
    }
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_says_nothing_about_files() {
        let typed = words("bench proxy --json /x/y --rounds 3 --write");
        assert_eq!(command_line(typed.into_iter()), "`cargo xtask bench proxy --rounds 3`");
    }
}
