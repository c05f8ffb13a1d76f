//! Decisions of limiters, timed: `limits SUBJECT CASE`.
//!
//! Subjects are `palisade` and `governor`. One process measures one case, so that memory is that of
//! the case. Prints one line of JSON.
//!
//! - `hot`: one address, one thread.
//! - `1m`, `10m`: so many addresses in random order, each of them known.
//! - `three`: `10m` with three limits on each request.
//! - `apart`, `same`: two threads over a million addresses of their own, or with one they share.
//! - `flood`: a hundred million addresses, each once, half of them IPv6; before it an address is
//!   exhausted, and during it another one asks at half its rate.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use benches::limiter::governor::Governor;
use benches::limiter::palisade::Palisade;
use benches::limiter::{Limiter, PER_MINUTE, v4, v6};

const MILLION: u32 = 1_000_000;

/// Time goes on by so much with every decision.
const STEP_NS: u64 = 100;

/// When it begins: late enough for every debt to lie behind it.
const START_NS: u64 = 1_000_000_000_000;

/// Decisions between two looks at the clock.
const BATCH: u32 = 1_024;

/// A table with room for ten live keys where twelve and a half could be.
const BYTES_PER_KEY: u64 = 20;

const TABLE_DEFAULT: u64 = 64 << 20;

/// What a case came to.
#[derive(Default)]
struct Outcome {
    decisions: u64,
    admitted: u64,
    took: Duration,
    /// Memory that came with the keys.
    grown_kb: u64,
    /// Keys that are alive at the end.
    live: u64,
    /// Decisions that were wrong.
    wrong: u64,
}

fn main() -> Result<(), String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [subject, case] = words.as_slice() else { return Err("limits SUBJECT CASE".to_owned()) };
    let (keys, limits) = match case.as_str() {
        "10m" => (10 * MILLION, 1),
        "three" => (10 * MILLION, 3),
        "flood" => (0, 1),
        _ => (MILLION, 1),
    };
    let before = resident_kb();
    let outcome = match subject.as_str() {
        "palisade" => {
            let bytes = if keys == 0 { TABLE_DEFAULT } else { u64::from(keys) * limits * BYTES_PER_KEY };
            let limiter = Palisade::new(bytes.max(1 << 20)).ok_or("no such table")?;
            let outcome = measure(&limiter, case, keys, before)?;
            Outcome { live: limiter.fill().used, ..outcome }
        }
        "governor" => {
            let limiter = Governor::new();
            let outcome = measure(&limiter, case, keys, before)?;
            Outcome { live: limiter.keys() as u64, ..outcome }
        }
        other => return Err(format!("`{other}` is neither palisade nor governor")),
    };
    let Outcome { decisions, admitted, took, grown_kb, live, wrong } = outcome;
    println!(
        "{{\"decisions\":{decisions},\"admitted\":{admitted},\"seconds\":{:.6},\"grown_kb\":{grown_kb},\
         \"live\":{live},\"wrong\":{wrong}}}",
        took.as_secs_f64()
    );
    Ok(())
}

/// `before` is the memory from before the limiter was made.
fn measure(limiter: &impl Limiter, case: &str, keys: u32, before: u64) -> Result<Outcome, String> {
    Ok(match case {
        "hot" => {
            limiter.one(v4(0));
            timed(limiter, 20 * MILLION, |_| limiter.one(v4(0)))
        }
        "1m" | "10m" => known(limiter, keys, before, |address| limiter.one(address)),
        "three" => known(limiter, keys, before, |address| limiter.three(address)),
        "apart" => apart(limiter),
        "same" => same(limiter),
        "flood" => flood(limiter, before),
        other => return Err(format!("`{other}` is no case")),
    })
}

/// So many decisions on this thread, one after the other.
fn timed(limiter: &impl Limiter, decisions: u32, decide: impl Fn(u32) -> bool) -> Outcome {
    let began = Instant::now();
    let mut admitted = 0;
    for number in 0..decisions {
        if number % BATCH == 0 {
            limiter.set_now(START_NS + u64::from(number) * STEP_NS);
        }
        admitted += u64::from(decide(number));
    }
    Outcome { decisions: decisions.into(), admitted, took: began.elapsed(), ..Outcome::default() }
}

