//! What every backend of counters must do, run over each of them.
//!
//! The oracle is as naive as can be: a map from key to melt-off instant and core's pure step. A
//! backend may differ from it in nothing.

use std::collections::HashMap;
use std::time::Duration;

use palisade_core::charge::{BanRule, Calendar, Fit, Quota, Standing, Standoff, State, Step, Unsettled, settle, step};
use palisade_core::{Ban, Bound, Charge, Charges, KeyHash, Monotonic, Now, Rate, Spend, Utc, Verdict, Verdicts};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::testing::{Backend, Servers};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

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

fn charge(number: u64, rate: Rate, amount: u32) -> Charge {
    Charge { item: 0, key: key(number), bound: Bound::Rate(rate), amount, spend: Spend::Now }
}

fn all(list: &[Charge]) -> Charges {
    let mut charges = Charges::default();
    list.iter().for_each(|charge| charges.push(*charge));
    charges
}

fn take(counters: &Backend, list: &[Charge], nanos: u64) -> Verdicts {
    counters.take(&all(list), at(nanos)).0
}

/// `ok` or `no`, what remains, seconds to the next unit, seconds to wait.
fn told(verdicts: &Verdicts) -> Vec<String> {
    let told = verdicts.list.iter().map(|Verdict { fit, remaining, next_unit, retry_after }| {
        let word = match fit {
            Fit::Fits => "ok",
            Fit::Spent => "no",
            Fit::Reserved => "held",
            Fit::Waived | Fit::Unavailable => "away",
        };
        let next = next_unit.map_or("none".to_owned(), |next| next.as_secs_f64().to_string());
        format!("{word} r={remaining} next={next} wait={}", retry_after.as_secs_f64())
    });
    told.collect()
}

#[test]
fn a_step_charges_all_or_nothing() {
    for counters in Servers::start().backends() {
        let (loose, tight) = (charge(1, rate(5, 600, 5), 1), charge(2, rate(3, 3600, 3), 1));
        for left in [(4, 2), (3, 1), (2, 0)] {
            let verdicts = take(&counters, &[loose, tight], SECOND);
            assert_eq!((verdicts.list[0].remaining, verdicts.list[1].remaining), left);
        }
        let refused = ["ok r=2 next=120 wait=0", "no r=0 next=1200 wait=1200"];
        assert_eq!(told(&take(&counters, &[loose, tight], SECOND)), refused);
        assert_eq!(told(&take(&counters, &[tight, loose], SECOND)), [refused[1], refused[0]]);
        assert_eq!(told(&take(&counters, &[loose], SECOND)), ["ok r=1 next=120 wait=0"]);
    }
}

#[test]
fn kinds_share_a_step() {
    let quota = Bound::Quota(Quota::new(3, Calendar::Day).unwrap());
    for counters in Servers::start().backends() {
        let kinds = [
            charge(1, rate(5, 600, 5), 1),
            Charge { bound: quota, ..charge(2, rate(1, 1, 1), 1) },
            Charge { bound: Bound::Slots(2), ..charge(3, rate(1, 1, 1), 1) },
        ];
        let tickets = [(); 2].map(|()| {
            let (verdicts, ticket) = counters.take(&all(&kinds), at(SECOND));
            assert!(verdicts.admit());
            ticket
        });
        let refused = ["ok r=3 next=120 wait=0", "ok r=1 next=86399 wait=0", "no r=0 next=none wait=1"];
        assert_eq!(told(&take(&counters, &kinds, SECOND)), refused, "nothing of it is charged");
        counters.settle(&kinds[2], tickets[0], 0, at(SECOND));
        assert!(take(&counters, &kinds, SECOND).admit());
        counters.settle(&kinds[2], tickets[1], 0, at(SECOND));
        let refused = ["ok r=2 next=120 wait=0", "no r=0 next=86399 wait=86399", "ok r=1 next=none wait=0"];
        assert_eq!(told(&take(&counters, &kinds, SECOND)), refused);
        let day = 86_400 * SECOND;
        assert!(!take(&counters, &kinds, day - 1).admit());
        assert!(take(&counters, &kinds, day).admit());
    }
}

#[test]
fn the_last_instant_refuses_and_the_next_allows() {
    for counters in Servers::start().backends() {
        let one = charge(1, rate(5, 600, 5), 1);
        assert_eq!(told(&take(&counters, &[Charge { amount: 5, ..one }], SECOND)), ["ok r=0 next=120 wait=0"]);
        let fits = SECOND + 120 * SECOND;
        assert_eq!(told(&take(&counters, &[one], fits - 1)), ["no r=0 next=0.000000001 wait=0.000000001"]);
        assert_eq!(told(&take(&counters, &[one], fits)), ["ok r=0 next=120 wait=0"]);
        assert_eq!(told(&take(&counters, &[one], fits + 600 * SECOND)), ["ok r=4 next=120 wait=0"]);
    }
}

