use super::*;

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;

/// Seconds since the Unix epoch.
fn utc(seconds: u64) -> Now {
    at(seconds * SECOND)
}

fn daily(count: u32) -> Bound {
    Bound::Quota(Quota::new(count, Calendar::Day).unwrap())
}

#[test]
fn windows_end_where_the_calendar_says() {
    // Found with `date --utc`.
    let cases = [
        (Calendar::Minute, 1_772_323_199, 1_772_323_140, 1_772_323_200),
        (Calendar::Hour, 1_772_323_199, 1_772_319_600, 1_772_323_200),
        // 2026-02-28T23:59:59Z, a Saturday.
        (Calendar::Day, 1_772_323_199, 1_772_236_800, 1_772_323_200),
        (Calendar::Week, 1_772_323_199, 1_771_804_800, 1_772_409_600),
        (Calendar::Month, 1_772_323_199, 1_769_904_000, 1_772_323_200),
        // 2024-02-29T12:00:00Z, 2023-12-31T23:59:59Z, 2100-02-28T00:00:00Z, 2000-02-29.
        (Calendar::Month, 1_709_208_000, 1_706_745_600, 1_709_251_200),
        (Calendar::Month, 1_704_067_199, 1_701_388_800, 1_704_067_200),
        (Calendar::Month, 4_107_456_000, 4_105_123_200, 4_107_542_400),
        (Calendar::Month, 951_782_400, 949_363_200, 951_868_800),
        // The first Monday after the epoch begins a week; before it is a short one.
        (Calendar::Week, 4 * DAY, 4 * DAY, 11 * DAY),
        (Calendar::Week, 4 * DAY - 1, 0, 4 * DAY),
        (Calendar::Month, 0, 0, 31 * DAY),
    ];
    for (calendar, now, start, end) in cases {
        let (found_start, found_end) = calendar.window(Utc::from_nanos(now * SECOND));
        assert_eq!((found_start * MINUTE, found_end * MINUTE), (start, end), "{} {now}", calendar.name());
        assert_eq!(calendar.length(Utc::from_nanos(now * SECOND)).as_secs(), end - start);
    }
}

#[test]
fn every_day_belongs_to_exactly_one_month() {
    let mut expected = 0;
    for day in 0..200_000 {
        let (start, end) = Calendar::Month.window(Utc::from_nanos((day * DAY % (18_000 * DAY)) * SECOND));
        let (start, end) = (start / 1_440, end / 1_440);
        let day = day % 18_000;
        assert!(start <= day && day < end && (28..=31).contains(&(end - start)), "{day}: {start} to {end}");
        if day == start {
            assert!(day == 0 || day == expected, "{day}");
            expected = end;
        }
    }
}

#[test]
fn a_quota_starts_again_at_the_boundary() {
    let mut counter = Counter::new();
    let one = charge(daily(3), 1, Spend::Now);
    for left in (0..3).rev() {
        let verdict = counter.charge(one, utc(DAY - 10));
        assert_eq!((verdict.allowed(), verdict.remaining), (true, left));
        assert_eq!(verdict.next_unit, Some(Duration::from_secs(10)));
    }
    let refused = counter.charge(one, utc(DAY - 10));
    assert_eq!((refused.fit, refused.remaining, refused.retry_after), (Fit::Spent, 0, Duration::from_secs(10)));
    assert!(!counter.charge(one, at(DAY * SECOND - 1)).allowed());
    assert_eq!(counter.charge(one, utc(DAY)).remaining, 2);
}

#[test]
fn a_quota_never_returns_to_an_earlier_window() {
    let mut counter = Counter::new();
    let one = charge(daily(2), 1, Spend::Now);
    assert_eq!(counter.charge(one, utc(DAY)).remaining, 1);
    // The wall clock is set back, and later runs on.
    assert_eq!(counter.charge(one, utc(DAY / 2)).remaining, 0);
    let refused = counter.charge(one, utc(DAY / 2));
    assert_eq!((refused.fit, refused.retry_after), (Fit::Spent, Duration::from_secs(3 * DAY / 2)));
    assert!(!counter.charge(one, utc(DAY + 1)).allowed());
    assert!(counter.charge(one, utc(2 * DAY)).allowed());
}

#[test]
fn a_longer_window_keeps_what_was_used() {
    let mut counter = Counter::new();
    for _ in 0..5 {
        counter.charge(charge(daily(10), 1, Spend::Now), utc(DAY));
    }
    let monthly = charge(Bound::Quota(Quota::new(7, Calendar::Month).unwrap()), 1, Spend::Now);
    let verdict = counter.charge(monthly, utc(DAY));
    assert_eq!((verdict.remaining, verdict.next_unit), (1, Some(Duration::from_secs(30 * DAY))));
}

/// What was used in a month may be more than any day may have, and isn't used up every day again.
#[test]
fn a_shorter_window_begins_anew() {
    let mut counter = Counter::new();
    let monthly = charge(Bound::Quota(Quota::new(100, Calendar::Month).unwrap()), 1, Spend::Now);
    for _ in 0..50 {
        counter.charge(monthly, utc(DAY));
    }
    assert_eq!(counter.charge(charge(daily(7), 1, Spend::Now), utc(DAY)).remaining, 6);
}

#[test]
fn a_cell_tells_its_end_without_its_limit() {
    let mut counter = Counter::new();
    counter.charge(charge(daily(1), 1, Spend::Now), utc(DAY + 1));
    assert_eq!(counter.state.cell.left(utc(DAY + 1)), (DAY - 1) * SECOND);
    assert_eq!(counter.state.cell.left(utc(2 * DAY)), 0);
    let mut counter = Counter::new();
    counter.charge(charge(Bound::Rate(rate(1, 60, 1)), 1, Spend::Now), utc(7));
    assert_eq!(counter.state.cell.left(utc(8)), 59 * SECOND);
}

#[test]
fn the_end_of_time_does_no_harm() {
    for per in Calendar::ALL {
        for word in [0, 1 << 63, u64::MAX, u64::MAX >> 1] {
            for now in [0, u64::MAX] {
                let bound = Bound::Quota(Quota::new(u32::MAX, per).unwrap());
                let mut counter = Counter { state: State { cell: Cell::from_word(word), ..State::default() } };
                counter.charge(charge(bound, u32::MAX, Spend::Now), at(now));
                counter.settle(charge(bound, 1, reserve(1)), at(0), u32::MAX, at(now));
                counter.state.cell.left(at(now));
            }
        }
    }
}

#[test]
fn quotas_are_ordered_by_their_pace() {
    let pace = |count, per| Quota::new(count, per).unwrap().pace();
    assert!(pace(1, Calendar::Hour) < pace(25, Calendar::Day));
    assert!(pace(24, Calendar::Day) == pace(1, Calendar::Hour));
    assert!(pace(30, Calendar::Month) < pace(1, Calendar::Day));
    assert!(pace(7, Calendar::Week) == pace(1, Calendar::Day));
}
