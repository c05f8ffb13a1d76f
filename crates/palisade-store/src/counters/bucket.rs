//! One bucket of the table: eight cells in two lines of cache.
//!
//! A cell is a tag and a word, side by side, so that a counter found in the first half costs one line.
//! A word tells by itself when it may be forgotten ([`Cell`]): a counter that has melted, or whose
//! window is over, is as good as none. No timer, sweep or length of life is needed.

use palisade_core::Now;
use palisade_core::charge::Cell;

/// Cells of one bucket.
pub(super) const CELLS: usize = 8;
/// Words of one bucket.
pub(super) const WORDS: usize = 2 * CELLS;

/// A view of one bucket: tags, each with the counter that belongs to it.
pub(super) struct Bucket<'a>(&'a mut [[u64; 2]]);

/// Where a counter was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It was there already.
    Updated,
    /// Into a cell never used before.
    Fresh,
    /// Over a counter that was as good as empty.
    Reused,
    /// Over a live counter, the one nearest to its end.
    Evicted,
}

impl<'a> Bucket<'a> {
    /// The bucket in `words`, of which there are [`WORDS`].
    pub(super) fn new(words: &'a mut [u64]) -> Self {
        Self(words.as_chunks_mut().0)
    }

    /// The counter under `tag`; empty if there is none.
    pub(super) fn find(&self, tag: u64) -> Cell {
        let known = self.0.iter().find(|[other, _]| *other == tag);
        Cell::from_word(known.map_or(0, |[_, word]| *word))
    }

    /// Every counter with its tag.
    pub(super) fn cells(&self) -> impl Iterator<Item = (u64, Cell)> {
        self.0.iter().filter(|[tag, _]| *tag != 0).map(|[tag, word]| (*tag, Cell::from_word(*word)))
    }

    /// Keeps the counter under `tag`.
    ///
    /// A full bucket gives up the counter nearest to its end: a flood of new keys evicts its own,
    /// and a key that is used up goes last. Evicting by age instead would let a flood free it.
    pub(super) fn put(&mut self, tag: u64, counter: Cell, now: Now) -> Placed {
        if let Some([_, word]) = self.0.iter_mut().find(|[other, _]| *other == tag) {
            *word = counter.word();
            return Placed::Updated;
        }
        let left = |word: u64| Cell::from_word(word).left(now);
        let Some(nearest) = self.0.iter_mut().min_by_key(|[_, word]| left(*word)) else { return Placed::Updated };
        let placed = match *nearest {
            [0, _] => Placed::Fresh,
            [_, word] if left(word) == 0 => Placed::Reused,
            _ => Placed::Evicted,
        };
        *nearest = [tag, counter.word()];
        placed
    }

    /// Empties the counter under `tag`. Its cell stays its own until another one takes it.
    pub(super) fn clear(&mut self, tag: u64) {
        if let Some([_, word]) = self.0.iter_mut().find(|[other, _]| *other == tag) {
            *word = Cell::EMPTY.word();
        }
    }
}

#[cfg(test)]
mod tests {
    use palisade_core::{Monotonic, Utc};

    use super::*;

    fn at(nanos: u64) -> Now {
        Now { monotonic: Monotonic::from_nanos(nanos), utc: Utc::from_nanos(nanos) }
    }

    #[test]
    fn a_full_bucket_gives_up_the_counter_nearest_to_its_end() {
        let mut words = [0; WORDS];
        let mut bucket = Bucket::new(&mut words);
        let put = |bucket: &mut Bucket<'_>, tag, word, now| bucket.put(tag, Cell::from_word(word), at(now));
        for (tag, word) in (1..=8).zip([800, 300, 900, 400, 500, 600, 700, 950]) {
            assert_eq!(put(&mut bucket, tag, word, 100), Placed::Fresh, "{tag}");
        }
        assert_eq!(put(&mut bucket, 2, 350, 100), Placed::Updated);
        assert_eq!(put(&mut bucket, 9, 2_000, 349), Placed::Evicted);
        assert_eq!([2, 4, 9].map(|tag| bucket.find(tag).word()), [0, 400, 2_000]);
        assert_eq!(put(&mut bucket, 10, 2_000, 400), Placed::Reused);
        assert_eq!([4, 10].map(|tag| bucket.find(tag).word()), [0, 2_000]);
    }
}