#[test]
fn a_changed_rate_keeps_what_was_used() {
    for counters in Servers::start().backends() {
        take(&counters, &[charge(1, rate(5, 600, 5), 5)], SECOND);
        assert_eq!(told(&take(&counters, &[charge(1, rate(10, 600, 10), 1)], SECOND)), ["no r=0 next=60 wait=60"]);
    }
}

/// A faster rate owes less: the wait that is told is the wait that there is.
#[test]
fn a_raised_rate_locks_nobody_out() {
    for counters in Servers::start().backends() {
        take(&counters, &[charge(1, rate(5, 600, 5), 5)], SECOND);
        let fast = charge(1, rate(600, 60, 6), 1);
        assert_eq!(told(&take(&counters, &[fast], SECOND)), ["no r=0 next=0.1 wait=0.1"]);
        assert_eq!(told(&take(&counters, &[fast], SECOND + SECOND / 10)), ["ok r=0 next=0.1 wait=0"]);
    }
}

#[test]
fn a_key_charged_twice_in_a_step_pays_twice() {
    for counters in Servers::start().backends() {
        let one = charge(1, rate(3, 3, 3), 1);
        assert_eq!(told(&take(&counters, &[one, one], 0)), ["ok r=2 next=1 wait=0", "ok r=1 next=1 wait=0"]);
        assert!(!take(&counters, &[one, one], 0).admit());
        assert!(take(&counters, &[one], 0).admit());
        assert!(take(&counters, &[], 0).admit());
    }
}

#[test]
fn reservations_stand_in_the_way_until_they_are_settled() {
    for counters in Servers::start().backends() {
        let one = Charge {
            spend: Spend::Reserve { life: 60 * SECOND, unsettled: Unsettled::Spend },
            ..charge(1, rate(3, 900, 3), 1)
        };
        let [first, tickets @ ..] = [(); 3].map(|()| {
            let (verdicts, ticket) = counters.take(&all(&[one]), at(SECOND));
            assert!(verdicts.admit());
            ticket
        });
        assert_eq!(told(&take(&counters, &[one], SECOND)), ["held r=0 next=300 wait=1"]);
        counters.settle(&one, first, 0, at(SECOND));
        for ticket in tickets {
            counters.settle(&one, ticket, 1, at(SECOND));
        }
        assert_eq!(told(&take(&counters, &[one], SECOND)), ["ok r=0 next=300 wait=0"]);
        // Never settled: spent when its life is over.
        assert_eq!(told(&take(&counters, &[one], 130 * SECOND)), ["no r=0 next=171 wait=171"]);
    }
}

#[test]
fn a_reservation_is_settled_when_its_life_was_changed() {
    for counters in Servers::start().backends() {
        let lasting = |life_s| Charge {
            spend: Spend::Reserve { life: life_s * SECOND, unsettled: Unsettled::Spend },
            ..charge(1, rate(3, 900, 3), 1)
        };
        let ticket = counters.take(&all(&[lasting(30)]), at(20 * SECOND)).1;
        // Its own epoch is over, and it was taken along into this one.
        assert_eq!(told(&take(&counters, &[lasting(45)], 50 * SECOND)), ["ok r=1 next=300 wait=0"]);
        counters.settle(&lasting(30), ticket, 0, at(50 * SECOND));
        assert_eq!(told(&take(&counters, &[lasting(45)], 50 * SECOND)), ["ok r=1 next=300 wait=0"]);
    }
}

#[test]
fn a_ban_is_its_keys_own() {
    let rule = BanRule::new(2, Duration::from_secs(60), &[Duration::from_secs(60)]).unwrap();
    for counters in Servers::start().backends() {
        let ask = |number, nanos| {
            let mut charges = all(&[charge(number, rate(1, 600, 1), 1)]);
            charges.ban(Ban { item: 0, key: key(100 + number), first: 0, end: 1, rule: rule.clone() });
            counters.take(&charges, at(nanos)).0.bans[0]
        };
        let minute = Duration::from_secs(60);
        assert_eq!([ask(1, 0), ask(1, 0), ask(1, 0)], [Standoff::Clear, Standoff::Clear, Standoff::Begins(minute)]);
        assert_eq!([ask(1, 1), ask(2, 1)], [Standoff::Lasts(minute - Duration::from_nanos(1)), Standoff::Clear]);
        let mut charges = Charges::default();
        charges.ban(Ban { item: 0, key: key(101), first: 0, end: 0, rule: rule.clone() });
        counters.reset(&charges, at(1));
        assert_eq!(ask(1, 2), Standoff::Clear);
    }
}

