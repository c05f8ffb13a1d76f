//! Whether files have become others, without reading them.
//!
//! A look compares who and when each file is, following links, so it notices files that are
//! written, renamed over, or swapped under a link. New files count once they have been the same
//! for two looks, so that nothing is read half replaced.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What makes a file another one: device, inode, size, and when it was changed.
pub(crate) type Mark = Option<(u64, u64, u64, i64, i64)>;

/// What the last looks saw.
pub(crate) struct Looks<M> {
    /// The files that were loaded, or couldn't be.
    tried: M,
    before: M,
}

impl<M: Clone + PartialEq> Looks<M> {
    pub(crate) fn since(tried: M) -> Self {
        Self { before: tried.clone(), tried }
    }

    /// Whether these are new files that have stayed the same since the last look.
    pub(crate) fn settled(&mut self, now: M) -> bool {
        let settled = now != self.tried && now == self.before;
        if settled {
            self.tried.clone_from(&now);
        }
        self.before = now;
        settled
    }
}

/// The file as it is now; `None`: it isn't there.
pub(crate) fn mark(file: &Path) -> Mark {
    let found = fs::metadata(file).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_tried_once_they_have_settled() {
        let pair = |certificate: u64, key: u64| vec![[Some((0, certificate, 0, 0, 0)), Some((0, key, 0, 0, 0))]];
        let mut looks = Looks::since(pair(1, 1));
        for (look, tried) in [
            (pair(1, 1), false),
            // Half replaced, then whole.
            (pair(2, 1), false),
            (pair(2, 2), false),
            (pair(2, 2), true),
            (pair(2, 2), false),
            // Back and forth.
            (pair(3, 3), false),
            (pair(2, 2), false),
            (pair(2, 2), false),
            // Gone is a change like any other.
            (vec![[None, None]], false),
            (vec![[None, None]], true),
        ] {
            assert_eq!(looks.settled(look.clone()), tried, "{look:?}");
        }
    }
}
