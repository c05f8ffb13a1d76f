use std::time::Duration;

use palisade_core::charge::{BanRule, Calendar, Fit, Standoff, TableSize};
use palisade_core::overrides::Until;
use palisade_core::{Ban, Bound, Charge, Charges, Monotonic, Override, Quota, Rate, Spend, Verdicts};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// 2026-02-28T12:00:00Z.
const NOON_S: u64 = 1_772_280_000;
const DAY_S: u64 = 86_400;

/// So many seconds after a process began, and after noon.
fn clocks(monotonic_s: u64, utc_s: i64) -> Now {
    let utc = Utc::from_nanos(NOON_S.saturating_add_signed(utc_s) * SECOND_NS);
    Now { monotonic: Monotonic::from_nanos(monotonic_s * SECOND_NS), utc }
}

fn rate(key: u64, window_s: u64, burst: u32, amount: u32) -> Charge {
    let rate = Rate::new(burst, Duration::from_secs(window_s), burst).unwrap();
    let key = KeyHash(u128::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    Charge { item: 0, key, bound: Bound::Rate(rate), amount, spend: Spend::Now }
}

fn quota(key: u64, count: u32, per: Calendar, amount: u32) -> Charge {
    Charge { bound: Bound::Quota(Quota::new(count, per).unwrap()), ..rate(key, 1, 1, amount) }
}

fn table() -> Table {
    Table::new(TableSize::MIN)
}

fn take(table: &Table, charge: Charge, now: Now) -> bool {
    let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
    charges.push(charge);
    table.take(&charges, now, &mut verdicts);
    verdicts.admit()
}

fn inspect(table: &Table, charge: Charge, now: Now) -> palisade_core::Verdict {
    let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
    charges.push(charge);
    table.inspect(&charges, now, &mut verdicts);
    verdicts.list[0]
}

fn left(table: &Table, charge: Charge, now: Now) -> u32 {
    inspect(table, charge, now).remaining
}

/// A ban of an hour after the third refusal of a minute, asked beside a charge that never fits.
fn refuse(table: &Table, key: u64, now: Now) -> Standoff {
    let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
    let rule = BanRule::new(3, Duration::from_secs(60), &[Duration::from_secs(3_600)]).unwrap();
    let charge = rate(key, 1, 1, 2);
    charges.push(charge);
    charges.ban(Ban { item: 0, key: charge.key, first: 0, end: 1, rule });
    table.take(&charges, now, &mut verdicts);
    verdicts.bans[0]
}

fn ban(table: &Table, key: u64, now: Now) {
    let standoffs = [(); 3].map(|()| refuse(table, key, now));
    assert_eq!(standoffs, [Standoff::Clear, Standoff::Clear, Standoff::Begins(Duration::from_secs(3_600))]);
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self, now: Now) -> Kept {
        Kept::open(&self.0.path().join("counters.db"), [7; 16], now).unwrap()
    }

    /// Another process.
    fn restart(&self, now: Now) -> (Kept, Table) {
        let (kept, table) = (self.open(now), table());
        kept.load(&table, now).unwrap();
        (kept, table)
    }
}

#[test]
fn a_counter_and_a_ban_are_there_after_a_restart() {
    let (folder, table, now) = (Folder::new(), table(), clocks(500, 0));
    let mut kept = folder.open(now);
    let (day, month) = (rate(1, DAY_S, 24, 24), quota(2, 10, Calendar::Month, 7));
    assert!(take(&table, day, now) && take(&table, month, now));
    ban(&table, 3, now);
    assert_eq!([(); 2].map(|()| refuse(&table, 4, now)), [Standoff::Clear; 2]);
    assert_eq!(kept.round(&table, now).unwrap(), Round { written: 2, left_out: 0, cells: 2 });
    // What comes after the last round is lost with the process.
    assert!(take(&table, rate(5, DAY_S, 24, 24), now));
    drop(kept);

    let now = clocks(10, 30);
    let (kept, table) = folder.restart(now);
    assert_eq!(kept.seed(), [7; 16]);
    assert_eq!(inspect(&table, Charge { amount: 1, ..day }, now).retry_after, Duration::from_secs(3_600 - 30));
    assert_eq!(left(&table, Charge { amount: 1, ..month }, now), 3);
    assert_eq!(refuse(&table, 3, now), Standoff::Lasts(Duration::from_secs(3_570)));
    assert_eq!(refuse(&table, 4, now), Standoff::Begins(Duration::from_secs(3_600)), "its strikes count");
    assert_eq!(left(&table, rate(5, DAY_S, 24, 1), now), 24);
}

