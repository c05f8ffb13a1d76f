//! Memory of an unused table. A program of its own: the counting allocator of the unit tests
//! writes the zeros that the system's hands out for nothing.

#![cfg(target_os = "linux")]

use std::time::Duration;

use palisade_core::charge::TableSize;
use palisade_core::{Bound, Charge, Charges, KeyHash, Monotonic, Now, Rate, Spend, Utc, Verdicts};
use palisade_store::counters::memory::Table;

#[test]
fn an_unused_table_costs_next_to_nothing() {
    let resident_kib = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    };
    let before = resident_kib();
    let table = Table::new(TableSize::new(1 << 30).unwrap());
    let rate = Rate::new(1, Duration::from_secs(1), 1).unwrap();
    let charge = Charge { item: 0, key: KeyHash(1), bound: Bound::Rate(rate), amount: 1, spend: Spend::Now };
    let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
    charges.push(charge);
    let now = Now { monotonic: Monotonic::from_nanos(1), utc: Utc::from_nanos(1) };
    table.take(&charges, now, &mut verdicts);
    assert!(verdicts.admit());
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "a table of 1 GiB with one key took {grown} KiB");
}
