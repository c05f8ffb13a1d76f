//! Eight counters in 128 bytes: two lines of a processor's cache, fetched as a pair.
//!
//! The tags come first, so that a search touches one line. A counter is its melt-off instant
//! alone: when that has passed, all debt is gone and the cell is as good as empty. No timer, sweep
//! or length of life is needed.

/// Words of one bucket: eight tags, then the eight melt-off instants that belong to them.
pub(super) const WORDS: usize = 2 * CELLS;
/// Cells of one bucket.
pub(super) const CELLS: usize = 8;

/// A view of one bucket's words.
pub(super) struct Bucket<'a> {
    tags: &'a mut [u64],
    melt_offs: &'a mut [u64],
}

/// Where a counter was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It was there already.
    Updated,
    /// Into a cell never used before.
    Fresh,
    /// Over a counter whose debt had melted.
    Reused,
    /// Over a live counter, the one nearest to its melt-off.
    Evicted,
}

impl<'a> Bucket<'a> {
    /// The bucket in `words`, of which there are [`WORDS`].
    pub(super) fn new(words: &'a mut [u64]) -> Self {
        let (tags, melt_offs) = words.split_at_mut(words.len().min(CELLS));
        Self { tags, melt_offs }
    }

    /// When the debt under `tag` melts off; 0, long past, if there is none.
    pub(super) fn melt_off(&self, tag: u64) -> u64 {
        let cell = self.tags.iter().position(|&other| other == tag);
        cell.and_then(|cell| self.melt_offs.get(cell)).copied().unwrap_or(0)
    }

    /// Notes when the debt under `tag` melts off.
    ///
    /// A full bucket gives up the counter nearest to its melt-off: a flood of new keys evicts its
    /// own, and a key that is used up goes last. Evicting by age instead would let a flood free it.
    pub(super) fn put(&mut self, tag: u64, melt_off: u64, now: u64) -> Placed {
        let known = self.tags.iter().position(|&other| other == tag);
        let cell = known.or_else(|| {
            let nearest = self.melt_offs.iter().enumerate().min_by_key(|&(_, &melt_off)| melt_off);
            nearest.map(|(cell, _)| cell)
        });
        let Some((cell_tag, cell_melt_off)) =
            cell.and_then(|cell| Some((self.tags.get_mut(cell)?, self.melt_offs.get_mut(cell)?)))
        else {
            return Placed::Updated;
        };
        let placed = match *cell_melt_off {
            _ if known.is_some() => Placed::Updated,
            0 if *cell_tag == 0 => Placed::Fresh,
            old if old <= now => Placed::Reused,
            _ => Placed::Evicted,
        };
        (*cell_tag, *cell_melt_off) = (tag, melt_off);
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_gives_up_the_counter_nearest_to_its_melt_off() {
        let mut words = [0; WORDS];
        let mut bucket = Bucket::new(&mut words);
        for (tag, melt_off) in (1..=8).zip([800, 300, 900, 400, 500, 600, 700, 950]) {
            assert_eq!(bucket.put(tag, melt_off, 100), Placed::Fresh, "{tag}");
        }
        assert_eq!(bucket.put(2, 350, 100), Placed::Updated);
        assert_eq!(bucket.put(9, 2_000, 349), Placed::Evicted);
        assert_eq!([bucket.melt_off(2), bucket.melt_off(4), bucket.melt_off(9)], [0, 400, 2_000]);
        assert_eq!(bucket.put(10, 2_000, 400), Placed::Reused);
        assert_eq!([bucket.melt_off(4), bucket.melt_off(10)], [0, 2_000]);
    }
}