#[test]
fn the_seed_is_that_of_the_first_start() {
    let folder = Folder::new();
    drop(folder.open(clocks(0, 0)));
    let again = Kept::open(&folder.0.path().join("counters.db"), [8; 16], clocks(0, 1)).unwrap();
    assert_eq!(again.seed(), [7; 16]);
}

#[test]
fn only_what_changed_is_written() {
    let (folder, table, now) = (Folder::new(), table(), clocks(500, 0));
    let mut kept = folder.open(now);
    let written = |kept: &mut Kept, now| kept.round(&table, now).unwrap().written;
    // A minute left is too little, a second more is enough.
    assert!(take(&table, rate(1, 60, 1, 1), now) && take(&table, rate(2, 61, 1, 1), now));
    assert_eq!([written(&mut kept, now), written(&mut kept, now)], [1, 0]);
    // Refused, it stays as it is.
    assert!(!take(&table, rate(2, 61, 1, 1), now));
    assert_eq!(written(&mut kept, clocks(501, 1)), 0);
    assert!(take(&table, rate(3, DAY_S, 2, 1), clocks(502, 2)));
    assert_eq!(written(&mut kept, clocks(503, 3)), 1);
    // What has ended is deleted.
    assert_eq!(kept.round(&table, clocks(600, 100)).unwrap().cells, 1);
}

#[test]
fn a_counter_that_did_not_change_is_the_same_number_in_every_round() {
    let (folder, table, now) = (Folder::new(), table(), clocks(500, 0));
    let mut kept = folder.open(now);
    let words = |kept: &Kept| {
        let sum = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        kept.file.read(|file| file.query_row("SELECT max(word) FROM cell", [], sum)).unwrap()
    };
    let neighbour = |number: u128, days| Charge { key: KeyHash(number << 8), ..rate(0, days * DAY_S, 1, 1) };
    assert!(take(&table, neighbour(1, 2), now));
    kept.round(&table, now).unwrap();
    let before = words(&kept);
    // Reading both clocks took a moment; and what lies beside it changed.
    let now = Now { utc: Utc::from_nanos(now.utc.as_nanos() + STEP_NS / 2), ..now };
    assert!(take(&table, neighbour(2, 1), now));
    assert_eq!(kept.round(&table, now).unwrap().written, 2);
    assert_eq!(words(&kept), before);
}

#[test]
fn a_quiet_round_writes_nothing() {
    let (folder, table, now) = (Folder::new(), table(), clocks(500, 0));
    let mut kept = folder.open(now);
    assert!(take(&table, rate(1, 3_600, 1, 1), now));
    ban(&table, 2, now);
    let first = kept.round(&table, now).unwrap();
    let journal = || std::fs::read(folder.0.path().join("counters.db-wal")).unwrap();
    let before = journal();
    for passed_s in [0, 5, 3_599] {
        let now = clocks(500 + passed_s, passed_s as i64);
        assert_eq!(kept.round(&table, now).unwrap(), Round { written: 0, ..first });
        assert_eq!(journal(), before);
    }
    assert_eq!(kept.round(&table, clocks(4_101, 3_601)).unwrap().cells, 0);
    assert_ne!(journal(), before);
}

