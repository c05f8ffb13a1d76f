//! How slowly bytes may move while somebody waits for them.
//!
//! Waiting is paid from a credit. It begins with the grace; every byte adds the time that the
//! slowest allowed rate gives it; it never grows beyond the longest allowed pause. So a slow
//! stream ends once it is slower than the rate for longer than the grace, and a fast one can't
//! save up for an hour of silence. Time during which nobody waits costs nothing: a client isn't
//! slow because the application is.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::PaceRule;

/// The pace of one direction of one message.
#[derive(Debug)]
pub(crate) struct Pace {
    rule: PaceRule,
    credit: Duration,
    since: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(rule: PaceRule) -> Self {
        Self { rule, credit: rule.grace, since: None }
    }

    /// Whether somebody waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// Somebody waits from `now` on. Returns when the credit will be used up.
    pub(crate) fn wait(&mut self, now: Instant) -> Instant {
        *self.since.get_or_insert(now) + self.credit
    }

    /// When the credit will be used up, if somebody waits.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + self.credit)
    }

    /// Bytes moved at `now`, and the wait for them is over.
    pub(crate) fn moved(&mut self, bytes: usize, now: Instant) {
        if let Some(since) = self.since.take() {
            self.credit = self.credit.saturating_sub(now.saturating_duration_since(since));
        }
        self.gain(bytes);
    }

    /// Bytes moved without anybody waiting.
    pub(crate) fn gain(&mut self, bytes: usize) {
        if self.credit < self.rule.pause {
            let earned = (bytes as u64).saturating_mul(1_000_000_000) / u64::from(self.rule.bytes_per_second.max(1));
            self.credit = (self.credit + Duration::from_nanos(earned)).min(self.rule.pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: PaceRule =
        PaceRule { bytes_per_second: 240, grace: Duration::from_secs(5), pause: Duration::from_secs(30) };

    /// Steps are a wait in milliseconds and the bytes that ended it. Returns the step that came
    /// too late.
    fn check(steps: &[(u64, usize)]) -> Option<usize> {
        let mut pace = Pace::new(RULE);
        let mut now = Instant::now();
        for (step, (wait_ms, bytes)) in steps.iter().enumerate() {
            let deadline = pace.wait(now);
            now += Duration::from_millis(*wait_ms);
            if now >= deadline {
                return Some(step);
            }
            pace.moved(*bytes, now);
        }
        None
    }

    #[test]
    fn waits_are_paid_from_grace_and_bytes() {
        for (steps, late) in [
            (&[(4_999, 1)][..], None),
            (&[(5_000, 1)], Some(0)),
            (&[(4_000, 240), (1_999, 0)], None),
            (&[(4_000, 240), (2_000, 0)], Some(1)),
            (&[(0, 1 << 30), (29_999, 1)], None),
            (&[(0, 1 << 30), (30_000, 1)], Some(1)),
            (&[(1_000, 240); 100], None),
            // A little too slow: what is left of the grace no longer pays for a whole second.
            (&[(1_000, 239); 2_000], Some(960)),
        ] {
            assert_eq!(check(steps), late, "{:?}", steps.first());
        }
    }

    #[test]
    fn nobody_waiting_costs_nothing() {
        let mut pace = Pace::new(RULE);
        let now = Instant::now();
        pace.wait(now);
        pace.moved(0, now + Duration::from_secs(4));
        assert_eq!(pace.deadline(), None);
        let much_later = now + Duration::from_secs(3_600);
        assert_eq!(pace.wait(much_later), much_later + Duration::from_secs(1));
    }

    proptest! {
        /// Whoever isn't cut has waited no longer than the grace and what its bytes allow; whoever
        /// is cut used that up, or paused too long.
        #[test]
        fn a_cut_is_always_deserved(steps in prop::collection::vec((0_u64..40_000, 0_usize..4_000), 1..60)) {
            let late = check(&steps);
            let before = &steps[..late.unwrap_or(steps.len())];
            let waited: u64 = before.iter().map(|(wait, _)| wait).sum();
            let bytes: usize = before.iter().map(|(_, bytes)| bytes).sum();
            let allowed = 5_000 + bytes as u64 * 1_000 / 240 + 1;
            prop_assert!(waited <= allowed);
            prop_assert!(before.iter().all(|(wait, _)| *wait < 30_000));
            if let Some(late) = late {
                // A credit that was cut off at the pause had been full at some step; from there on
                // the waits used up all of it.
                let deserved = (0..=late).any(|from| {
                    let waits: u64 = steps[from..=late].iter().map(|(wait, _)| wait).sum();
                    let bytes: usize = steps[from..late].iter().map(|(_, bytes)| bytes).sum();
                    let credit = if from == 0 { 5_000 } else { 30_000 };
                    waits >= (credit + bytes as u64 * 1_000 / 240).min(30_000)
                });
                prop_assert!(deserved);
            }
        }
    }
}
