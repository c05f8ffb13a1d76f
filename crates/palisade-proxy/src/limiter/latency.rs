//! What the application's latency says about its load.
//!
//! A latency means nothing by itself: a page takes 50 ms, an upload five seconds, and a refused
//! form one. So each class of requests (its route) has a scale, the latency that three quarters of
//! its answers exceed, followed slowly and only while the limit is out of reach: an overload must
//! not become the measure of itself. One slow answer means nothing either: a cohort of requests is
//! judged by its faster quarter, which slows down only when everybody waits. What is usual is the
//! smallest median of the cohorts of a minute. The smallest latency would be that of a cache or of
//! an error, and says nothing about the others.
//!
//! A cohort is made of requests that were admitted one after the other, not of answers that came
//! one after the other: the first answers after a change are always the quick ones.

use std::time::Duration;

use arrayvec::ArrayVec;
use palisade_core::Monotonic;

use super::Ticket;

/// Below this a latency is noise; nothing is measured more finely.
const SCALE_MIN: f32 = 0.002;

/// How often a scale follows its class, and by how much. Up by one step and down by three holds
/// it where a quarter of the answers is faster.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
const FOLLOW_STEP: f32 = 0.02;

/// A cohort is complete after this time, once it is large enough to be judged; or when it is as
/// large as it gets.
const COHORT: Duration = Duration::from_millis(100);
const COHORT_MIN: u32 = 32;
const COHORT_MAX: usize = 128;

/// What a scale is multiplied with when it follows a faster class.
const FOLLOW_DOWN: f32 = 1.0 - 3.0 * FOLLOW_STEP;

/// How much of a cohort's median goes into the smoothed one.
const SMOOTHING: f32 = 0.3;

/// Six slices of ten seconds make the sixty.
const SLICES: usize = 6;
const SLICE: u64 = 10_000_000_000;

/// The scale of each class.
#[derive(Debug, Default)]
pub(super) struct Scales(Vec<Scale>);

#[derive(Clone, Copy, Debug, Default)]
struct Scale {
    /// In seconds; zero before the first answer.
    seconds: f32,
    followed: Monotonic,
}

/// A latency in its class's scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) value: f32,
    pub(super) unit: Unit,
}

/// What became of the scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Kept,
    /// It was too large for its class: what was measured in it so far seems faster than it was.
    Shrunk,
}

/// Whether the limit held requests back while a sample was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It did, or nearly.
    Reached,
    /// It was far away.
    Far,
}

/// Requests that were admitted one after the other, and what is known of their latencies, each in
/// its class's scale.
#[derive(Debug, Default)]
pub(super) struct Cohort {
    /// The first one, and when it was admitted.
    first: Option<(Ticket, Monotonic)>,
    /// The last one, as soon as no more are admitted to it.
    last: Option<Ticket>,
    /// Those whose answers came or may still come.
    members: u32,
    samples: ArrayVec<f32, COHORT_MAX>,
    /// Answers that came meanwhile, of members or not.
    answers: u32,
}

/// What a cohort showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// What a quarter of the samples is below.
    pub(super) quarter: f32,
    /// What half of them is below.
    pub(super) half: f32,
    /// Answers in a second.
    pub(super) rate: f32,
}

/// The smallest median of the cohorts of a minute.
#[derive(Debug)]
pub(super) struct Usual {
    /// Which slice of time was written last.
    slice: u64,
    smallest: [f32; SLICES],
    /// The medians of the last cohorts, smoothed: among hundreds there is always one that was
    /// lucky.
    recent: Option<f32>,
}

impl Scales {
    /// Puts a latency into its class's scale.
    pub(super) fn measure(&mut self, class: u16, latency: Duration, reach: Reach, now: Monotonic) -> Sample {
        let place = usize::from(class);
        if self.0.len() <= place {
            self.0.resize(place + 1, Scale::default());
        }
        let seconds = latency.as_secs_f32().max(SCALE_MIN);
        let Some(scale) = self.0.get_mut(place) else { return Sample { value: 1.0, unit: Unit::Kept } };
        let mut unit = Unit::Kept;
        if scale.seconds == 0.0 {
            *scale = Scale { seconds, followed: now };
        } else if reach == Reach::Far && now.since(scale.followed) >= FOLLOW_EVERY {
            let step = if seconds > scale.seconds { 1.0 + FOLLOW_STEP } else { FOLLOW_DOWN };
            let followed = (scale.seconds * step).max(SCALE_MIN);
            if followed < scale.seconds {
                unit = Unit::Shrunk;
            }
            *scale = Scale { seconds: followed, followed: now };
        }
        Sample { value: seconds / scale.seconds, unit }
    }
}

