//! Whether a server is worth a try, judged by its connects alone.
//!
//! Five connects that fail in a row take a server out for a second, then two, doubling to thirty.
//! After that it is half open: one request tries it, and what becomes of that connect decides. A
//! connect that succeeds, whoever made it, brings it back at once.

use std::time::Duration;

use palisade_core::Monotonic;

/// Failed connects in a row that take a server out.
const FAILURES_MAX: u32 = 5;
const OUT_MIN: Duration = Duration::from_secs(1);
const OUT_MAX: Duration = Duration::from_secs(30);

/// What is known of one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    failures: u32,
    out: Option<Out>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Out {
    until: Monotonic,
    period: Duration,
    trial: Trial,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Free,
    Taken,
}

/// Whether requests should go to a server now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    In,
    /// One request may try it.
    HalfOpen,
    /// Not before this instant, unless every server is out.
    Out(Monotonic),
}

impl Health {
    /// How it stands at `now`.
    pub fn standing(&self, now: Monotonic) -> Standing {
        match self.out {
            None => Standing::In,
            Some(Out { until, trial: Trial::Free, .. }) if until <= now => Standing::HalfOpen,
            Some(Out { until, .. }) => Standing::Out(until),
        }
    }

    /// A request is sent to it: half open, it is that request that tries.
    pub fn chosen(&mut self, now: Monotonic) {
        if let Some(out) = &mut self.out
            && out.until <= now
        {
            out.trial = Trial::Taken;
        }
    }

    /// A request that was sent to it ended without a verdict, so that another one may try.
    pub fn undecided(&mut self) {
        if let Some(out) = &mut self.out {
            out.trial = Trial::Free;
        }
    }

    /// A connect succeeded, or an answer came.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A connect failed at `now`.
    pub fn failed(&mut self, now: Monotonic) {
        self.failures = self.failures.saturating_add(1);
        match &mut self.out {
            // Requests still go to a server that is out when all are. They must not prolong its
            // time: only a failure after the period is a verdict.
            Some(out) if out.until <= now => {
                let period = (out.period * 2).min(OUT_MAX);
                *out = Out { until: now.plus(period), period, trial: Trial::Free };
            }
            Some(_) => {}
            None if self.failures >= FAILURES_MAX => {
                self.out = Some(Out { until: now.plus(OUT_MIN), period: OUT_MIN, trial: Trial::Free });
            }
            None => {}
        }
    }

    /// Whether nothing is held against it, so that a success changes nothing.
    pub fn is_clean(&self) -> bool {
        self.failures == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_nanos(millis * 1_000_000)
    }

    fn out_at_zero() -> Health {
        let mut health = Health::default();
        for _ in 0..FAILURES_MAX {
            assert_eq!(health.standing(at(0)), Standing::In);
            health.failed(at(0));
        }
        health
    }

    #[test]
    fn five_failures_in_a_row_take_it_out() {
        assert_eq!(out_at_zero().standing(at(0)), Standing::Out(at(1000)));
        let mut health = Health::default();
        for _ in 0..4 {
            health.failed(at(0));
        }
        health.succeeded();
        health.failed(at(0));
        assert_eq!(health.standing(at(0)), Standing::In);
    }

    #[test]
    fn half_open_one_request_tries() {
        let mut health = out_at_zero();
        assert_eq!(health.standing(at(999)), Standing::Out(at(1000)));
        assert_eq!(health.standing(at(1000)), Standing::HalfOpen);
        health.chosen(at(1000));
        assert_eq!(health.standing(at(1001)), Standing::Out(at(1000)));
        health.undecided();
        assert_eq!(health.standing(at(1001)), Standing::HalfOpen);
        health.chosen(at(1001));
        health.succeeded();
        assert_eq!(health.standing(at(1001)), Standing::In);
    }

    #[test]
    fn the_time_out_doubles_to_thirty_seconds() {
        let mut health = out_at_zero();
        let mut now = 1000;
        let mut periods = Vec::new();
        for _ in 0..7 {
            health.chosen(at(now));
            health.failed(at(now));
            let Standing::Out(until) = health.standing(at(now)) else { panic!("in") };
            let period = until.since(at(now)).as_millis() as u64;
            periods.push(period / 1000);
            now += period;
        }
        assert_eq!(periods, [2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn failures_while_out_do_not_prolong_it() {
        let mut health = out_at_zero();
        for millis in 0..999 {
            health.failed(at(millis));
        }
        assert_eq!(health.standing(at(1000)), Standing::HalfOpen);
    }
}
