use proptest::prelude::*;

use super::*;

/// A bucket and what its charges come to.
struct Bucket {
    rate: Rate,
    counter: Counter,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        Self { rate, counter: Counter::new() }
    }

    fn charge(&mut self, now: u64, cost: u32) -> Verdict {
        self.counter.charge(charge(Bound::Rate(self.rate), cost, Spend::Now), at(now))
    }

    /// Whether `cost` would fit, without charging it.
    fn fits(&self, now: u64, cost: u32) -> bool {
        Counter { state: self.counter.state }
            .charge(charge(Bound::Rate(self.rate), cost, Spend::Now), at(now))
            .allowed()
    }
}

#[test]
fn rates_have_bounds() {
    let day = 86_400;
    let cases = [
        (0, 1, 1, false),
        (1, 0, 1, false),
        (1, 1, 0, false),
        (1, 1, 1, true),
        (1_000_000, 1, 1, true),
        (1_000_001, 1, 1, true),
        (1_010_102, 1, 1, false),
        (1, 31 * day, 1, true),
        (1, 31 * day, 2, false),
        (1, 31 * day + 1, 1, false),
        (1, u64::MAX / SECOND + 1, 1, false),
        (u32::MAX, 31 * day, u32::MAX, true),
        (1_000_000_000, 31 * day, 1_000_000_000, true),
        (1_000_000_000, 31 * day, 1_000_000_001, false),
        // A unit is rounded up, which must not push a whole window over the bound.
        (7, 31 * day, 7, true),
    ];
    for (count, window_s, burst, valid) in cases {
        let made = Rate::new(count, Duration::from_secs(window_s), burst);
        assert_eq!(made.is_some(), valid, "{count} per {window_s} s, burst {burst}");
    }
}

#[test]
fn a_unit_is_never_shorter_than_configured() {
    assert_eq!(rate(3, 1, 3).unit_ns(), 333_333_334);
    assert_eq!(rate(5, 600, 5).unit_ns(), 120 * SECOND);
    assert_eq!(rate(5, 600, 5).times(4).map(Rate::unit_ns), Some(30 * SECOND));
    assert_eq!(rate(5, 600, 5).times(4).map(Rate::burst), Some(20));
    assert_eq!(rate(u32::MAX, 31 * 86_400, 1).times(2), None);
}

/// The table of the acceptance scenarios: `5/10m`, one unit every 120 s.
#[test]
fn a_bucket_of_five() {
    let mut bucket = Bucket::new(rate(5, 600, 5));
    let start = 1_000 * SECOND;
    for left in (0..5).rev() {
        let verdict = bucket.charge(start, 1);
        assert_eq!((verdict.allowed(), verdict.remaining), (true, left));
        assert_eq!(verdict.next_unit, Some(Duration::from_secs(120)));
        assert_eq!(verdict.retry_after, Duration::ZERO);
    }
    let refused = bucket.charge(start, 1);
    assert_eq!((refused.allowed(), refused.remaining), (false, 0));
    assert_eq!(refused.retry_after, Duration::from_secs(120));

    assert_eq!(bucket.charge(start + 119_999_000_000, 1).retry_after, Duration::from_millis(1));
    assert!(bucket.charge(start + 120 * SECOND, 1).allowed());
    assert!(!bucket.charge(start + 120 * SECOND, 1).allowed());
}

#[test]
fn a_full_bucket_has_no_next_unit() {
    let mut bucket = Bucket::new(rate(60, 60, 60));
    assert_eq!(bucket.charge(SECOND, 0).next_unit, None);
    assert_eq!(bucket.charge(SECOND, 1).next_unit, Some(Duration::from_secs(1)));
    assert_eq!(bucket.charge(2 * SECOND, 0).next_unit, None);
}

/// Debt from a larger bucket is cut to the whole of a smaller one: a changed rate keeps what was
/// used, and no more than it can hold.
#[test]
fn a_changed_rate_keeps_what_was_used() {
    let mut bucket = Bucket::new(rate(5, 600, 5));
    for _ in 0..5 {
        bucket.charge(SECOND, 1);
    }
    bucket.rate = rate(10, 600, 10);
    assert_eq!(bucket.charge(SECOND, 1).retry_after, Duration::from_secs(60));
    bucket.rate = rate(5, 60, 5);
    assert_eq!(bucket.charge(SECOND, 1).retry_after, Duration::from_secs(12));
}

#[test]
fn instants_at_the_end_of_time_do_no_harm() {
    let bound = Bound::Rate(rate(1, 31 * 86_400, 1));
    for (word, now) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (u64::MAX >> 1, 0)] {
        for (cost, spend) in [(0, Spend::Now), (1, Spend::Now), (u32::MAX, reserve(u64::MAX))] {
            let mut counter = Counter { state: State { cell: Cell::from_word(word), ..State::default() } };
            assert!(counter.charge(charge(bound, cost, spend), at(now)).remaining <= 1);
            counter.settle(charge(bound, cost, spend), at(0), u32::MAX, at(now));
        }
    }
}

