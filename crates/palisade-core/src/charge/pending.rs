//! Reservations of one counter: what may yet be spent.
//!
//! Counted by epochs, each as long as a reservation's life, so that a counter keeps two numbers and
//! not one for each request: what was reserved in the epoch before the last is spent.

/// Units reserved in this epoch and in the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// What epochs are counted in. A counter outlives the configuration that says so.
    life: u64,
    epoch: u64,
    current: u32,
    previous: u32,
}

/// Units whose life is over, and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lapsed {
    pub(super) units: u32,
    pub(super) at: u64,
}

impl Pending {
    /// Everything that is reserved.
    pub const fn units(self) -> u32 {
        self.current.saturating_add(self.previous)
    }

    /// Brings it to `now`. Gives what has lapsed meanwhile, the older first. What was reserved for
    /// another life begins a new one.
    pub(super) fn advance(&mut self, now: u64, life: u64) -> [Lapsed; 2] {
        let epoch = now / life.max(1);
        if self.life != life {
            *self = Self { life, epoch, current: self.units(), previous: 0 };
        }
        let ends = |epochs: u64| self.epoch.saturating_add(epochs).saturating_mul(life);
        let lapsed = |units, at| Lapsed { units, at };
        match epoch.saturating_sub(self.epoch) {
            0 => [lapsed(0, 0); 2],
            1 => {
                let gone = [lapsed(self.previous, ends(1)), lapsed(0, 0)];
                *self = Self { life, epoch, current: 0, previous: self.current };
                gone
            }
            _ => {
                let gone = [lapsed(self.previous, ends(1)), lapsed(self.current, ends(2))];
                *self = Self { life, epoch, current: 0, previous: 0 };
                gone
            }
        }
    }

    /// Reserves. It was brought to now before.
    pub(super) fn add(&mut self, units: u32) {
        self.current = self.current.saturating_add(units);
    }

    /// Takes back what was reserved at `taken`. Gives how much of it was there: the rest has lapsed, so
    /// that it is spent. It was brought to now before.
    pub(super) fn remove(&mut self, units: u32, taken: u64) -> u32 {
        let epoch = taken / self.life.max(1);
        let (own, other) = match self.epoch.saturating_sub(epoch) {
            0 => (&mut self.current, &mut self.previous),
            1 => (&mut self.previous, &mut self.current),
            _ => return 0,
        };
        // Whose clock was behind is counted in the epoch after its own.
        let first = units.min(*own);
        *own -= first;
        let second = (units - first).min(*other);
        *other -= second;
        first + second
    }
}
