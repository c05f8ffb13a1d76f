//! Lines at the front of a buffer that grows.
//!
//! A line that isn't complete is searched for its end only where it grew, so that a sender of
//! single bytes costs no more than one who sends everything at once.

use std::ops::Range;

use memchr::memchr;

/// How far a buffer was read. Nothing may be taken off its front in between.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Where the first line begins that wasn't found yet.
    start: usize,
    /// How far its end was looked for.
    searched: usize,
}

impl Lines {
    /// Where the next line is, its LF included.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Option<Range<usize>> {
        let new = bytes.get(self.searched..)?;
        let Some(found) = memchr(b'\n', new) else {
            self.searched = bytes.len();
            return None;
        };
        let line = self.start..self.searched + found + 1;
        self.go_to(line.end);
        Some(line)
    }

    /// Where the first line begins that wasn't found yet.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The same, if its end was looked for and isn't there.
    pub(crate) fn partial(&self) -> Option<usize> {
        (self.searched > self.start).then_some(self.start)
    }

    /// Goes to where a line begins.
    pub(crate) fn go_to(&mut self, start: usize) {
        self.start = start;
        self.searched = start;
    }
}
