//! The arithmetic, by kind of counter, and the law of a whole step against a naive oracle.

mod ban;
mod quota;
mod rate;
mod reserved;
mod wall;
mod whole;

use std::time::Duration;

use super::*;
use crate::{Monotonic, Now, Utc};

const SECOND: u64 = 1_000_000_000;

fn rate(count: u32, window_s: u64, burst: u32) -> Rate {
    Rate::new(count, Duration::from_secs(window_s), burst).unwrap()
}

/// Both clocks, so many nanoseconds after their beginning.
fn at(nanos: u64) -> Now {
    Now { monotonic: Monotonic::from_nanos(nanos), utc: Utc::from_nanos(nanos) }
}

fn charge(bound: Bound, amount: u32, spend: Spend) -> Charge {
    Charge { item: 0, key: KeyHash(1), bound, amount, spend }
}

fn reserve(life: u64) -> Spend {
    Spend::Reserve { life, unsettled: Unsettled::Spend }
}

/// A counter and what its charges come to.
struct Counter {
    state: State,
}

impl Counter {
    fn new() -> Self {
        Self { state: State::default() }
    }

    /// Charges like a store: what is refused is not written.
    fn charge(&mut self, charge: Charge, now: Now) -> Verdict {
        let mut charges = Charges::default();
        charges.push(charge);
        let (mut states, mut verdicts) = ([self.state], Verdicts::default());
        if step(&charges, &mut states, &mut [], now, &mut verdicts) == Step::Made {
            [self.state] = states;
        }
        verdicts.list[0]
    }

    fn settle(&mut self, charge: Charge, taken: Now, used: u32, now: Now) {
        settle(&charge, &mut self.state, taken.monotonic, used, now);
    }
}

impl Verdict {
    fn allowed(&self) -> bool {
        self.fit == Fit::Fits
    }
}