#[test]
fn windows_end_where_the_calendar_says() {
    // Five years around a leap year that is divisible by 400, and around one that is none by 100.
    let days = (10_957..12_784).chain(47_116..48_942);
    let quotas = Calendar::ALL.map(|per| Bound::Quota(Quota::new(9, per).unwrap()));
    let asked: Vec<_> = quotas
        .into_iter()
        .zip(0..)
        .map(|(bound, number)| Charge { bound, ..charge(number, rate(1, 1, 1), 1) })
        .collect();
    let nanos: Vec<_> = days.flat_map(|day| [day * DAY, (day + 1) * DAY - 1]).collect();
    let servers = Servers::start();
    let backends = servers.backends();
    let ends = |counters: &Backend, nanos| counters.inspect(&all(&asked), at(nanos)).0;
    for nanos in nanos {
        let expected = ends(&backends[0], nanos);
        backends.iter().for_each(|counters| assert_eq!(ends(counters, nanos), expected, "{nanos}"));
    }
}

#[test]
fn threads_admit_exactly_the_burst() {
    const THREADS: u64 = 4;
    const TRIES: u64 = 2_000;
    for counters in Servers::start().backends() {
        let (counters, shared, own) = (&counters, rate(3_000, 3_600, 3_000), rate(1_000_000, 3_600, 1_000_000));
        let admitted: u64 = std::thread::scope(|scope| {
            let threads = (0..THREADS).map(|thread| {
                scope.spawn(move || {
                    let own = charge(100 + thread, own, 1);
                    let all = charge(1, shared, 1);
                    // Both orders, so that locks taken as they come would deadlock.
                    let steps = [[own, all], [all, own]];
                    let steps = steps.iter().cycle().take(TRIES as usize);
                    let admitted = steps.filter(|charges| take(counters, *charges, SECOND).admit()).count() as u64;
                    let left = take(counters, &[Charge { amount: 0, ..own }], SECOND).list[0].remaining;
                    assert_eq!(u64::from(left), 1_000_000 - admitted, "only what was admitted is charged");
                    admitted
                })
            });
            threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 3_000);
    }
}

/// The oracle: maps, and the pure step over them.
#[derive(Clone, Default)]
struct Naive {
    states: HashMap<KeyHash, State>,
    standings: HashMap<KeyHash, Standing>,
}

impl Naive {
    fn states(&self, charges: &Charges) -> Vec<State> {
        charges.list.iter().map(|charge| self.states.get(&charge.key).copied().unwrap_or_default()).collect()
    }

    fn take(&mut self, charges: &Charges, now: Now) -> Verdicts {
        let (mut states, mut verdicts) = (self.states(charges), Verdicts::default());
        let standing = |ban: &Ban| self.standings.get(&ban.key).cloned().unwrap_or_default();
        let mut standings: Vec<_> = charges.bans.iter().map(standing).collect();
        match step(charges, &mut states, &mut standings, now, &mut verdicts) {
            Step::Made => {
                for (place, charge) in charges.list.iter().enumerate() {
                    self.states.insert(charge.key, states[charges.first_of(place)]);
                }
            }
            Step::Refused => {
                for charge in &charges.list {
                    let state = self.states.get(&charge.key).copied().unwrap_or_default();
                    self.states.extend(charge.cut(state, now).map(|state| (charge.key, state)));
                }
                self.standings.extend(charges.bans.iter().map(|ban| ban.key).zip(standings));
                charges.tell_uncharged(&mut self.states(charges), now, &mut verdicts);
            }
        }
        verdicts
    }

    fn inspect(&self, charges: &Charges, now: Now) -> (Verdicts, Vec<u32>) {
        let (mut states, mut verdicts) = (self.states(charges), Verdicts::default());
        let standing = |ban: &Ban| self.standings.get(&ban.key).cloned().unwrap_or_default();
        let standings: Vec<_> = charges.bans.iter().map(standing).collect();
        charges.look(&mut states, &standings, now, &mut verdicts);
        (verdicts, states.iter().map(|state| state.pending.units()).collect())
    }

    fn settle(&mut self, charge: &Charge, taken: Now, used: u32, now: Now) {
        settle(charge, self.states.entry(charge.key).or_default(), taken.monotonic, used, now);
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// Charges are asked for, of these kinds and amounts.
    Take(Vec<(u64, u32)>),
    /// The oldest reservation is settled.
    Settle(u32),
}

fn any_event() -> impl Strategy<Value = (u64, Event)> {
    let pause = prop_oneof![4 => Just(0), 4 => Just(1), 4 => 0..SECOND, 4 => 0..600 * SECOND, 1 => 0..40 * DAY];
    let event = prop_oneof![
        3 => vec((0_u64..18, 1_u32..5), 0..4).prop_map(Event::Take),
        1 => (0_u32..9).prop_map(Event::Settle),
    ];
    (pause, event)
}

/// From the beginning of the clock to the year 2100.
fn any_start() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..47_482 * DAY]
}