impl Cohort {
    /// A request was admitted.
    pub(super) fn admit(&mut self, ticket: Ticket, now: Monotonic) {
        let (_, since) = *self.first.get_or_insert((ticket, now));
        if self.last.is_some() {
            return;
        }
        self.members += 1;
        let full = self.members as usize >= COHORT_MAX;
        if full || (self.members >= COHORT_MIN && now.since(since) >= COHORT) {
            self.last = Some(ticket);
        }
    }

    /// A request was answered; gives the verdict as soon as half of the cohort was.
    pub(super) fn answer(&mut self, ticket: Ticket, sample: f32, now: Monotonic) -> Option<Verdict> {
        self.answers += 1;
        if self.has(ticket) {
            // There is room for every member.
            let _ = self.samples.try_push(sample);
        }
        self.judge(now)
    }

    /// A request ended without a latency that could be told.
    pub(super) fn lose(&mut self, ticket: Ticket) {
        if self.has(ticket) {
            self.members = self.members.saturating_sub(1);
        }
        // Nobody is left who could be answered.
        if self.members == 0 && self.last.is_some() {
            *self = Self::default();
        }
    }

    fn has(&self, ticket: Ticket) -> bool {
        self.first.is_some_and(|(first, _)| first <= ticket) && self.last.is_none_or(|last| ticket <= last)
    }

    fn judge(&mut self, now: Monotonic) -> Option<Verdict> {
        let (Some((_, since)), Some(_)) = (self.first, self.last) else { return None };
        let (quarter, half) = (self.members as usize / 4, self.members as usize / 2);
        // Those that aren't answered yet are the slower ones.
        if self.samples.len() <= half {
            return None;
        }
        let (_, half, _) = self.samples.select_nth_unstable_by(half, f32::total_cmp);
        let half = *half;
        let (_, quarter, _) = self.samples.select_nth_unstable_by(quarter, f32::total_cmp);
        let rate = self.answers as f32 / now.since(since).as_secs_f32().max(f32::EPSILON);
        let verdict = Verdict { quarter: *quarter, half, rate };
        *self = Self::default();
        Some(verdict)
    }
}

impl Default for Usual {
    fn default() -> Self {
        Self { slice: 0, smallest: [f32::INFINITY; SLICES], recent: None }
    }
}

impl Usual {
    /// Notes a cohort's median.
    pub(super) fn note(&mut self, half: f32, now: Monotonic) {
        let smooth = self.recent.map_or(half, |recent| recent + (half - recent) * SMOOTHING);
        self.recent = Some(smooth);
        self.keep(smooth, now);
    }

    /// Notes the median of a cohort that was made to see what is usual.
    pub(super) fn note_probe(&mut self, half: f32, now: Monotonic) {
        self.keep(half, now);
    }

    /// A scale has shrunk, so what was noted in it is larger in the new one. Only up to 1: what
    /// three quarters of the answers exceed is no more than their median in a scale that fits.
    pub(super) fn restate(&mut self) {
        for half in self.smallest.iter_mut().chain(&mut self.recent).filter(|half| **half < 1.0) {
            *half = (*half / FOLLOW_DOWN).min(1.0);
        }
    }

    /// The smallest of what was noted in the last minute.
    pub(super) fn smallest(&self) -> f32 {
        self.smallest.iter().copied().fold(f32::INFINITY, f32::min)
    }

