//! Which buckets of a stripe have changed: one bit each, so that a step pays one store for it.

/// A bit for each bucket.
#[derive(Debug)]
pub(super) struct Marks(Box<[u64]>);

impl Marks {
    /// None of so many.
    pub(super) fn new(buckets: usize) -> Self {
        Self(vec![0; buckets.div_ceil(64)].into_boxed_slice())
    }

    /// Marks a bucket.
    pub(super) fn mark(&mut self, bucket: usize) {
        if let Some(word) = self.0.get_mut(bucket / 64) {
            *word |= 1 << (bucket % 64);
        }
    }

    /// The first bucket from `from` on that is marked. It no longer is.
    pub(super) fn take(&mut self, from: usize) -> Option<usize> {
        let mut ahead = u64::MAX << (from % 64);
        for (index, word) in self.0.iter_mut().enumerate().skip(from / 64) {
            let marked = *word & ahead;
            if marked != 0 {
                let bit = marked.trailing_zeros();
                *word &= !(1 << bit);
                return Some(index * 64 + bit as usize);
            }
            ahead = u64::MAX;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_taken_once_and_in_order() {
        let mut marks = Marks::new(200);
        for bucket in [199, 0, 63, 64, 127, 64] {
            marks.mark(bucket);
        }
        let (mut from, mut taken) = (0, Vec::new());
        while let Some(bucket) = marks.take(from) {
            taken.push(bucket);
            from = bucket + 1;
        }
        assert_eq!(taken, [0, 63, 64, 127, 199]);
        assert_eq!(marks.take(0), None);
        marks.mark(70);
        assert_eq!((marks.take(71), marks.take(200), marks.take(70)), (None, None, Some(70)));
    }
}
