use std::time::Duration;

use palisade_core::charge::{BanRule, Fit, Standoff, Unsettled};
use palisade_core::{Ban, Bound, Rate, Spend, Utc};

use super::*;

/// Keys of one bucket: neither the first bits nor the last ones of their tags differ.
fn neighbour(number: u64) -> KeyHash {
    KeyHash((0x1234_0000_0000_00f0 | number << 8).into())
}

fn one(key: KeyHash, amount: u32) -> Charge {
    let rate = Rate::new(60, Duration::from_secs(60), 60).unwrap();
    Charge { item: 0, key, bound: Bound::Rate(rate), amount, spend: Spend::Now }
}

fn at(seconds: u64) -> Now {
    let nanos = seconds * 1_000_000_000;
    Now { monotonic: Monotonic::from_nanos(nanos), utc: Utc::from_nanos(nanos) }
}

/// Whether the step is made.
fn take(table: &Table, list: &[Charge], now: Now) -> bool {
    let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
    list.iter().for_each(|charge| charges.push(*charge));
    table.take(&charges, now, &mut verdicts);
    verdicts.admit()
}

#[test]
fn a_flood_never_frees_a_key_that_is_used_up() {
    let table = Table::new(TableSize::MIN);
    assert!(take(&table, &[one(neighbour(1), 60)], at(1)));
    for flood in 2..10_000 {
        assert!(take(&table, &[one(neighbour(flood), 1)], at(1)));
    }
    assert!(!take(&table, &[one(neighbour(1), 1)], at(1)));
    // Eight cells; all but the first eight keys took the place of another.
    let Fill { cells, used, evictions } = table.fill();
    assert_eq!((cells, used, evictions), (65_536, 8, 9_999 - 8));
}

#[test]
fn a_melted_counter_is_no_eviction() {
    let table = Table::new(TableSize::MIN);
    for round in 0..100 {
        for key in 1..=8 {
            assert!(take(&table, &[one(neighbour(round * 8 + key), 1)], at(round)));
        }
    }
    assert_eq!(table.fill().evictions, 0);
}

#[test]
fn a_step_allocates_nothing() {
    let table = Table::new(TableSize::MIN);
    let list = [1, 2, 3].map(|key| one(KeyHash(key << 70 | key), 20));
    let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
    list.iter().for_each(|charge| charges.push(*charge));
    let count = allocation_counter::measure(|| {
        for asked in 0..10 {
            table.take(&charges, at(1), &mut verdicts);
            assert_eq!(verdicts.admit(), asked < 3);
        }
    });
    assert_eq!(count.count_total, 0);
}

#[test]
fn nothing_is_left_of_reservations_that_are_settled() {
    let table = Table::new(TableSize::MIN);
    let reserve = |key| Charge {
        spend: Spend::Reserve { life: 60_000_000_000, unsettled: Unsettled::Spend },
        ..one(neighbour(key), 1)
    };
    let slot = |key| Charge { bound: Bound::Slots(1), ..one(neighbour(key), 1) };
    for key in 1..1_000 {
        assert!(take(&table, &[reserve(2 * key), slot(2 * key + 1)], at(1)));
    }
    let sizes = || table.stripes.iter().map(|stripe| stripe.lock().beside.sizes().0).sum::<usize>();
    assert_eq!(sizes(), 2 * 999);
    for key in 1..1_000 {
        table.settle(&reserve(2 * key), at(1).monotonic, 0, at(2));
        table.settle(&slot(2 * key + 1), at(1).monotonic, 0, at(2));
    }
    assert_eq!((sizes(), table.fill().used), (0, 0));
}

#[test]
fn a_flood_of_keys_ends_no_ban() {
    let table = Table::new(TableSize::MIN);
    let rule = |after| BanRule::new(after, Duration::from_secs(600), &[Duration::from_secs(3_600)]).unwrap();
    let refuse = |key, after| {
        let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
        charges.push(one(neighbour(key), 61));
        charges.ban(Ban { item: 0, key: neighbour(key), first: 0, end: 1, rule: rule(after) });
        table.take(&charges, at(1), &mut verdicts);
        verdicts.bans[0]
    };
    assert!(matches!(refuse(1, 1), Standoff::Begins(_)));
    for flood in 2..10_000 {
        assert_eq!(refuse(flood, 3), Standoff::Clear);
    }
    assert!(matches!(refuse(1, 1), Standoff::Lasts(_)));
    let most = table.stripes.iter().map(|stripe| stripe.lock().beside.sizes().1).max();
    assert!(most.is_some_and(|most| most <= 400), "{most:?}");
}

#[test]
fn looking_changes_nothing_and_a_reset_forgets() {
    let table = Table::new(TableSize::MIN);
    let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
    charges.push(one(neighbour(1), 1));
    for _ in 0..100 {
        table.inspect(&charges, at(1), &mut verdicts);
        assert_eq!((verdicts.list[0].fit, verdicts.list[0].remaining), (Fit::Fits, 60));
    }
    assert!(take(&table, &[one(neighbour(1), 60)], at(1)));
    table.inspect(&charges, at(1), &mut verdicts);
    assert_eq!((verdicts.list[0].fit, verdicts.list[0].remaining), (Fit::Spent, 0));
    table.reset(&charges);
    assert!(take(&table, &[one(neighbour(1), 60)], at(1)));
}

#[test]
fn buckets_lie_on_lines_of_cache() {
    let table = Table::new(TableSize::MIN);
    for stripe in &table.stripes {
        let cells = stripe.lock();
        assert_eq!(cells.words[cells.first..].as_ptr().addr() % BUCKET_BYTES, 0);
        assert!(cells.words.len() - cells.first >= table.buckets_per_stripe as usize * WORDS);
    }
}

#[test]
fn every_hash_has_a_place() {
    for hash in [0, 1, u128::MAX, u128::from(u64::MAX), u128::MAX << 64] {
        let table = Table::new(TableSize::MIN);
        let first = take(&table, &[one(KeyHash(hash), 60)], at(1));
        assert_eq!((first, take(&table, &[one(KeyHash(hash), 1)], at(1))), (true, false), "{hash:x}");
    }
}

#[test]
fn a_lock_whose_holder_died_still_opens() {
    let table = Table::new(TableSize::MIN);
    let mut charges = Charges::default();
    charges.push(one(neighbour(1), 1));
    std::thread::scope(|scope| {
        let died = scope.spawn(|| {
            let (mut places, mut held) = (Places::new(), Held(ArrayVec::new_const()));
            table.places(&charges, &mut places);
            table.hold(&charges, &places, &mut held);
            panic!("on purpose, while the lock is held");
        });
        assert!(died.join().is_err());
    });
    assert!(take(&table, &[one(neighbour(1), 1)], at(1)));
}