    fn keep(&mut self, half: f32, now: Monotonic) {
        let slice = now.as_nanos() / SLICE;
        // Slices in which nothing was noted hold what is older than a minute.
        for stale in (self.slice + 1).max(slice.saturating_sub(SLICES as u64 - 1))..=slice {
            if let Some(smallest) = self.smallest.get_mut((stale % SLICES as u64) as usize) {
                *smallest = f32::INFINITY;
            }
        }
        self.slice = self.slice.max(slice);
        if let Some(smallest) = self.smallest.get_mut((slice % SLICES as u64) as usize) {
            *smallest = half.min(*smallest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_nanos(millis * 1_000_000)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn each_class_has_its_scale() {
        let mut scales = Scales::default();
        assert_eq!(scales.measure(3, millis(100), Reach::Far, at(0)).value, 1.0);
        assert_eq!(scales.measure(3, millis(300), Reach::Reached, at(1)).value, 3.0);
        assert_eq!(scales.measure(0, millis(900), Reach::Far, at(1)).value, 1.0);
    }

    #[test]
    fn a_scale_follows_while_the_limit_is_far() {
        for (reach, expected) in [(Reach::Far, 0.9..1.1), (Reach::Reached, 9.9..10.1)] {
            let mut scales = Scales::default();
            scales.measure(0, millis(10), reach, at(0));
            let last = (1..1000).map(|number| scales.measure(0, millis(100), reach, at(number * 100)).value).last();
            assert!(expected.contains(&last.unwrap()), "{reach:?} {last:?}");
        }
    }

    #[test]
    fn a_delay_of_a_millisecond_is_noise() {
        let mut scales = Scales::default();
        scales.measure(0, Duration::from_micros(100), Reach::Far, at(0));
        assert_eq!(scales.measure(0, millis(2), Reach::Far, at(0)).value, 1.0);
        assert_eq!(scales.measure(0, millis(6), Reach::Far, at(0)).value, 3.0);
    }

    #[test]
    fn a_cohort_is_judged_when_half_of_it_is_answered() {
        let mut cohort = Cohort::default();
        // The last one comes after 100 ms and closes it; the one after that is no member.
        (0..52).for_each(|number| cohort.admit(Ticket(number), at(number * 2)));
        assert_eq!(cohort.answer(Ticket(51), 9.0, at(150)), None);
        // The quick ones come first; of 51, the 26th is the median.
        let answers = (0..40u8).map(|number| cohort.answer(Ticket(number.into()), f32::from(number), at(500)));
        let verdicts: Vec<_> = answers.collect();
        assert_eq!(verdicts.iter().position(Option::is_some), Some(25));
        assert_eq!(verdicts[25], Some(Verdict { quarter: 12.0, half: 25.0, rate: 54.0 }));
    }

    #[test]
    fn a_cohort_is_full_at_some_time_and_forgets_the_lost() {
        let mut cohort = Cohort::default();
        (0..1000).for_each(|number| cohort.admit(Ticket(number), at(0)));
        (100..1000).for_each(|number| cohort.lose(Ticket(number)));
        let answers = (0..60).map(|number| cohort.answer(Ticket(number), 1.0, at(10)));
        assert_eq!(answers.take_while(Option::is_none).count(), 50);
    }

    #[test]
    fn a_cohort_that_lost_everybody_makes_room_for_the_next() {
        let mut cohort = Cohort::default();
        (0..COHORT_MAX as u64).for_each(|number| cohort.admit(Ticket(number), at(0)));
        (0..COHORT_MAX as u64).for_each(|number| cohort.lose(Ticket(number)));
        (200..400).for_each(|number| cohort.admit(Ticket(number), at(1)));
        let verdict = (200..400).find_map(|number| cohort.answer(Ticket(number), 1.0, at(10)));
        assert_eq!(verdict.map(|verdict| verdict.half), Some(1.0));
    }

    #[test]
    fn what_is_usual_follows_a_scale_that_was_too_large() {
        let (mut scales, mut usual) = (Scales::default(), Usual::default());
        scales.measure(0, millis(1000), Reach::Far, at(0));
        usual.note(scales.measure(0, millis(20), Reach::Far, at(1)).value, at(1));
        for number in 1..1000 {
            let Sample { value, unit } = scales.measure(0, millis(20), Reach::Far, at(number * 100));
            if unit == Unit::Shrunk {
                usual.restate();
            }
            assert!(value <= usual.smallest() * 1.1, "{number}: {} {value}", usual.smallest());
            usual.note(value, at(number * 100));
        }
    }

    #[test]
    fn what_is_usual_is_the_smallest_of_a_minute() {
        let mut usual = Usual::default();
        for (millis, half, expected) in [(0, 3.0, 3.0), (59_999, 5.0, 3.0), (60_000, 5.0, 3.6), (61_000, 1.0, 1.0)] {
            if half == 1.0 {
                usual.note_probe(half, at(millis));
            } else {
                usual.note(half, at(millis));
            }
            assert!((usual.smallest() - expected).abs() < 1e-6, "{millis}: {}", usual.smallest());
        }
    }

    #[test]
    fn one_lucky_cohort_is_smoothed() {
        let mut usual = Usual::default();
        usual.note(1.0, at(0));
        usual.note(0.1, at(1));
        assert!(usual.smallest() > 0.7);
    }
}
