//! Whole steps beside an oracle that keeps lists and looks at all of them.

use proptest::prelude::*;

use super::*;

/// A counter as naive as can be: what was admitted, and when.
#[derive(Clone, Default)]
struct Ledger {
    admitted: Vec<(u64, u32)>,
}

/// Rates that no unit is rounded for, so that the oracle needs no rounding of its own.
fn some_bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        (1..6_u32).prop_map(|burst| Bound::Rate(rate(1, 10, burst))),
        (1..6_u32).prop_map(|count| Bound::Quota(Quota::new(count, Calendar::Minute).unwrap())),
    ]
}

impl Ledger {
    /// Whether `amount` more at `now` breaks no window that ends there.
    fn fits(&self, bound: Bound, now: u64, amount: u32) -> bool {
        match bound {
            Bound::Rate(rate) => {
                let mut sum = u128::from(amount);
                let starts = self.admitted.iter().rev().map(|(at, units)| (*at, *units));
                let mut holds = sum <= u128::from(rate.burst());
                for (start, units) in starts {
                    sum += u128::from(units);
                    let refilled = u128::from(now - start);
                    holds &= sum * u128::from(rate.unit_ns())
                        <= u128::from(rate.burst()) * u128::from(rate.unit_ns()) + refilled;
                }
                holds
            }
            Bound::Quota(quota) => {
                let (start, _) = quota.per().window(Utc::from_nanos(now));
                let since = start * 60 * SECOND;
                let used: u32 = self.admitted.iter().filter(|(at, _)| *at >= since).map(|(_, units)| units).sum();
                used + amount <= quota.count()
            }
            Bound::Slots(_) => unreachable!(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A step is made exactly when each of its charges would be, and then all of them are.
    #[test]
    fn a_step_is_made_whole_or_not_at_all(
        bounds in prop::collection::vec(some_bound(), 1..5),
        steps in prop::collection::vec((0..30_u64, prop::collection::vec(0..3_u32, 4)), 1..80),
    ) {
        let mut ledgers = vec![Ledger::default(); bounds.len()];
        let mut states = vec![State::default(); bounds.len()];
        let mut now = 0;
        for (pause_s, amounts) in steps {
            now += pause_s * SECOND;
            let mut charges = Charges::default();
            for (place, (bound, amount)) in bounds.iter().zip(&amounts).enumerate() {
                charges.push(Charge { key: KeyHash(place as u128), ..charge(*bound, *amount, Spend::Now) });
            }
            let fits: Vec<bool> = ledgers
                .iter()
                .zip(&bounds)
                .zip(&amounts)
                .map(|((ledger, bound), amount)| ledger.fits(*bound, now, *amount))
                .collect();
            let (mut after, mut verdicts) = (states.clone(), Verdicts::default());
            let made = step(&charges, &mut after, &mut [], at(now), &mut verdicts);
            let found: Vec<bool> = verdicts.list.iter().map(Verdict::allowed).collect();
            prop_assert_eq!(&found, &fits, "at {}", now);
            prop_assert_eq!(made == Step::Made, fits.iter().all(|fits| *fits));
            if made == Step::Made {
                states = after;
                for (ledger, amount) in ledgers.iter_mut().zip(&amounts) {
                    if *amount > 0 {
                        ledger.admitted.push((now, *amount));
                    }
                }
            }
        }
    }

    /// However reservations end, what was used is what is counted, and what is admitted never
    /// exceeds the bound while they last.
    #[test]
    fn reservations_never_admit_more_than_they_hold(
        events in prop::collection::vec((0..5_u64, 0..3_u32, any::<bool>()), 1..100),
    ) {
        let bound = Bound::Quota(Quota::new(10, Calendar::Month).unwrap());
        let mut counter = Counter::new();
        let (mut open, mut used, mut now) = (Vec::new(), 0, 0);
        for (pause_s, amount, ends) in events {
            now += pause_s * SECOND;
            let asked = charge(bound, amount + 1, reserve(1_000 * SECOND));
            if ends && let Some((reserved, taken)) = open.pop() {
                counter.settle(reserved, taken, amount.min(reserved.amount), at(now));
                used += amount.min(reserved.amount);
                continue;
            }
            let held: u32 = open.iter().map(|(reserved, _): &(Charge, Now)| reserved.amount).sum();
            let verdict = counter.charge(asked, at(now));
            prop_assert_eq!(verdict.allowed(), used + held + asked.amount <= 10);
            if verdict.allowed() {
                open.push((asked, at(now)));
            } else {
                prop_assert_eq!(verdict.fit == Fit::Reserved, used + asked.amount <= 10);
            }
        }
    }
}

#[test]
fn a_counter_charged_twice_in_a_step_pays_twice() {
    let one = charge(Bound::Rate(rate(3, 3, 3)), 1, Spend::Now);
    let mut charges = Charges::default();
    charges.push(one);
    charges.push(one);
    let (mut states, mut verdicts) = ([State::default(); 2], Verdicts::default());
    assert_eq!(step(&charges, &mut states, &mut [], at(0), &mut verdicts), Step::Made);
    assert_eq!(verdicts.list.iter().map(|verdict| verdict.remaining).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(step(&charges, &mut states, &mut [], at(0), &mut verdicts), Step::Refused);
    assert_eq!(verdicts.list.iter().map(Verdict::allowed).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn more_than_a_step_holds_is_noticed() {
    let one = charge(Bound::Rate(rate(1, 1, 1)), 1, Spend::Now);
    let mut charges = Charges::default();
    for place in 0..CHARGES_MAX {
        charges.push(Charge { key: KeyHash(place as u128), ..one });
    }
    assert!(!charges.is_too_much());
    charges.push(one);
    assert!(charges.is_too_much());
}

#[test]
fn what_would_fit_is_told_uncharged() {
    let loose = charge(Bound::Rate(rate(5, 600, 5)), 1, Spend::Now);
    let tight = Charge { key: KeyHash(2), ..charge(Bound::Rate(rate(1, 60, 1)), 2, Spend::Now) };
    let mut charges = Charges::default();
    charges.push(loose);
    charges.push(tight);
    let (mut states, mut verdicts) = ([State::default(); 2], Verdicts::default());
    assert_eq!(step(&charges, &mut states, &mut [], at(0), &mut verdicts), Step::Refused);
    charges.tell_uncharged(&mut [State::default(); 2], at(0), &mut verdicts);
    let told: Vec<_> = verdicts.list.iter().map(|verdict| (verdict.fit, verdict.remaining)).collect();
    assert_eq!(told, [(Fit::Fits, 5), (Fit::Spent, 1)]);
}
