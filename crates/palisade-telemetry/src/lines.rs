//! A bounded buffer of lines, and the thread that writes them out.
//!
//! Writing blocks: a full pipe, a stopped terminal, a full disk. So a thread of its own does it,
//! and whoever adds a line only ever takes a short lock. When the buffer is full lines are dropped
//! and counted until half of it is written; then one line says how many were lost. A write that
//! fails is tried again from where it stopped, so a line is never half there. While there is
//! nothing to write to, lines are dropped and counted as well.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use palisade_core::Utc;

use crate::event::{self, Value};
use crate::timestamp::Timestamps;

/// The buffer's bound.
pub(crate) const BYTES_MAX: usize = 8 << 20;

/// Room beyond the bound that only events use: few lines that matter more.
const EVENTS_BYTES: usize = 64 * 1024;

/// Written at once, so that room is given back while a slow reader reads.
const WRITE_BYTES: usize = 64 * 1024;

/// After a failed write. A reader that is merely slow is asked more often.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_SLOW_READER: Duration = Duration::from_millis(10);

/// The buffer.
#[derive(Debug)]
pub(crate) struct Lines {
    state: Mutex<State>,
    changed: Condvar,
    bytes_max: usize,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Bytes that the writer has taken and not written yet.
    writing: usize,
    /// Lines lost since the last one that got through. Nothing is taken while there are any.
    lost: u64,
    /// Lines lost that the next ones to get through will tell of. They keep nothing out.
    untold: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Open,
    /// Everything is written and then the thread ends.
    Closing,
    /// The thread has ended.
    Ended,
}

