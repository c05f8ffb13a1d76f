//! The bounded queue between the workers and the one thread that tells.
//!
//! Records come in batches, so a worker takes the lock once for many of them. A quarter of the
//! queue takes only notable records: those that failed, were refused or were slow are the ones
//! somebody will look for. What doesn't fit is dropped and counted, and no worker ever waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palisade_core::record::{Answer, Asked, Attempt};
use palisade_core::{Outcome, Record, Tally};

/// Records in a batch at most.
pub(crate) const BATCH: usize = 64;

/// Emptied batches that are kept for reuse.
const SPARE: usize = 8;

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    bytes_max: usize,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<(Vec<Record>, usize)>,
    bytes: usize,
    spare: Vec<Vec<Record>>,
    closed: bool,
}

impl Queue {
    /// An empty queue that holds at most `bytes_max`.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), bytes_max, dropped: AtomicU64::new(0) }
    }

    /// Puts a batch in, or as much of it as fits. Gives an empty one back.
    pub(crate) fn push(&self, mut batch: Vec<Record>, slow: Option<Duration>) -> Vec<Record> {
        let mut bytes: usize = batch.iter().map(weight).sum();
        let mut state = self.lock();
        if state.bytes + bytes > self.ordinary_max() {
            let before = batch.len();
            bytes = 0;
            batch.retain(|record| {
                let max = if is_notable(record, slow) { self.bytes_max } else { self.ordinary_max() };
                let fits = state.bytes + bytes + weight(record) <= max;
                bytes += if fits { weight(record) } else { 0 };
                fits
            });
            self.dropped.fetch_add((before - batch.len()) as u64, Ordering::Relaxed);
        }
        if batch.is_empty() {
            return batch;
        }
        state.bytes += bytes;
        state.batches.push_back((batch, bytes));
        let spare = state.spare.pop();
        drop(state);
        self.filled.notify_one();
        spare.unwrap_or_else(|| Vec::with_capacity(BATCH))
    }

    /// Waits for a batch. `None` once the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<Vec<Record>> {
        let mut state = self.lock();
        loop {
            if let Some((batch, bytes)) = state.batches.pop_front() {
                state.bytes -= bytes;
                return Some(batch);
            }
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes a batch back that was told.
    pub(crate) fn recycle(&self, mut batch: Vec<Record>) {
        batch.clear();
        let mut state = self.lock();
        if state.spare.len() < SPARE {
            state.spare.push(batch);
        }
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Records dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How full it is, 0 to 1.
    pub(crate) fn ratio(&self) -> f64 {
        self.lock().bytes as f64 / self.bytes_max.max(1) as f64
    }

    const fn ordinary_max(&self) -> usize {
        self.bytes_max / 4 * 3
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a record is one that somebody will look for: it failed, was refused or would have been,
/// or was slow.
pub(crate) fn is_notable(record: &Record, slow: Option<Duration>) -> bool {
    let ended_badly = match record.outcome {
        Outcome::Ok | Outcome::ClientLeft => false,
        Outcome::AppError | Outcome::UpstreamError | Outcome::Refused | Outcome::InternalError => true,
    };
    ended_badly || would_refuse(record) || slow.is_some_and(|slow| record.latency >= slow)
}

/// Whether a policy refused the request, or in mode `report` would have.
pub(crate) fn would_refuse(record: &Record) -> bool {
    record.policies.iter().any(|asked| matches!(asked.answer, Answer::Refuse(_)))
}

/// About how much memory a record holds.
pub(crate) fn weight(record: &Record) -> usize {
    let names: usize = record.query_names.iter().map(|name| size_of::<Box<str>>() + name.len()).sum();
    size_of::<Record>()
        + record.path.len()
        + record.host.len()
        + record.user_agent.as_ref().map_or(0, |agent| agent.len())
        + names
        + record.attempts.len() * size_of::<Attempt>()
        + record.policies.iter().map(asked_weight).sum::<usize>()
        + record.limits.len() * size_of::<Tally>()
}

fn asked_weight(asked: &Asked) -> usize {
    let held = match &asked.answer {
        Answer::Allow(note) => note.as_ref().map_or(0, |note| note.len()),
        Answer::Refuse(refusal) => {
            refusal.detail.as_ref().map_or(0, |detail| detail.len()) + refusal.violated.len() * 32
        }
        Answer::Respond | Answer::Silent => 0,
    };
    size_of::<Asked>() + held
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    fn batch(notable: bool) -> Vec<Record> {
        let mut record = record();
        record.outcome = if notable { Outcome::Refused } else { Outcome::Ok };
        vec![record]
    }

    fn waiting(queue: &Queue) -> Vec<Outcome> {
        queue.close();
        std::iter::from_fn(|| queue.pop()).flatten().map(|record| record.outcome).collect()
    }

    #[test]
    fn a_quarter_is_kept_for_notable_records() {
        let queue = Queue::new(weight(&record()) * 8);
        for _ in 0..10 {
            queue.push(batch(false), None);
        }
        assert_eq!(queue.dropped(), 4);
        for _ in 0..10 {
            queue.push(batch(true), None);
        }
        assert_eq!(queue.dropped(), 12);
        let mut expected = vec![Outcome::Ok; 6];
        expected.extend([Outcome::Refused; 2]);
        assert_eq!(waiting(&queue), expected);
    }

    #[test]
    fn a_batch_is_taken_apart_when_only_some_of_it_fits() {
        let queue = Queue::new(weight(&record()) * 4);
        let mixed: Vec<Record> = [false, false, false, false, true].into_iter().flat_map(batch).collect();
        queue.push(mixed, None);
        assert_eq!((queue.dropped(), queue.ratio()), (1, 1.0));
        assert_eq!(waiting(&queue), [Outcome::Ok, Outcome::Ok, Outcome::Ok, Outcome::Refused]);
    }

    #[test]
    fn telling_makes_room() {
        let queue = Queue::new(weight(&record()) * 4);
        for _ in 0..100 {
            queue.push(batch(false), None);
            let told = queue.pop().unwrap();
            queue.recycle(told);
        }
        assert_eq!((queue.dropped(), queue.ratio()), (0, 0.0));
    }

    #[test]
    fn slow_requests_are_notable() {
        let mut record = record();
        record.latency = Duration::from_millis(500);
        assert!(!is_notable(&record, None));
        assert!(is_notable(&record, Some(Duration::from_millis(500))));
        assert!(!is_notable(&record, Some(Duration::from_millis(501))));
    }
}
