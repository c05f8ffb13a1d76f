//! How much memory a table of counters may take.

/// A size in bytes, from 1 MiB to 16 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableSize(u64);

impl TableSize {
    /// The smallest: 65,536 counters.
    pub const MIN: Self = Self(1 << 20);
    /// The largest.
    pub const MAX: Self = Self(16 << 30);

    /// `None` outside 1 MiB to 16 GiB.
    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes < Self::MIN.0 || bytes > Self::MAX.0 { None } else { Some(Self(bytes)) }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Default for TableSize {
    /// 64 MiB: four million counters. Pages that hold none cost nothing.
    fn default() -> Self {
        Self(64 << 20)
    }
}
