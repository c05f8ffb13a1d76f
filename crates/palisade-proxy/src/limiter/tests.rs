//! Overload in virtual time: an application with a few threads and a queue without end, and more
//! requests than it can do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { floor: 16, ceiling: 1024 };

fn at(nanos: u64) -> Monotonic {
    Monotonic::from_nanos(nanos)
}

#[test]
fn a_share_of_the_process() {
    for (max, servers, workers, expected) in
        [(1024, 1, 1, (16, 1024)), (1024, 2, 8, (2, 256)), (8, 1, 2, (4, 4)), (1, 1, 64, (1, 1)), (0, 1, 0, (1, 1))]
    {
        let Bounds { floor, ceiling } = Bounds::share(max, servers, workers);
        assert_eq!((floor, ceiling), expected, "{max} {servers} {workers}");
    }
}

#[test]
fn beyond_the_limit_they_wait_and_beyond_the_queue_they_go() {
    let mut limiter = Limiter::new(Bounds { floor: 2, ceiling: 2 });
    let mut seen = Vec::new();
    for number in 0..5 {
        let arrival = limiter.arrive(at(0));
        if arrival == Arrival::Wait {
            assert_eq!(limiter.wait(number, at(0)).1, None);
        }
        seen.push(arrival);
    }
    assert_eq!(
        seen,
        [Arrival::Admit(Ticket(0)), Arrival::Admit(Ticket(1)), Arrival::Wait, Arrival::Wait, Arrival::Shed]
    );
    assert_eq!(limiter.next(at(1)), None);
    limiter.finish();
    assert_eq!(limiter.next(at(1)), Some((2, Turn::Admit(Ticket(2)))));
    assert_eq!(limiter.next(at(1)), None);
    // Nobody overtakes those who wait.
    limiter.finish();
    assert_eq!(limiter.arrive(at(1)), Arrival::Wait);
    // In a standing queue the oldest makes room for the newest.
    assert_eq!(limiter.wait(5, at(2)).1, None);
    assert_eq!(limiter.arrive(at(100_000_000)), Arrival::Wait);
    assert_eq!(limiter.wait(6, at(100_000_000)).1, Some(3));
}

/// What one run of the simulation saw.
struct Run {
    /// Answers in each second.
    goodput: f64,
    /// The 99th percentile of the time from arrival to answer, in milliseconds.
    p99: f64,
    limit: u32,
    shed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Answer(u64),
}

/// Requests at `rate` per second come to an application with `threads` threads that each need
/// `service` for one, more or less.
fn simulate(threads: usize, service: Duration, rate: f64, seconds: u64, seed: u64) -> Run {
    let service = service.as_nanos() as f64;
    simulate_any(threads, &|random| service * (0.5 + random), rate, seconds, seed)
}

/// The same with a time that `takes` makes of a random number between 0 and 1.
fn simulate_any(threads: usize, takes: &dyn Fn(f64) -> f64, rate: f64, seconds: u64, mut seed: u64) -> Run {
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 33) as f64 + 1.0) / (1u64 << 31) as f64
    };
    let end = seconds * 1_000_000_000;
    let mut limiter: Limiter<u64> = Limiter::new(BOUNDS);
    let mut events = BinaryHeap::from([Reverse((0, Event::Arrive))]);
    let mut free = threads;
    let mut inside = std::collections::VecDeque::new();
    // Of each request: when it arrived, and when it was admitted.
    let mut arrived: Vec<u64> = Vec::new();
    let mut admitted: std::collections::HashMap<u64, (u64, Ticket)> = std::collections::HashMap::new();
    let mut latencies = Vec::new();
    let mut shed = 0;
    while let Some(Reverse((now, event))) = events.pop() {
        if now > end {
            break;
        }
        let mut starts = Vec::new();
        match event {
            Event::Arrive => {
                let id = arrived.len() as u64;
                arrived.push(now);
                events.push(Reverse((now + (-random().ln() / rate * 1e9) as u64, Event::Arrive)));
                match limiter.arrive(at(now)) {
                    Arrival::Admit(ticket) => starts.push((id, ticket)),
                    Arrival::Wait => shed += usize::from(limiter.wait(id, at(now)).1.is_some()),
                    Arrival::Shed => shed += 1,
                }
            }
            Event::Answer(id) => {
                free += 1;
                latencies.push((now - arrived[id as usize]) as f64 / 1e6);
                let (began, ticket) = admitted[&id];
                limiter.answered(0, ticket, Duration::from_nanos(now - began), at(now));
                limiter.finish();
            }
        }
        while let Some((id, turn)) = limiter.next(at(now)) {
            match turn {
                Turn::Admit(ticket) => starts.push((id, ticket)),
                Turn::Shed => shed += 1,
            }
        }
        for (id, ticket) in starts {
            admitted.insert(id, (now, ticket));
            inside.push_back(id);
        }
        while free > 0
            && let Some(id) = inside.pop_front()
        {
            free -= 1;
            events.push(Reverse((now + takes(random()) as u64, Event::Answer(id))));
        }
    }
    latencies.sort_by(f64::total_cmp);
    let p99 = latencies[latencies.len() * 99 / 100];
    Run { goodput: latencies.len() as f64 / seconds as f64, p99, limit: limiter.limit(), shed }
}

