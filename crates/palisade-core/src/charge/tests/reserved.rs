use super::*;

const LIFE: u64 = 60 * SECOND;

fn failed(count: u32) -> Charge {
    charge(Bound::Rate(rate(count, u64::from(count) * 300, count)), 1, reserve(LIFE))
}

#[test]
fn what_is_released_was_never_spent() {
    let mut counter = Counter::new();
    for second in 0..100 {
        let taken = at(second * SECOND);
        assert!(counter.charge(failed(3), taken).allowed(), "{second}");
        counter.settle(failed(3), taken, 0, taken);
    }
}

#[test]
fn what_is_used_counts_and_nothing_is_let_in_meanwhile() {
    let mut counter = Counter::new();
    let now = at(10 * SECOND);
    for left in (0..3).rev() {
        let verdict = counter.charge(failed(3), now);
        assert_eq!((verdict.allowed(), verdict.remaining), (true, left));
    }
    let refused = counter.charge(failed(3), now);
    assert_eq!((refused.fit, refused.retry_after), (Fit::Reserved, Duration::from_secs(1)));
    counter.settle(failed(3), now, 0, now);
    assert!(counter.charge(failed(3), now).allowed(), "a released one makes room");
    for _ in 0..3 {
        counter.settle(failed(3), now, 1, now);
    }
    let refused = counter.charge(failed(3), now);
    assert_eq!((refused.fit, refused.retry_after), (Fit::Spent, Duration::from_secs(300)));
}

#[test]
fn a_reservation_is_spent_when_its_life_is_over() {
    let mut counter = Counter::new();
    let taken = at(59 * SECOND);
    assert!(counter.charge(failed(1), taken).allowed());
    // Held through the next epoch, spent at the end of it, and not released by whoever comes late.
    assert_eq!(counter.charge(failed(1), at(119 * SECOND)).fit, Fit::Reserved);
    let refused = counter.charge(failed(1), at(121 * SECOND));
    assert_eq!((refused.fit, refused.retry_after), (Fit::Spent, Duration::from_secs(299)));
    counter.settle(failed(1), taken, 0, at(122 * SECOND));
    assert_eq!(counter.charge(failed(1), at(122 * SECOND)).fit, Fit::Spent);
    assert!(counter.charge(failed(1), at(420 * SECOND)).allowed());
}

#[test]
fn what_was_reserved_is_given_back_and_what_was_not_is_owed() {
    let tokens = |amount| charge(Bound::Rate(rate(1_000, 1_000, 1_000)), amount, reserve(LIFE));
    let mut counter = Counter::new();
    assert_eq!(counter.charge(tokens(600), at(0)).remaining, 400);
    assert_eq!(counter.charge(tokens(600), at(0)).fit, Fit::Reserved);
    counter.settle(tokens(600), at(0), 400, at(0));
    assert_eq!(counter.charge(tokens(0), at(0)).remaining, 600);
    // Used more than there was: owed up to a further burst, and no more.
    assert!(counter.charge(tokens(600), at(0)).allowed());
    counter.settle(tokens(600), at(0), 50_000, at(0));
    let refused = counter.charge(tokens(1), at(0));
    assert_eq!((refused.fit, refused.remaining), (Fit::Spent, 0));
    assert_eq!(refused.retry_after, Duration::from_secs(1_001));
}

#[test]
fn a_quota_owes_up_to_another_one() {
    let tokens = |amount| charge(Bound::Quota(Quota::new(1_000, Calendar::Day).unwrap()), amount, reserve(LIFE));
    let mut counter = Counter::new();
    assert_eq!(counter.charge(tokens(600), at(0)).remaining, 400);
    counter.settle(tokens(600), at(0), 5_000, at(0));
    assert_eq!(counter.charge(tokens(1), at(0)).fit, Fit::Spent);
    assert_eq!(counter.state.cell.as_window(), Some((Calendar::Day, 24 * 60, 2_000)));
}

#[test]
fn slots_are_free_when_they_are_settled_however_late() {
    let slot = charge(Bound::Slots(2), 1, Spend::Now);
    let mut counter = Counter::new();
    assert_eq!(counter.charge(slot, at(0)).remaining, 1);
    assert_eq!(counter.charge(slot, at(1)).remaining, 0);
    let refused = counter.charge(slot, at(2));
    assert_eq!((refused.fit, refused.remaining, refused.next_unit), (Fit::Spent, 0, None));
    assert_eq!(refused.retry_after, Duration::from_secs(1));
    let late = at(1_000_000 * SECOND);
    assert_eq!(counter.charge(slot, late).fit, Fit::Spent);
    counter.settle(slot, at(0), 0, late);
    assert!(counter.charge(slot, late).allowed());
    assert_eq!(counter.state.cell, Cell::EMPTY);
}

/// A reload changed how long reservations may be held, while one was.
#[test]
fn another_life_neither_loses_nor_keeps_a_reservation() {
    let held = |life: u64| charge(Bound::Rate(rate(3, 900, 3)), 1, reserve(life * SECOND));
    for (before, after) in [(60, 300), (300, 60)] {
        let mut counter = Counter::new();
        let now = at(10_000 * SECOND);
        for _ in 0..2 {
            counter.charge(held(before), now);
            counter.settle(held(before), now, 1, now);
        }
        assert!(counter.charge(held(before), now).allowed());
        // One is held; what was spent stays spent, and nothing is let in beside them.
        assert_eq!(counter.charge(held(after), at(10_001 * SECOND)).fit, Fit::Reserved, "{before} to {after}");
        counter.settle(held(before), now, 0, at(10_002 * SECOND));
        for second in 3..50 {
            let taken = at((10_000 + second) * SECOND);
            assert!(counter.charge(held(after), taken).allowed(), "{before} to {after}, {second}");
            counter.settle(held(after), taken, 0, taken);
        }
        assert_eq!(counter.state.pending.units(), 0, "{before} to {after}");
    }
}

/// Two workers cross the end of an epoch in the wrong order.
#[test]
fn an_older_reservation_is_released_wherever_it_was_counted() {
    let mut counter = Counter::new();
    let (old, new) = (at(59 * SECOND), at(61 * SECOND));
    assert!(counter.charge(failed(3), new).allowed());
    assert!(counter.charge(failed(3), old).allowed());
    counter.settle(failed(3), old, 0, new);
    counter.settle(failed(3), new, 0, new);
    assert_eq!(counter.state.pending.units(), 0);
    assert_eq!(counter.charge(failed(3), at(200 * SECOND)).remaining, 2);
}
