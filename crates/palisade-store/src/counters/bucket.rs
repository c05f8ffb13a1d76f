//! One bucket of the table: eight cells in two lines of cache.
//!
//! A cell is a tag and a word. The tags come first, so that a search touches one line. A word tells
//! by itself when it may be forgotten ([`Cell`]): a counter that has melted, or whose window is over,
//! is as good as none. No timer, sweep or length of life is needed.

use palisade_core::Now;
use palisade_core::charge::Cell;

/// Words of one bucket: eight tags, then the eight counters that belong to them.
pub(super) const WORDS: usize = 2 * CELLS;
/// Cells of one bucket.
pub(super) const CELLS: usize = 8;

/// A view of one bucket's words.
pub(super) struct Bucket<'a> {
    tags: &'a mut [u64],
    cells: &'a mut [u64],
}

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
        let (tags, cells) = words.split_at_mut(words.len().min(CELLS));
        Self { tags, cells }
    }

    /// The counter under `tag`; empty if there is none.
    pub(super) fn find(&self, tag: u64) -> Cell {
        let place = self.tags.iter().position(|&other| other == tag);
        Cell::from_word(place.and_then(|place| self.cells.get(place)).copied().unwrap_or(0))
    }

    /// Keeps the counter under `tag`.
    ///
    /// A full bucket gives up the counter nearest to its end: a flood of new keys evicts its own,
    /// and a key that is used up goes last. Evicting by age instead would let a flood free it.
    pub(super) fn put(&mut self, tag: u64, counter: Cell, now: Now) -> Placed {
        let known = self.tags.iter().position(|&other| other == tag);
        let place = known.or_else(|| {
            let left = |word: u64| Cell::from_word(word).left(now);
            let nearest = self.cells.iter().enumerate().min_by_key(|&(_, &word)| left(word));
            nearest.map(|(place, _)| place)
        });
        let Some((cell_tag, cell)) = place.and_then(|at| Some((self.tags.get_mut(at)?, self.cells.get_mut(at)?)))
        else {
            return Placed::Updated;
        };
        let placed = match *cell_tag {
            _ if known.is_some() => Placed::Updated,
            0 => Placed::Fresh,
            _ if Cell::from_word(*cell).left(now) == 0 => Placed::Reused,
            _ => Placed::Evicted,
        };
        (*cell_tag, *cell) = (tag, counter.word());
        placed
    }

    /// Empties the counter under `tag`. Its cell stays its own until another one takes it.
    pub(super) fn clear(&mut self, tag: u64) {
        let place = self.tags.iter().position(|&other| other == tag);
        if let Some(cell) = place.and_then(|place| self.cells.get_mut(place)) {
            *cell = Cell::EMPTY.word();
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