#[test]
fn a_reset_reaches_the_file() {
    let (folder, table, now) = (Folder::new(), table(), clocks(500, 0));
    let mut kept = folder.open(now);
    let (one, other) = (rate(1, DAY_S, 24, 24), rate(2, DAY_S, 24, 24));
    let reset = |charge: Charge| {
        let mut charges = Charges::default();
        charges.push(charge);
        let rule = BanRule::new(3, Duration::from_secs(60), &[Duration::from_secs(3_600)]).unwrap();
        charges.ban(Ban { item: 0, key: charge.key, first: 0, end: 1, rule });
        table.reset(&charges);
    };
    assert!(take(&table, one, now) && take(&table, other, now));
    ban(&table, 3, now);
    kept.round(&table, now).unwrap();
    [one, other, rate(3, 1, 1, 1)].into_iter().for_each(reset);
    assert!(take(&table, Charge { amount: 6, ..other }, now));
    kept.round(&table, now).unwrap();
    drop(kept);
    let (_, table) = folder.restart(now);
    assert_eq!([one, other].map(|charge| left(&table, Charge { amount: 1, ..charge }, now)), [24, 18]);
    assert_eq!(refuse(&table, 3, now), Standoff::Clear);
}

#[test]
fn the_longest_go_first_and_the_others_follow() {
    let (folder, table, now) = (Folder::new(), table(), clocks(500, 0));
    let mut kept = folder.open(now);
    kept.bounds = Bounds { round: 10, file: 25 };
    for key in 1..=30 {
        assert!(take(&table, rate(key, 1_000 * key, 1, 1), now));
    }
    let expected = [(10, 20, 10, 21), (10, 10, 20, 11), (10, 0, 25, 6), (0, 0, 25, 6)];
    for (written, left_out, cells, first) in expected {
        assert_eq!(kept.round(&table, now).unwrap(), Round { written, left_out, cells });
        let other = self::table();
        kept.load(&other, now).unwrap();
        let spent = |key: &u64| inspect(&other, rate(*key, 1_000 * key, 1, 1), now).fit == Fit::Spent;
        assert_eq!((1..=30).filter(spent).collect::<Vec<_>>(), (first..=30).collect::<Vec<_>>());
    }
}

#[test]
fn a_small_table_takes_what_it_holds() {
    let (folder, now) = (Folder::new(), clocks(500, 0));
    let large = Table::new(TableSize::new(16 << 20).unwrap());
    let mut kept = folder.open(now);
    kept.bounds = Bounds { round: 100_000, file: 100_000 };
    for key in 1..=100_000 {
        assert!(take(&large, rate(key, 1_000 + key, 1, 1), now));
    }
    assert_eq!(kept.round(&large, now).unwrap().cells, 100_000);
    let small = table();
    let cells = small.fill().cells;
    assert_eq!(kept.load(&small, now).unwrap().cells, cells);
    assert!(small.fill().used > cells / 2 && small.fill().used <= cells);
    assert!(!take(&small, rate(100_000, 101_000, 1, 1), now), "the longest is among them");
}

#[test]
fn nothing_that_changes_during_a_round_is_lost() {
    let (folder, table, now) = (Folder::new(), table(), clocks(500, 0));
    let mut kept = folder.open(now);
    let ask = |first: u64| {
        (0..20_000).for_each(|key| {
            take(&table, rate(first + key % 1_000, DAY_S, 24, 1), now);
        })
    };
    std::thread::scope(|scope| {
        let threads = [0, 1_000].map(|first| scope.spawn(move || ask(first)));
        while threads.iter().any(|thread| !thread.is_finished()) {
            kept.round(&table, now).unwrap();
        }
    });
    kept.round(&table, now).unwrap();
    drop(kept);
    let (_, restored) = folder.restart(now);
    for key in 0..2_000 {
        let charge = rate(key, DAY_S, 24, 1);
        assert_eq!((left(&table, charge, now), left(&restored, charge, now)), (4, 4), "{key}");
    }
}

