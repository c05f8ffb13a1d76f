//! Counters on another process's clock.

use proptest::prelude::*;

use super::*;
use crate::charge::wall::Shift;

const YEAR_S: u64 = 365 * 86_400;

/// Seconds on each of both clocks.
fn clocks(monotonic_s: u64, utc_s: u64) -> Now {
    Now { monotonic: Monotonic::from_nanos(monotonic_s * SECOND), utc: Utc::from_nanos(utc_s * SECOND) }
}

#[test]
fn what_is_left_is_the_same_less_the_time_that_passed() {
    let written = clocks(5_000, 50 * YEAR_S);
    for (read, left) in [
        // The same instant, in a process that has run for less, as long, and longer.
        (clocks(0, 50 * YEAR_S), 600),
        (clocks(5_000, 50 * YEAR_S), 600),
        (clocks(9_000, 50 * YEAR_S), 600),
        // Later: just before it has melted, and just then, and long after.
        (clocks(1, 50 * YEAR_S + 599), 1),
        (clocks(1, 50 * YEAR_S + 600), 0),
        (clocks(1, 60 * YEAR_S), 0),
        // A wall clock that was set back leaves more, never less.
        (clocks(1, 50 * YEAR_S - 100), 700),
    ] {
        let bucket = Cell::bucket(5_600 * SECOND);
        let moved = bucket.shifted(Shift::to_wall(written)).shifted(Shift::from_wall(read));
        assert_eq!(moved.left(read), left * SECOND, "{read:?}");
    }
}

#[test]
fn a_quota_ends_where_the_calendar_says_on_every_clock() {
    let quota = Quota::new(9, Calendar::Day).unwrap();
    let (written, read) = (clocks(5_000, 50 * YEAR_S), clocks(3, 50 * YEAR_S + 60));
    let cell = quota.spend(Cell::EMPTY, written.utc, 4);
    assert_eq!(cell.shifted(Shift::to_wall(written)), cell);
    assert_eq!(cell.shifted(Shift::from_wall(read)), cell);
    assert_eq!(Cell::EMPTY.shifted(Shift::from_wall(read)), Cell::EMPTY);
}

/// A key that was refused at each of these seconds, with a ban of ten minutes at the third.
fn refused(at_s: &[u64]) -> Standing {
    let rule = BanRule::new(3, Duration::from_secs(60), &[Duration::from_secs(600)]).unwrap();
    let mut standing = Standing::default();
    for second in at_s {
        standing.strike(&rule, second * SECOND);
    }
    standing
}

#[test]
fn a_ban_ends_when_it_would_have() {
    let (written, read) = (clocks(1_000, 50 * YEAR_S), clocks(2, 50 * YEAR_S + 100));
    let kept = refused(&[900, 930, 950]).shifted(Shift::to_wall(written)).to_bytes();
    let back = Standing::from_bytes(&kept).unwrap().shifted(Shift::from_wall(read));
    // It ends at 1550, and at the second clock's second 2 it is 1100.
    assert_eq!(back.ask(2 * SECOND), Standoff::Lasts(Duration::from_secs(450)));
    assert_eq!(back.ask(452 * SECOND), Standoff::Clear);
}

#[test]
fn strikes_count_for_as_long_as_they_would_have_or_longer() {
    let rule = BanRule::new(3, Duration::from_secs(60), &[Duration::from_secs(600)]).unwrap();
    let written = clocks(1_000, 50 * YEAR_S);
    let standing = refused(&[970, 995]).shifted(Shift::to_wall(written));
    for (started_s, begins) in [(40, true), (0, true), (100, false)] {
        // The third refusal, 20 s after it was written; beyond a minute the first one is forgotten.
        let read = clocks(started_s, 50 * YEAR_S + if begins { 20 } else { 50 });
        let mut back = standing.shifted(Shift::from_wall(read));
        let standoff = back.strike(&rule, started_s * SECOND);
        assert_eq!(matches!(standoff, Standoff::Begins(_)), begins, "{started_s}");
    }
}

#[test]
fn bytes_that_are_no_standing_are_none() {
    let strikes = |count: usize| vec![0; 9 + 8 * count];
    assert_eq!(Standing::from_bytes(&strikes(0)), Some(Standing::default()));
    assert!(Standing::from_bytes(&strikes(AFTER_MAX)).is_some());
    for wrong in [vec![], vec![0], vec![0; 8], vec![0; 10], vec![0; 16], strikes(AFTER_MAX + 1)] {
        assert_eq!(Standing::from_bytes(&wrong), None, "{} bytes", wrong.len());
    }
}

proptest! {
    /// A wall clock that was set back, however far, leaves nobody more than was left.
    #[test]
    fn a_clock_that_was_set_back_makes_nothing_looser(
        debt_s in 1..31 * 86_400_u64, ran_s in 0..YEAR_S, runs_s in 0..YEAR_S, back_s in 0..40 * YEAR_S,
    ) {
        let (written, read) = (clocks(ran_s, 50 * YEAR_S), clocks(runs_s, 50 * YEAR_S - back_s));
        let cell = Cell::bucket((ran_s + debt_s) * SECOND);
        let moved = cell.shifted(Shift::to_wall(written)).shifted(Shift::from_wall(read));
        prop_assert!(moved.left(read) >= cell.left(written));
    }
}
