//! `cargo xtask soak`: millions of mixed requests, honest and not, and what becomes of the memory.
//!
//! A leak of a few bytes per request, per aborted body or per refused connection is seen in no test
//! and in every process that lives for weeks. So: resident memory may be no higher at the end than
//! it was once everything had warmed up, and no honest request may have failed meanwhile.
//! `cargo xtask soak addresses` is about addresses instead of requests.

pub(crate) mod addresses;
mod client;
mod mix;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;

use crate::arguments::Arguments;
use crate::bench::machine::{free_port, raise_descriptors};
use crate::bench::process::{Place, Program, Running};
use crate::bench::stand::{self, Rest};
use crate::failure::Failure;
use crate::root::{Root, write};
use mix::Random;

const REQUESTS: u64 = 10_000_000;

/// Clients at work, each with one connection at a time.
const CLIENTS: u64 = 24;

/// One in so many requests a sample: every 2 %.
const SAMPLES: u64 = 50;

/// By how much the memory at the end may be above that of the second quarter; both must be passed
/// for it to count.
const GROWTH_MAX: f64 = 1.10;
const GROWTH_KB_MAX: u64 = 4 << 10;

/// So many failures say what is wrong; more only fill the screen.
const FAILURES_SHOWN: usize = 20;

const START: Duration = Duration::from_secs(20);

/// What the clients share.
struct Shared {
    to: SocketAddr,
    wanted: u64,
    done: AtomicU64,
    is_over: AtomicBool,
    failures: Mutex<Vec<String>>,
}

pub(crate) fn run(root: &Root, mut arguments: Arguments) -> Result<(), Failure> {
    if arguments.flag("addresses") {
        return addresses::run(root, arguments);
    }
    let wanted = arguments.value("--requests")?.unwrap_or(REQUESTS);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seed = arguments.value("--seed")?.unwrap_or(now.as_secs());
    let palisade: Option<PathBuf> = arguments.value("--palisade")?;
    arguments.end()?;
    if wanted < SAMPLES * CLIENTS {
        return Err(Failure::Usage(format!("fewer than {} requests show nothing", SAMPLES * CLIENTS)));
    }
    stand::build(root, palisade.as_deref())?;
    raise_descriptors()?;
    let palisade = palisade.unwrap_or(root.join("target/release/palisade"));
    let palisade = std::path::absolute(&palisade).map_err(Failure::file(palisade))?;
    let folder = tempfile::tempdir().map_err(Failure::file("a temporary folder"))?;
    let place = Place(["setpriv", "--pdeathsig", "TERM"].map(str::to_owned).to_vec());
    let backend = stand::backend(root, &place, folder.path(), Rest::Asleep)?;
    let (to, mut running) = start(&palisade, &place, folder.path(), backend.address)?;
    println!("{wanted} requests from {CLIENTS} clients to {}, --seed {seed}", palisade.display());
    let shared = Shared {
        to,
        wanted,
        done: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        failures: Mutex::new(Vec::new()),
    };
    let samples = thread::scope(|scope| {
        for client in 0..CLIENTS {
            let random = Random::new(seed.wrapping_add(client.wrapping_mul(0x9e37_79b9)));
            scope.spawn(|| work(&shared, random));
        }
        let samples = watch(&shared, &running);
        shared.is_over.store(true, Ordering::Relaxed);
        samples
    });
    running.stop(Signal::TERM);
    let failures = shared.failures.into_inner().unwrap_or_default();
    judge(&samples, &failures)
}

/// The configuration that is measured too: limits, headers, log, metrics; the log stays short.
fn start(
    palisade: &Path,
    place: &Place,
    folder: &Path,
    upstream: SocketAddr,
) -> Result<(SocketAddr, Running), Failure> {
    let (listen, admin) = (free_port()?, free_port()?);
    let text = format!(
        r#"[app]
listen = "{listen}"
upstream = "http://{upstream}"
public_url = "https://app.example.com"
drain_delay = "0s"
max_connections_per_address = 10000

[limits]
per_ip = "62500/s burst 100000000"

[log]
access = {{ file = "{log}", rotate = "64MiB", keep = 1 }}

[admin]
listen = "{admin}"
"#,
        log = folder.join("access.log").display(),
    );
    Ok((listen, listening(palisade, place, folder, listen, &text)?))
}