fn some_rate() -> impl Strategy<Value = Rate> {
    // Windows that no count divides evenly, so that rounding shows.
    (1..50_u32, 1..100_000_u64, 1..30_u32).prop_map(|(count, window_us, burst)| {
        Rate::new(count, Duration::from_micros(window_us + 1_000) + Duration::from_nanos(7), burst).unwrap()
    })
}

/// Charges: how long after the one before, in eighths of a unit, and how many units.
fn some_charges() -> impl Strategy<Value = Vec<(u64, u32)>> {
    prop::collection::vec((prop_oneof![3 => Just(0), 3 => 0..12_u64, 1 => 0..400_u64], 0..6_u32), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Over any time Δ at most burst + rate × Δ is admitted, at the rate as configured.
    #[test]
    fn no_window_admits_too_much(rate in some_rate(), charges in some_charges()) {
        let mut bucket = Bucket::new(rate);
        let mut now = 5 * SECOND;
        let mut admitted: Vec<(u64, u32)> = Vec::new();
        for (gap, cost) in charges {
            now += gap * rate.unit_ns() / 8;
            if bucket.charge(now, cost).allowed() {
                admitted.push((now, cost));
            }
        }
        for (first, (start, _)) in admitted.iter().enumerate() {
            let mut sum = 0;
            for (at, cost) in &admitted[first..] {
                sum += u128::from(*cost);
                let refilled = u128::from(at - start) * u128::from(rate.count());
                let window = rate.window().as_nanos();
                prop_assert!(sum * window <= u128::from(rate.burst()) * window + refilled);
            }
        }
    }

    /// Whoever stays at or under the rate is never refused, whatever the gaps.
    #[test]
    fn who_keeps_to_the_rate_is_never_refused(rate in some_rate(), gaps in prop::collection::vec(0..3_u64, 1..60)) {
        let mut bucket = Bucket::new(rate);
        let mut now = 5 * SECOND;
        for gap in gaps {
            let cost = 1 + u32::try_from(gap).unwrap() % rate.burst();
            prop_assert!(bucket.charge(now, cost).allowed());
            now += rate.unit_ns() * u64::from(cost) + gap;
        }
    }

    /// What a verdict says about the future is true to the nanosecond.
    #[test]
    fn a_verdict_keeps_its_word(rate in some_rate(), charges in some_charges()) {
        let mut bucket = Bucket::new(rate);
        let mut now = 5 * SECOND;
        for (gap, cost) in charges {
            now += gap * rate.unit_ns() / 8;
            let before = bucket.counter.state;
            let verdict = bucket.charge(now, cost);
            let fits = |wait: u64, cost: u32| bucket.fits(now + wait, cost);

            prop_assert_eq!(verdict.allowed(), verdict.retry_after.is_zero());
            if !verdict.allowed() {
                prop_assert_eq!(bucket.counter.state, before);
                if cost <= rate.burst() {
                    let wait = u64::try_from(verdict.retry_after.as_nanos()).unwrap();
                    prop_assert!(fits(wait, cost) && !fits(wait - 1, cost));
                }
            }
            // What remains fits at once, one more does not.
            prop_assert!(fits(0, verdict.remaining));
            prop_assert!(!fits(0, verdict.remaining + 1));
            match verdict.next_unit {
                None => prop_assert_eq!(verdict.remaining, rate.burst()),
                Some(wait) => {
                    let wait = u64::try_from(wait.as_nanos()).unwrap();
                    prop_assert!(verdict.remaining < rate.burst());
                    prop_assert!(fits(wait, verdict.remaining + 1) && !fits(wait - 1, verdict.remaining + 1));
                }
            }
        }
    }

    /// The melt-off instant is a bucket that is filled and drained drop by drop.
    #[test]
    fn debt_is_a_bucket(rate in some_rate(), charges in some_charges()) {
        let mut bucket = Bucket::new(rate);
        let mut now = 5 * SECOND;
        // Nanoseconds' worth of units in the bucket.
        let full = u64::from(rate.burst()) * rate.unit_ns();
        let mut level = full;
        for (gap, cost) in charges {
            let passed = gap * rate.unit_ns() / 8;
            now += passed;
            level = full.min(level + passed);
            let wanted = u64::from(cost) * rate.unit_ns();
            let verdict = bucket.charge(now, cost);
            prop_assert_eq!(verdict.allowed(), wanted <= level);
            if verdict.allowed() {
                level -= wanted;
            }
            prop_assert_eq!(u64::from(verdict.remaining), level / rate.unit_ns());
        }
    }
}