#[test]
fn a_round_that_fails_is_made_up_for() {
    let (folder, table, now) = (Folder::new(), table(), clocks(500, 0));
    let mut kept = folder.open(now);
    let (spent, forgotten, older) = (rate(1, DAY_S, 24, 24), rate(2, DAY_S, 24, 24), rate(4, DAY_S, 24, 24));
    assert!(take(&table, forgotten, now) && take(&table, older, now));
    kept.round(&table, now).unwrap();
    let mut charges = Charges::default();
    charges.push(forgotten);
    table.reset(&charges);
    assert!(take(&table, spent, now));
    ban(&table, 3, now);

    let rename = |kept: &mut Kept, from, to| {
        let rename = format!("ALTER TABLE {from} RENAME TO {to}");
        kept.file.write(|transaction| transaction.execute_batch(&rename)).unwrap();
    };
    rename(&mut kept, "standing", "away");
    // The clock is set meanwhile, too.
    let now = clocks(500, 100);
    assert!(kept.round(&table, now).is_err() && kept.round(&table, now).is_err());
    rename(&mut kept, "away", "standing");
    assert_eq!(kept.round(&table, now).unwrap(), Round { written: 1, left_out: 0, cells: 2 });
    drop(kept);
    let (_, table) = folder.restart(now);
    assert_eq!([spent, forgotten].map(|charge| left(&table, Charge { amount: 1, ..charge }, now)), [0, 24]);
    let wait = inspect(&table, Charge { amount: 1, ..older }, now).retry_after;
    assert_eq!(wait, Duration::from_secs(3_600), "moved with the clock");
    assert_eq!(refuse(&table, 3, now), Standoff::Lasts(Duration::from_secs(3_600)));
}

/// How long is waited for one unit of a bucket that was emptied, and for the end of a ban of an hour,
/// and what is left of a day's quota of which all was used.
fn told(table: &Table, now: Now) -> (u64, u64, u32) {
    let wait = inspect(table, rate(1, DAY_S, 24, 1), now).retry_after.as_secs();
    let Standoff::Lasts(ban) = refuse(table, 2, now) else { return (wait, 0, 0) };
    (wait, ban.as_secs(), left(table, quota(3, 9, Calendar::Day, 1), now))
}

#[test]
fn wall_clocks_that_are_set_make_nothing_looser() {
    // The wall clock is set by so much while the process runs, and by so much while none does, and a
    // hundred seconds pass there. What then is left of an hour.
    for (running_s, between_s, expected_s) in [
        (0, 0, 3_500),
        (7_200, 0, 3_500),
        (-7_200, 0, 3_500),
        // It was set back: no time has passed that anybody could know of.
        (0, -7_200, 3_600),
        (7_200, -7_200, 3_600),
        (0, -400 * 86_400, 3_600),
        (0, -(NOON_S as i64), 3_600),
        // It was set forward: that looks as if nobody had run for so long.
        (0, 600, 2_900),
        (-600, 600, 2_900),
    ] {
        let (folder, table, now) = (Folder::new(), table(), clocks(500, 0));
        let mut kept = folder.open(now);
        assert!(take(&table, rate(1, DAY_S, 24, 24), now) && take(&table, quota(3, 9, Calendar::Day, 9), now));
        ban(&table, 2, now);
        kept.round(&table, now).unwrap();
        // Nothing changes any more but the clock.
        kept.round(&table, clocks(500, running_s)).unwrap();
        drop(kept);
        let now = clocks(3, (running_s + between_s + 100).max(-(NOON_S as i64)));
        let (_, table) = folder.restart(now);
        assert_eq!(told(&table, now), (expected_s, expected_s, 0), "{running_s} {between_s}");
    }
}

#[test]
fn what_is_no_counter_is_told() {
    let (folder, now) = (Folder::new(), clocks(500, 0));
    let mut kept = folder.open(now);
    let broken = "INSERT INTO standing VALUES (0, zeroblob(16), x'0102', 9000000000)";
    kept.file.write(|transaction| transaction.execute(broken, [])).unwrap();
    let error = kept.load(&table(), now).unwrap_err();
    assert!(matches!(error, EmbeddedError::Damaged { .. }), "{error}");
    kept.file.write(|transaction| transaction.execute("DELETE FROM standing", [])).unwrap();
    // Any number is a counter, and does no harm.
    for word in [i64::MIN, -1, 0, 1, i64::MAX] {
        let put = "INSERT OR REPLACE INTO cell VALUES (?1, ?1, 9000000000)";
        kept.file.write(|transaction| transaction.execute(put, [word])).unwrap();
    }
    assert!(kept.load(&table(), now).is_ok());
}