/// Starts it with this configuration and waits until it listens.
fn listening(
    palisade: &Path,
    place: &Place,
    folder: &Path,
    listen: SocketAddr,
    text: &str,
) -> Result<Running, Failure> {
    let config = folder.join("palisade.toml");
    write(&config, text)?;
    let program = Program::new(palisade.display().to_string(), ["run", "--config", &config.display().to_string()]);
    let mut running = Running::start(program, place, folder)?;
    running.listens(listen, START).map_err(|failure| {
        let said = std::fs::read_to_string(folder.join("said")).unwrap_or_default();
        Failure::Found(format!("{failure}\n{said}"))
    })?;
    Ok(running)
}

/// One client, until everything was sent.
fn work(shared: &Shared, mut random: Random) {
    let mut kept = None;
    while !shared.is_over.load(Ordering::Relaxed) && shared.done.load(Ordering::Relaxed) < shared.wanted {
        let act = random.act();
        match mix::perform(&act, &mut random, &mut kept, shared.to) {
            Ok(requests) => {
                shared.done.fetch_add(requests, Ordering::Relaxed);
            }
            Err(why) => {
                kept = None;
                shared.done.fetch_add(1, Ordering::Relaxed);
                if let Ok(mut failures) = shared.failures.lock() {
                    failures.push(format!("{act:?}: {why}"));
                }
            }
        }
    }
}

/// Resident memory in KB, one sample every so many requests, while it is shown how things go.
fn watch(shared: &Shared, running: &Running) -> Vec<u64> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while (samples.len() as u64) < SAMPLES {
        let done = shared.done.load(Ordering::Relaxed);
        let due = shared.wanted * (samples.len() as u64 + 1) / SAMPLES;
        let failed = shared.failures.lock().map_or(0, |failures| failures.len());
        if done < due && failed < FAILURES_SHOWN {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        samples.push(running.memory_kb());
        println!(
            "{:>3} %  {done:>9} requests  {:>6.0}/s  {:>7} KB  {failed} failed",
            samples.len() as u64 * 100 / SAMPLES,
            done as f64 / began.elapsed().as_secs_f64(),
            samples.last().copied().unwrap_or_default(),
        );
        if failed >= FAILURES_SHOWN {
            break;
        }
    }
    samples
}

fn judge(samples: &[u64], failures: &[String]) -> Result<(), Failure> {
    if !failures.is_empty() {
        let shown: Vec<&str> = failures.iter().take(FAILURES_SHOWN).map(String::as_str).collect();
        return Err(Failure::Found(format!("{} honest requests failed:\n{}", failures.len(), shown.join("\n"))));
    }
    let quarter = samples.len() / 4;
    let (second, last) =
        (median(samples, quarter..2 * quarter), median(samples, samples.len() - quarter..samples.len()));
    println!("second quarter {second} KB, last quarter {last} KB");
    let grows = last as f64 > second as f64 * GROWTH_MAX && last > second + GROWTH_KB_MAX;
    if grows { Err(Failure::Found("the memory grows".to_owned())) } else { Ok(()) }
}

fn median(samples: &[u64], part: std::ops::Range<usize>) -> u64 {
    let mut part = samples.get(part).unwrap_or_default().to_vec();
    part.sort_unstable();
    part.get(part.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(memory_kb: impl Fn(u64) -> u64, failures: &[&str], expected: Option<&str>) {
        let samples: Vec<u64> = (0..SAMPLES).map(memory_kb).collect();
        let failures: Vec<String> = failures.iter().map(|failure| (*failure).to_owned()).collect();
        let said = judge(&samples, &failures).err().map(|failure| failure.to_string());
        assert_eq!(said.as_deref(), expected);
    }

    #[test]
    fn growth_counts_when_it_is_large_and_goes_on() {
        check(|_| 20_000, &[], None);
        // Warm in the first quarter.
        check(|at| if at < 12 { 1_000 + at * 2_000 } else { 30_000 }, &[], None);
        // Large, and not beside what there is.
        check(|at| 100_000 + at * 200, &[], None);
        // A large part of little.
        check(|at| 10_000 + at * 100, &[], None);
        check(|at| 20_000 + at * 200, &[], Some("the memory grows"));
        check(|_| 20_000, &["Get: 500"], Some("1 honest requests failed:\nGet: 500"));
    }
}
