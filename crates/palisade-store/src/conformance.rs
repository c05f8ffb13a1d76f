//! What every backend of counters must do, run over each of them.
//!
//! The oracle is as naive as can be: a map from key to melt-off instant and core's pure step. A
//! backend may differ from it in nothing.

use std::collections::HashMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use palisade_core::charge::TableSize;
use palisade_core::{Charge, KeyHash, Monotonic, Now, Rate, Utc, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::counters::memory::Table;
use crate::{Counters, StoreError};

const SECOND: u64 = 1_000_000_000;

/// Every backend, empty.
fn backends() -> Vec<Counters> {
    vec![Counters::Memory(Table::new(TableSize::MIN))]
}

/// The value of a future that doesn't wait.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("memory never waits"),
    }
}

fn at(nanos: u64) -> Now {
    Now { monotonic: Monotonic::from_nanos(nanos), utc: Utc::from_nanos(nanos) }
}

fn rate(count: u32, window_s: u64, burst: u32) -> Rate {
    Rate::new(count, Duration::from_secs(window_s), burst).unwrap()
}

/// Keys differ in both halves, as hashes do.
fn key(number: u64) -> KeyHash {
    let spread = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    KeyHash((u128::from(spread) << 64) | u128::from(spread.rotate_left(29)))
}

fn charge(number: u64, rate: Rate, cost: u32) -> Charge {
    Charge { key: key(number), rate, cost }
}

fn take(counters: &Counters, charges: &[Charge], nanos: u64) -> Vec<Verdict> {
    counters.take(charges, at(nanos)).unwrap().to_vec()
}

/// `ok` or `no`, what remains, seconds to the next unit, seconds to wait.
fn told(verdicts: &[Verdict]) -> Vec<String> {
    let told = verdicts.iter().map(|verdict| {
        let word = if verdict.allowed { "ok" } else { "no" };
        let next = verdict.next_unit.map_or("full".to_owned(), |next| next.as_secs_f64().to_string());
        format!("{word} r={} next={next} wait={}", verdict.remaining, verdict.retry_after.as_secs_f64())
    });
    told.collect()
}

#[test]
fn a_step_charges_all_or_nothing() {
    for counters in backends() {
        let (loose, tight) = (charge(1, rate(5, 600, 5), 1), charge(2, rate(3, 3600, 3), 1));
        for left in [(4, 2), (3, 1), (2, 0)] {
            let verdicts = take(&counters, &[loose, tight], SECOND);
            assert_eq!((verdicts[0].remaining, verdicts[1].remaining), left);
        }
        let refused = ["ok r=2 next=120 wait=0", "no r=0 next=1200 wait=1200"];
        assert_eq!(told(&take(&counters, &[loose, tight], SECOND)), refused);
        assert_eq!(told(&take(&counters, &[tight, loose], SECOND)), [refused[1], refused[0]]);
        assert_eq!(told(&take(&counters, &[loose], SECOND)), ["ok r=1 next=120 wait=0"]);
    }
}

#[test]
fn the_last_instant_refuses_and_the_next_allows() {
    for counters in backends() {
        let one = charge(1, rate(5, 600, 5), 1);
        assert_eq!(told(&take(&counters, &[Charge { cost: 5, ..one }], SECOND)), ["ok r=0 next=120 wait=0"]);
        let fits = SECOND + 120 * SECOND;
        assert_eq!(told(&take(&counters, &[one], fits - 1)), ["no r=0 next=0.000000001 wait=0.000000001"]);
        assert_eq!(told(&take(&counters, &[one], fits)), ["ok r=0 next=120 wait=0"]);
        assert_eq!(told(&take(&counters, &[one], fits + 600 * SECOND)), ["ok r=4 next=120 wait=0"]);
    }
}

#[test]
fn a_changed_rate_keeps_what_was_used() {
    for counters in backends() {
        take(&counters, &[charge(1, rate(5, 600, 5), 5)], SECOND);
        assert_eq!(told(&take(&counters, &[charge(1, rate(10, 600, 10), 1)], SECOND)), ["no r=0 next=60 wait=60"]);
    }
}