#[test]
fn five_times_the_capacity_costs_little() {
    for (threads, millis) in [(8, 10), (24, 10), (64, 50), (200, 100), (4, 3), (32, 250)] {
        let service = Duration::from_millis(millis);
        let capacity = threads as f64 / service.as_secs_f64();
        let calm = simulate(threads, service, capacity * 0.8, 20, 7);
        let flood = simulate(threads, service, capacity * 5.0, 60, 7);
        let what = format!(
            "{threads} threads of {millis} ms: {:.0} of {capacity:.0}/s, p99 {:.0} ms, calm {:.0} ms, limit {}",
            flood.goodput, flood.p99, calm.p99, flood.limit
        );
        assert!(calm.goodput >= capacity * 0.8 * 0.95 && calm.shed == 0, "calm {} {}: {what}", calm.goodput, calm.shed);
        assert!(flood.goodput >= capacity * 0.9, "{what}");
        assert!(flood.p99 <= calm.p99 * 4.0, "{what}");
    }
}

#[test]
fn variety_is_no_overload() {
    let millis = 1e6;
    // An application that never makes anybody wait, with some 500 requests in flight from the
    // first second on, in which the limit finds its place.
    let exponential = |random: f64| -random.ln() * 100.0 * millis;
    let cached = |random: f64| if random < 0.2 { millis } else { 100.0 * millis };
    let mostly_cached = |random: f64| if random < 0.8 { millis } else { 100.0 * millis };
    let heavy = |random: f64| 20.0 * millis / random.powf(0.6);
    for (what, takes, rate) in [
        ("exponential", &exponential as &dyn Fn(f64) -> f64, 5_000.0),
        ("cached", &cached, 6_000.0),
        ("mostly cached", &mostly_cached, 20_000.0),
        ("heavy", &heavy, 8_000.0),
    ] {
        let run = simulate_any(usize::MAX, takes, rate, 20, 7);
        let shed = run.shed as f64 / (rate * 20.0);
        assert!(shed < 0.03, "{what}: {shed:.3} shed, limit {}", run.limit);
    }
}

#[test]
fn a_slow_start_is_not_held_against_what_comes_later() {
    // The first answers take their time, as those of a cold application do, or of a gateway with
    // many handshakes to do. Afterwards 64 clients are answered as fast as ever, all at once.
    for (first, later) in [(40, 2), (400, 20), (2_000, 20)] {
        let mut limiter: Limiter<()> = Limiter::new(BOUNDS);
        let mut now = 0;
        while now < 20_000_000_000 {
            let latency = Duration::from_millis(if now == 0 { first } else { later });
            let admit = |_| match limiter.arrive(at(now)) {
                Arrival::Admit(ticket) => Some(ticket),
                Arrival::Wait | Arrival::Shed => None,
            };
            let admitted: Vec<Ticket> = (0..64).map_while(admit).collect();
            now += latency.as_nanos() as u64;
            for ticket in admitted {
                limiter.answered(0, ticket, latency, at(now));
                limiter.finish();
            }
        }
        assert!(limiter.limit() >= 64, "{first} ms, then {later} ms: limit {}", limiter.limit());
    }
}

#[test]
fn a_slow_application_is_not_probed_all_the_time() {
    // Fifty answers at once, each half a minute long: a cohort takes its time.
    let run = simulate(50, Duration::from_secs(30), 5.0, 1800, 7);
    assert!(run.goodput >= 50.0 / 30.0 * 0.9, "{}", run.goodput);
}

#[test]
fn the_smallest_latency_does_not_drift() {
    let service = Duration::from_millis(250);
    let capacity = 32.0 / service.as_secs_f64();
    let run = simulate(32, service, capacity * 5.0, 480, 11);
    assert!(run.limit <= 32 * 4, "limit {}", run.limit);
    assert!(run.goodput >= capacity * 0.9, "{}", run.goodput);
}

proptest! {
    #[test]
    fn never_more_in_flight_than_the_ceiling(events in prop::collection::vec((0u8..4, 0u64..50), 1..400)) {
        let bounds = Bounds { floor: 2, ceiling: 9 };
        let mut limiter = Limiter::new(bounds);
        let (mut now, mut id) = (0, 0u64);
        let mut in_flight: Vec<Ticket> = Vec::new();
        for (kind, pause) in events {
            now += pause * 1_000_000;
            match kind {
                0 | 1 => match limiter.arrive(at(now)) {
                    Arrival::Admit(ticket) => in_flight.push(ticket),
                    Arrival::Wait => id = limiter.wait(id, at(now)).0,
                    Arrival::Shed => {}
                },
                2 => if let Some(ticket) = in_flight.pop() {
                    limiter.answered(0, ticket, Duration::from_millis(pause), at(now));
                    limiter.finish();
                }
                _ => limiter.leave(id),
            }
            while let Some((_, turn)) = limiter.next(at(now)) {
                if let Turn::Admit(ticket) = turn {
                    in_flight.push(ticket);
                }
            }
            prop_assert_eq!(limiter.in_flight() as usize, in_flight.len());
            prop_assert!(limiter.in_flight() <= bounds.ceiling);
            prop_assert!(limiter.waiting() <= bounds.ceiling as usize);
            prop_assert!(limiter.limit() >= 1 && limiter.limit() <= bounds.ceiling);
        }
    }
}
