//! Memory: less is accepted as it runs out.
//!
//! The soft limit is 80 % of what the control group allows, or of what the machine still has.
//! Near it, connections are no longer kept, then requests are answered with 503, then none is
//! accepted: each step gives back memory sooner than it is asked for. Page cache doesn't count,
//! the kernel gives it up first; a log file being written would otherwise look like exhaustion.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// How short memory is, read by all workers.
#[derive(Debug, Default)]
pub struct Memory {
    pressure: AtomicU8,
    used: AtomicU64,
}

/// How short memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Enough.
    None,
    /// Answers close their connections.
    KeepNone,
    /// Requests are refused.
    Refuse,
    /// Nothing is accepted.
    AcceptNone,
}

/// Bytes in use and what there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// In use, page cache excluded.
    pub used: u64,
    /// The most there may be.
    pub limit: u64,
}

impl Pressure {
    /// The pressure of this usage.
    pub fn of(usage: Usage) -> Self {
        let soft = u128::from(usage.limit) * 80 / 100;
        let above = |percent: u128| u128::from(usage.used) * 100 >= soft * percent;
        if soft == 0 || !above(85) {
            Self::None
        } else if above(95) {
            Self::AcceptNone
        } else if above(92) {
            Self::Refuse
        } else {
            Self::KeepNone
        }
    }
}

impl Memory {
    /// The pressure at the last sample.
    pub fn pressure(&self) -> Pressure {
        match self.pressure.load(Ordering::Relaxed) {
            0 => Pressure::None,
            1 => Pressure::KeepNone,
            2 => Pressure::Refuse,
            _ => Pressure::AcceptNone,
        }
    }

    /// Bytes in use at the last sample.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Measures. Called every second, never by a worker. Where nothing can be measured, memory is
    /// taken to be enough.
    pub fn sample(&self) {
        if let Some(usage) = control_group().or_else(machine) {
            self.set(usage);
        }
    }

    pub(crate) fn set(&self, usage: Usage) {
        self.used.store(usage.used, Ordering::Relaxed);
        self.pressure.store(Pressure::of(usage) as u8, Ordering::Relaxed);
    }
}

/// The tightest limit of our control group and those above it.
fn control_group() -> Option<Usage> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let mut usages = Vec::new();
    let mut group = root.join(own);
    while group.starts_with(root) {
        usages.extend(group_usage(&group));
        if !group.pop() {
            break;
        }
    }
    usages.into_iter().min_by_key(|usage| usage.limit.saturating_sub(usage.used))
}

fn group_usage(group: &Path) -> Option<Usage> {
    let read = |name: &str| -> Option<String> {
        let file: PathBuf = group.join(name);
        fs::read_to_string(file).ok()
    };
    // "max" is no number: this group has no limit of its own.
    let limit = read("memory.max")?.trim().parse().ok()?;
    let current: u64 = read("memory.current")?.trim().parse().ok()?;
    let stat = read("memory.stat").unwrap_or_default();
    Some(Usage { used: current.saturating_sub(page_cache(&stat)), limit })
}

/// Page cache in `memory.stat`; `file` counts shared memory, which can't be given up.
fn page_cache(stat: &str) -> u64 {
    let entry = |name: &str| {
        stat.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .and_then(|value| value.parse::<u64>().ok())
            .unwrap_or(0)
    };
    entry("file").saturating_sub(entry("shmem"))
}

/// Without a limit of a control group: what we have, of what we have and could still get.
fn machine() -> Option<Usage> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let used = kibibytes(&status, "VmRSS:")?;
    let available = kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    Some(Usage { used, limit: used.saturating_add(available) })
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_rises_in_three_steps() {
        use Pressure::{AcceptNone, KeepNone, None, Refuse};
        // The soft limit of 1,250 is 1,000.
        for (used, limit, expected) in [
            (0, 1_250, None),
            (849, 1_250, None),
            (850, 1_250, KeepNone),
            (919, 1_250, KeepNone),
            (920, 1_250, Refuse),
            (949, 1_250, Refuse),
            (950, 1_250, AcceptNone),
            (5_000, 1_250, AcceptNone),
            (u64::MAX, u64::MAX, AcceptNone),
            (1, 0, None),
        ] {
            let memory = Memory::default();
            memory.set(Usage { used, limit });
            assert_eq!(memory.pressure(), expected, "{used} of {limit}");
        }
    }

    #[test]
    fn page_cache_is_not_in_use() {
        assert_eq!(page_cache("anon 100\nfile 900\nkernel 5\nshmem 300\nfile_mapped 7\n"), 600);
        assert_eq!(page_cache(""), 0);
    }

    #[test]
    fn this_machine_can_be_measured() {
        let usage = machine().unwrap();
        assert!(usage.used > 0 && usage.limit > usage.used, "{usage:?}");
        assert_eq!(kibibytes("VmRSS:\t  123 kB\n", "VmRSS:"), Some(123 * 1024));
    }
}