#[test]
fn a_key_charged_twice_in_a_step_pays_twice() {
    for counters in backends() {
        let one = charge(1, rate(3, 3, 3), 1);
        assert_eq!(told(&take(&counters, &[one, one], 0)), ["ok r=2 next=1 wait=0", "ok r=1 next=1 wait=0"]);
        assert!(!take(&counters, &[one, one], 0)[1].allowed);
        assert!(take(&counters, &[one], 0)[0].allowed);
    }
}

#[test]
fn a_step_holds_sixteen_charges() {
    for counters in backends() {
        let charges: Vec<Charge> = (0..17).map(|number| charge(number, rate(1, 1, 1), 1)).collect();
        assert_eq!(counters.take(&charges, at(0)), Err(StoreError::TooManyCharges { asked: 17 }));
        assert!(take(&counters, &charges[..16], 0).iter().all(|verdict| verdict.allowed));
        assert!(take(&counters, &[], 0).is_empty());
    }
}

#[test]
fn threads_admit_exactly_the_burst() {
    const THREADS: u64 = 4;
    const TRIES: u64 = 2_000;
    for counters in backends() {
        let (counters, shared, step) = (&counters, rate(3_000, 3_600, 3_000), rate(1_000_000, 3_600, 1_000_000));
        let admitted: u64 = std::thread::scope(|scope| {
            let threads = (0..THREADS).map(|thread| {
                scope.spawn(move || {
                    let own = charge(100 + thread, step, 1);
                    let all = charge(1, shared, 1);
                    // Both orders, so that locks taken as they come would deadlock.
                    let steps = [[own, all], [all, own]];
                    let admitted = steps.iter().cycle().take(TRIES as usize).filter(|charges| {
                        let verdicts = take(counters, *charges, SECOND);
                        verdicts.iter().all(|verdict| verdict.allowed)
                    });
                    let admitted = admitted.count() as u64;
                    let left = take(counters, &[Charge { cost: 0, ..own }], SECOND)[0].remaining;
                    assert_eq!(u64::from(left), 1_000_000 - admitted, "only what was admitted is charged");
                    admitted
                })
            });
            threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 3_000);
    }
}

/// The oracle.
#[derive(Default)]
struct Naive(HashMap<KeyHash, u64>);

impl Naive {
    fn take(&mut self, charges: &[Charge], now: u64) -> Vec<Verdict> {
        let mut after = self.0.clone();
        let step = |melt_offs: &mut HashMap<KeyHash, u64>, charge: &Charge, cost| {
            let melt_off = melt_offs.entry(charge.key).or_default();
            let (verdict, next) = charge.rate.step(*melt_off, now, cost);
            *melt_off = next;
            verdict
        };
        let verdicts: Vec<Verdict> = charges.iter().map(|charge| step(&mut after, charge, charge.cost)).collect();
        if verdicts.iter().all(|verdict| verdict.allowed) {
            self.0 = after;
            return verdicts;
        }
        let told = charges
            .iter()
            .zip(verdicts)
            .map(|(charge, verdict)| if verdict.allowed { step(&mut self.0.clone(), charge, 0) } else { verdict });
        told.collect()
    }
}

#[derive(Clone, Debug)]
struct Step {
    /// Nanoseconds since the step before.
    pause: u64,
    charges: Vec<Charge>,
}

fn any_step() -> impl Strategy<Value = Step> {
    let rates = [rate(5, 600, 5), rate(3, 1, 10), rate(7, 60, 4), rate(1_000, 1, 5)];
    let any_charge = (0_u64..8, proptest::sample::select(rates.to_vec()), 1_u32..5);
    let pause = prop_oneof![Just(0), Just(1), 0..SECOND, 0..600 * SECOND];
    (pause, vec(any_charge.prop_map(|(number, rate, cost)| charge(number, rate, cost)), 0..4))
        .prop_map(|(pause, charges)| Step { pause, charges })
}

proptest! {
    #[test]
    fn random_traces_equal_the_oracle(trace in vec(any_step(), 0..60)) {
        for counters in backends() {
            let (mut naive, mut now) = (Naive::default(), 0);
            for Step { pause, charges } in &trace {
                now += pause;
                prop_assert_eq!(take(&counters, charges, now), naive.take(charges, now));
            }
        }
    }
}