/// A writer's thread and its buffer.
#[derive(Debug)]
pub(crate) struct Writer {
    lines: Arc<Lines>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Lines {
    fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), bytes_max, dropped: AtomicU64::new(0) }
    }

    /// Adds `lines`, each with its end, or as many of them as fit.
    pub(crate) fn add(&self, lines: &[u8]) {
        let mut state = self.lock();
        if state.lost == 0 && state.fits(lines.len(), self.bytes_max) {
            state.waiting.extend_from_slice(lines);
        } else {
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                if state.lost == 0 && state.fits(line.len(), self.bytes_max) {
                    state.waiting.extend_from_slice(line);
                } else {
                    state.lost += 1;
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Adds the line of an event, which may use room of its own.
    pub(crate) fn add_event(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.fits(line.len(), self.bytes_max + EVENTS_BYTES) {
            state.waiting.extend_from_slice(line);
        } else {
            state.lost += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Lines dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How full it is, 0 to 1; events may fill it a little beyond.
    pub(crate) fn ratio(&self) -> f64 {
        let state = self.lock();
        ((state.waiting.len() + state.writing) as f64 / self.bytes_max as f64).min(1.0)
    }

    /// Waits for lines and swaps them with `empty`. `None` once everything was written.
    fn take(&self, empty: Vec<u8>) -> Option<Vec<u8>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.stage != Stage::Open {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writing = state.waiting.len();
        Some(std::mem::replace(&mut state.waiting, empty))
    }

    /// Gives room back. When enough of it is free again, says what was lost.
    fn written(&self, bytes: usize, timestamps: &mut Timestamps) {
        let mut state = self.lock();
        state.writing = state.writing.saturating_sub(bytes);
        if state.lost + state.untold > 0 && state.waiting.len() + state.writing <= self.bytes_max / 2 {
            let lost = std::mem::take(&mut state.lost) + std::mem::take(&mut state.untold);
            event::write(&mut state.waiting, timestamps, utc(), "lines_lost", &[("lost", Value::Number(lost))]);
        }
    }

    /// Gives the room of lines back that there was nothing to write to for. How many they were is
    /// said once others are written; saying it now would only add one to them.
    fn discard(&self, part: &[u8]) {
        let lines = part.split_inclusive(|byte| *byte == b'\n').count() as u64;
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        let mut state = self.lock();
        state.writing = state.writing.saturating_sub(part.len());
        // Were a full buffer to stay closed, nothing would come by to find the file back.
        state.untold += lines + std::mem::take(&mut state.lost);
    }

    /// Waits before a write is tried again. `false`: there is no more time for that.
    fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        while state.stage == Stage::Open {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        // While closing only a slow reader is waited for, and `Writer::close` bounds for how long.
        drop(state);
        std::thread::park_timeout(RETRY_SLOW_READER);
        pause == RETRY_SLOW_READER
    }

    fn advance(&self, stage: Stage) {
        let mut state = self.lock();
        state.stage = state.stage.max(stage);
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent after each statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fits(&self, bytes: usize, bytes_max: usize) -> bool {
        self.waiting.len() + self.writing + bytes <= bytes_max
    }
}

impl Writer {
    /// Starts a thread that writes to `target`.
    pub(crate) fn start(name: &str, target: impl Target) -> io::Result<Self> {
        Self::start_bounded(name, target, BYTES_MAX)
    }

    pub(crate) fn start_bounded(name: &str, target: impl Target, bytes_max: usize) -> io::Result<Self> {
        let lines = Arc::new(Lines::new(bytes_max));
        let own = lines.clone();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            write_out(&own, target);
            own.advance(Stage::Ended);
        })?;
        Ok(Self { lines, thread: Mutex::new(Some(thread)) })
    }

    /// The buffer, to add lines to.
    pub(crate) fn lines(&self) -> &Arc<Lines> {
        &self.lines
    }

    /// Writes everything and ends the thread. A reader that doesn't read can hold this up only
    /// for `patience`; the thread is then left to the end of the process.
    pub(crate) fn close(&self, patience: Duration) {
        self.lines.advance(Stage::Closing);
        let until = Instant::now() + patience;
        let mut state = self.lines.lock();
        while state.stage != Stage::Ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.lines.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It has ended; a panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

/// Whether there is something to write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// There is.
    Write,
    /// There is nothing; the lines are dropped.
    Drop,
}

/// What lines are written to.
pub(crate) trait Target: Send + 'static {
    /// Called before whole lines are written, `bytes` of them: the time to begin a new file.
    fn prepare(&mut self, bytes: usize) -> Ready;

    /// Writes some of `bytes`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// Anything that is only written to, such as stdout.
#[derive(Debug)]
pub(crate) struct Stream<W>(pub(crate) W);

impl<W: Write + Send + 'static> Target for Stream<W> {
    fn prepare(&mut self, _bytes: usize) -> Ready {
        Ready::Write
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
}

fn write_out(lines: &Lines, mut target: impl Target) {
    let mut timestamps = Timestamps::default();
    let mut spare = Vec::new();
    while let Some(taken) = lines.take(spare) {
        let mut rest = taken.as_slice();
        while !rest.is_empty() {
            let (part, later) = rest.split_at(whole_lines(rest));
            match target.prepare(part.len()) {
                Ready::Write if write_part(lines, &mut target, part) => lines.written(part.len(), &mut timestamps),
                Ready::Write => return,
                Ready::Drop => lines.discard(part),
            }
            rest = later;
        }
        spare = taken;
        spare.clear();
        // A burst must not keep its memory for good.
        spare.shrink_to(WRITE_BYTES * 4);
    }
}

/// Length of the whole lines that are written at once.
fn whole_lines(bytes: &[u8]) -> usize {
    let head = bytes.get(..WRITE_BYTES).unwrap_or(bytes);
    let end = head.iter().rposition(|byte| *byte == b'\n');
    // A line longer than a write goes out alone.
    let end = end.or_else(|| bytes.iter().position(|byte| *byte == b'\n'));
    end.map_or(bytes.len(), |end| end + 1)
}

/// Writes all of `part`. `false`: it could not be written before the end.
fn write_part(lines: &Lines, target: &mut impl Target, mut part: &[u8]) -> bool {
    while !part.is_empty() {
        let pause = match target.write(part) {
            Ok(0) => RETRY,
            Ok(written) => {
                part = part.get(written..).unwrap_or_default();
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => RETRY_SLOW_READER,
            Err(_) => RETRY,
        };
        if !lines.pause(pause) {
            return false;
        }
    }
    true
}

/// The wall clock, for lines that aren't about a request.
pub(crate) fn utc() -> Utc {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Utc::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn everything_is_written_before_the_end() {
        let (mut reader, pipe) = io::pipe().unwrap();
        let writer = Writer::start("lines", Stream(pipe)).unwrap();
        for line in 0..1_000 {
            writer.lines().add(format!("{line}\n").as_bytes());
        }
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        writer.close(PATIENCE);
        let text = reading.join().unwrap();
        assert_eq!(text.lines().map(|line| line.parse::<u32>().unwrap()).collect::<Vec<_>>(), Vec::from_iter(0..1_000));
    }

    #[test]
    fn a_reader_that_stops_loses_lines_and_is_told_how_many_by_one_line() {
        let (mut reader, pipe) = io::pipe().unwrap();
        let writer = Writer::start_bounded("lines", Stream(pipe), 256 * 1024).unwrap();
        for _ in 0..50_000 {
            writer.lines().add(&hundred());
        }
        let dropped = writer.lines().dropped();
        assert!(dropped > 10_000 && writer.lines().ratio() > 0.5);

        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        writer.close(PATIENCE);
        let text = reading.join().unwrap();
        let (own, others): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('{'));
        assert_eq!(others.len() as u64 + dropped, 50_000);
        assert!(others.iter().all(|line| line.len() == 99));
        assert_eq!(own.len(), 1);
        assert!(own[0].starts_with("{\"event\":\"lines_lost\"") && own[0].ends_with(&format!("\"lost\":{dropped}}}")));
    }

    #[test]
    fn a_reader_that_never_reads_does_not_hold_up_the_end() {
        let (_reader, pipe) = io::pipe().unwrap();
        let writer = Writer::start("lines", Stream(pipe)).unwrap();
        writer.lines().add(&b"x\n".repeat(500_000));
        writer.close(Duration::from_millis(10));
    }

    /// A line of a hundred bytes.
    fn hundred() -> Vec<u8> {
        [b"x".repeat(99), b"\n".to_vec()].concat()
    }

    #[test]
    fn a_buffer_that_was_full_takes_nothing_until_half_of_it_is_free() {
        let lines = Lines::new(1_000);
        let mut timestamps = Timestamps::default();
        lines.add(&hundred().repeat(11));
        assert_eq!(lines.dropped(), 1);
        assert_eq!(lines.take(Vec::new()).unwrap().len(), 1_000);
        lines.written(499, &mut timestamps);
        lines.add(&hundred());
        lines.add(&hundred().repeat(2));
        assert_eq!(lines.dropped(), 4);
        lines.written(1, &mut timestamps);
        lines.add(&hundred());
        assert_eq!(lines.dropped(), 4);
        let later = String::from_utf8(lines.take(Vec::new()).unwrap()).unwrap();
        assert_eq!(later.lines().count(), 2);
        assert!(later.lines().next().unwrap().ends_with("\"lost\":4}"), "{later}");
    }

    #[test]
    fn events_have_room_of_their_own_and_a_bound() {
        let lines = Lines::new(1_000);
        lines.add(&hundred().repeat(11));
        for _ in 0..1_000 {
            lines.add_event(&hundred());
        }
        assert_eq!(lines.take(Vec::new()).unwrap().len(), (1_000 + EVENTS_BYTES) / 100 * 100);
        assert_eq!(lines.dropped(), 1 + 1_000 - EVENTS_BYTES as u64 / 100);
    }

    /// A disk that is full for a while, after some bytes.
    struct Failing {
        written: Arc<Mutex<Vec<u8>>>,
        failures: usize,
    }

    impl Target for Failing {
        fn prepare(&mut self, _bytes: usize) -> Ready {
            Ready::Write
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.failures > 0 && !self.written.lock().unwrap().is_empty() {
                self.failures -= 1;
                return Err(ErrorKind::WouldBlock.into());
            }
            let part = bytes.len().min(7);
            self.written.lock().unwrap().extend_from_slice(&bytes[..part]);
            Ok(part)
        }
    }

    #[test]
    fn a_failed_write_goes_on_where_it_stopped() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let writer = Writer::start("lines", Failing { written: written.clone(), failures: 3 }).unwrap();
        writer.lines().add(b"a line that is longer than seven bytes\nand another\n");
        writer.close(PATIENCE);
        assert_eq!(&*written.lock().unwrap(), b"a line that is longer than seven bytes\nand another\n");
    }

    /// A file that is gone for the first few writes.
    struct Gone {
        written: Arc<Mutex<Vec<u8>>>,
        parts: usize,
    }

    impl Target for Gone {
        fn prepare(&mut self, _bytes: usize) -> Ready {
            let gone = self.parts > 0;
            self.parts = self.parts.saturating_sub(1);
            if gone { Ready::Drop } else { Ready::Write }
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn lines_that_there_is_no_file_for_are_counted_and_told_once_there_is_one() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::new(1_000);
        // One more than fits: even a buffer that was full takes lines again.
        lines.add(&hundred().repeat(11));
        lines.advance(Stage::Closing);
        write_out(&lines, Gone { written: written.clone(), parts: 1 });
        assert_eq!((lines.dropped(), lines.ratio()), (11, 0.0));
        assert!(written.lock().unwrap().is_empty());

        lines.add(b"after\n");
        write_out(&lines, Gone { written: written.clone(), parts: 0 });
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("after\n{\"event\":\"lines_lost\"") && text.ends_with("\"lost\":11}\n"), "{text}");
        assert_eq!(lines.dropped(), 11);
    }

    #[test]
    fn writes_end_where_lines_end() {
        let long = b"x".repeat(WRITE_BYTES + 10);
        for (bytes, expected) in [
            (b"a\nb\n".to_vec(), 4),
            ([long.clone(), b"\nb\n".to_vec()].concat(), WRITE_BYTES + 11),
            ([b"a\n".to_vec(), long.clone()].concat(), 2),
            (long, WRITE_BYTES + 10),
        ] {
            assert_eq!(whole_lines(&bytes), expected);
        }
    }
}