#[test]
fn overrides_are_kept_one_by_one() {
    let folder = Folder::new();
    let mut kept = folder.open(clocks(0, 0));
    let banned = |end_s| {
        let ban = Some(Until { value: (), end: clocks(0, end_s).utc });
        Override { limit: "api".into(), key: "ip:192.0.2.1".into(), rate: None, ban }
    };
    let now = clocks(0, 0).utc;
    for (key, end_s) in [(1, 10), (2, 20), (3, 30)] {
        kept.keep_override(KeyHash(key), Some(&banned(end_s)), now).unwrap();
    }
    kept.keep_override(KeyHash(2), Some(&banned(25)), now).unwrap();
    kept.keep_override(KeyHash(3), None, now).unwrap();
    kept.keep_override(KeyHash(4), None, now).unwrap();
    drop(kept);
    let kept = folder.open(clocks(0, 9));
    let all = |end_s| kept.overrides(clocks(0, end_s).utc).unwrap();
    assert_eq!(all(9), [(KeyHash(1), banned(10)), (KeyHash(2), banned(25))].into_iter().collect());
    assert_eq!(all(10), [(KeyHash(2), banned(25))].into_iter().collect());
    assert!(all(25).is_empty());
    let table = table();
    kept.load(&table, clocks(0, 10)).unwrap();
    assert_eq!(*table.overrides().all(), all(10));
    let others = [(KeyHash(8), banned(40))].into_iter().collect();
    let mut kept = kept;
    kept.keep_overrides(&others).unwrap();
    assert_eq!(kept.overrides(now).unwrap(), others, "these and no others");
}

/// A key's kind of counter, by its number.
fn of_kind(key: u64, amount: u32) -> Charge {
    match key % 4 {
        0 => rate(key, 3_600, 60, amount),
        1 => rate(key, 86_400, 7, amount),
        2 => quota(key, 9, Calendar::Day, amount),
        _ => quota(key, 9, Calendar::Week, amount),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What another process makes of the file is what this one would have said at the same time.
    #[test]
    fn a_restart_changes_no_verdict(
        charges in prop::collection::vec((0..40_u64, 1..9_u32, 0..120_u64, prop::bool::weighted(0.1)), 0..120),
        ran_s in 0..1_000_000_u64, away_s in 0..100_000_u64, runs_s in 0..1_000_000_u64, mib in 1..9_u64,
    ) {
        let (folder, table) = (Folder::new(), table());
        let mut kept = folder.open(clocks(ran_s, 0));
        let mut passed_s = 0;
        for (key, amount, pause_s, is_round) in charges {
            passed_s += pause_s;
            let now = clocks(ran_s + passed_s, passed_s as i64);
            take(&table, of_kind(key, amount), now);
            if is_round {
                kept.round(&table, now).unwrap();
            }
        }
        let last = clocks(ran_s + passed_s, passed_s as i64);
        kept.round(&table, last).unwrap();
        drop(kept);
        let here = clocks(ran_s + passed_s + away_s, (passed_s + away_s) as i64);
        let there = clocks(runs_s, (passed_s + away_s) as i64);
        let (kept, other) = (folder.open(there), Table::new(TableSize::new(mib << 20).unwrap()));
        kept.load(&other, there).unwrap();
        for charge in (0..40).map(|key| of_kind(key, 1)) {
            let before = inspect(&table, charge, here);
            let after = inspect(&other, charge, there);
            // What would have melted within a minute of the last round need not be there.
            let over = inspect(&table, charge, clocks(ran_s + passed_s + 60, (passed_s + 60) as i64));
            if over.remaining < charge.bound.units() {
                prop_assert_eq!(after, before, "{:?}", charge);
            } else {
                prop_assert!(after.remaining >= before.remaining);
            }
        }
    }
}