/// Counters of every kind, by number.
fn of_kind(number: u64, amount: u32) -> Charge {
    let reserve = Spend::Reserve { life: 30 * SECOND, unsettled: Unsettled::Spend };
    let rates = [rate(5, 600, 5), rate(3, 1, 10), rate(7, 60, 4), rate(1_000, 1, 5)];
    let charge = charge(number, rates[number as usize % rates.len()], amount);
    match number {
        0..4 => charge,
        17 => Charge { bound: Bound::Rate(rate(600, 60, 6)), ..of_kind(0, amount) },
        4 | 5 => Charge { spend: reserve, ..charge },
        6 | 7 => Charge { bound: Bound::Quota(Quota::new(9, Calendar::Hour).unwrap()), ..charge },
        8 => Charge { bound: Bound::Quota(Quota::new(9, Calendar::Minute).unwrap()), spend: reserve, ..charge },
        9 => Charge { bound: Bound::Slots(4), ..charge },
        // The longest there is: what it owes at most is near to what a double tells exactly.
        13 => Charge { bound: Bound::Rate(rate(5, 31 * DAY / SECOND, 5)), spend: reserve, ..charge },
        // Counters from above as another configuration has them.
        14 => Charge { spend: Spend::Reserve { life: 45 * SECOND, unsettled: Unsettled::Spend }, ..of_kind(4, amount) },
        15 => Charge { bound: Bound::Quota(Quota::new(9, Calendar::Day).unwrap()), ..of_kind(6, amount) },
        16 => Charge { bound: Bound::Quota(Quota::new(9, Calendar::Minute).unwrap()), ..of_kind(6, amount) },
        _ => Charge { bound: Bound::Quota(Quota::new(9, Calendar::ALL[number as usize - 8]).unwrap()), ..charge },
    }
}

thread_local! {
    /// Started once for all traces, not once for each.
    static SERVERS: Servers = Servers::start();
}

proptest! {
    #[test]
    fn random_traces_equal_the_oracle(start in any_start(), trace in vec(any_event(), 0..80)) {
        let rule = BanRule::new(2, Duration::from_secs(60), &[Duration::from_secs(1), Duration::from_secs(60)]).unwrap();
        for counters in SERVERS.with(Servers::backends) {
            let (mut naive, mut now, mut open) = (Naive::default(), start, Vec::new());
            for (pause, event) in &trace {
                now += pause;
                match event {
                    Event::Take(kinds) => {
                        let mut charges = all(&kinds.iter().map(|(kind, amount)| of_kind(*kind, *amount)).collect::<Vec<_>>());
                        // One ban for each key, as no policy asks for one twice.
                        let mut banned = Vec::new();
                        for (place, (kind, _)) in (0..).zip(kinds) {
                            if banned.contains(kind) { continue; }
                            banned.push(*kind);
                            charges.ban(Ban { item: 0, key: key(50 + kind), first: place, end: place + 1, rule: rule.clone() });
                        }
                        prop_assert_eq!(counters.inspect(&charges, at(now)), naive.inspect(&charges, at(now)));
                        let (verdicts, ticket) = counters.take(&charges, at(now));
                        prop_assert_eq!(&verdicts, &naive.take(&charges, at(now)));
                        if verdicts.admit() {
                            open.extend(charges.list.iter().map(|charge| (*charge, ticket, now)));
                        }
                    }
                    Event::Settle(used) if !open.is_empty() => {
                        let (charge, ticket, taken) = open.remove(0);
                        counters.settle(&charge, ticket, *used, at(now));
                        naive.settle(&charge, at(taken), *used, at(now));
                    }
                    Event::Settle(_) => {}
                }
            }
        }
    }
}