/// Addresses in random order, all of which have asked before.
fn known(limiter: &impl Limiter, keys: u32, before: u64, decide: impl Fn(IpAddr) -> bool) -> Outcome {
    limiter.set_now(START_NS);
    for number in 0..keys {
        decide(v4(number));
    }
    let grown_kb = resident_kb().saturating_sub(before);
    let outcome = timed(limiter, 10 * MILLION, |number| decide(v4(scattered(number) % keys)));
    Outcome { grown_kb, ..outcome }
}

/// Two threads, each with addresses of its own.
fn apart(limiter: &impl Limiter) -> Outcome {
    let decisions = 10 * MILLION;
    let began = Instant::now();
    let admitted = std::thread::scope(|scope| {
        let threads = [0, MILLION].map(|first| {
            scope.spawn(move || {
                let ask = |number| limiter.one(v4(first + scattered(number) % MILLION));
                (0..decisions).map(|number| u64::from(ask(number))).sum::<u64>()
            })
        });
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
    });
    Outcome { decisions: u64::from(decisions) * 2, admitted, took: began.elapsed(), ..Outcome::default() }
}

/// Two threads and one address: how many are admitted is known.
fn same(limiter: &impl Limiter) -> Outcome {
    let decisions = 5 * MILLION;
    limiter.set_now(START_NS);
    let began = Instant::now();
    let admitted = std::thread::scope(|scope| {
        let threads =
            [(); 2].map(|()| scope.spawn(|| (0..decisions).map(|_| u64::from(limiter.one(v4(0)))).sum::<u64>()));
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum::<u64>()
    });
    let wrong = admitted.abs_diff(PER_MINUTE.into());
    Outcome { decisions: u64::from(decisions) * 2, admitted, took: began.elapsed(), wrong, ..Outcome::default() }
}

/// Every address once, while two others go on asking.
fn flood(limiter: &impl Limiter, before: u64) -> Outcome {
    const FLOOD: u32 = 100 * MILLION;
    // A flood of half a minute, in which an exhausted address stays so.
    const STEP_NS: u64 = 300;
    let [exhausted, honest] = [v4(u32::MAX), v4(u32::MAX - 1)];
    limiter.set_now(START_NS);
    for _ in 0..PER_MINUTE {
        limiter.one(exhausted);
    }
    let began = Instant::now();
    let (mut admitted, mut wrong, mut now_ns) = (0, 0, START_NS);
    // Half its rate: once in 0.4 s.
    let mut honest_at = now_ns;
    for number in 0..FLOOD {
        if number % BATCH == 0 {
            now_ns = START_NS + u64::from(number) * STEP_NS;
            limiter.set_now(now_ns);
            if now_ns >= honest_at {
                honest_at += 400_000_000;
                wrong += u64::from(!limiter.one(honest));
            }
        }
        let address = if number % 2 == 0 { v4(number) } else { v6(number) };
        admitted += u64::from(limiter.one(address));
    }
    let (took, grown_kb) = (began.elapsed(), resident_kb().saturating_sub(before));
    // What has melted meanwhile may be asked for, and not one request more.
    let melted = (now_ns - START_NS) * u64::from(PER_MINUTE) / 60_000_000_000;
    let again: u64 = (0..PER_MINUTE).map(|_| u64::from(limiter.one(exhausted))).sum();
    wrong += again.saturating_sub(melted + 1);
    Outcome { decisions: FLOOD.into(), admitted, took, grown_kb, wrong, ..Outcome::default() }
}

/// A number that looks nothing like the one before it.
fn scattered(number: u32) -> u32 {
    let mixed = (number ^ (number >> 16)).wrapping_mul(0x7feb_352d);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x846c_a68b);
    mixed ^ (mixed >> 16)
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or_default()
}
