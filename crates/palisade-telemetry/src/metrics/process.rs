//! What the operating system says about this process. Read at each scrape, never before.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// The process, as far as the system tells.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) cpu: Duration,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) open_fds: Option<u64>,
    pub(crate) max_fds: Option<u64>,
}

impl Process {
    /// Asks.
    pub(crate) fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = Duration::from_secs(u64::try_from(cpu.tv_sec).unwrap_or_default());
        let nanos = Duration::from_nanos(u64::try_from(cpu.tv_nsec).unwrap_or_default());
        Self {
            cpu: seconds + nanos,
            resident_bytes: resident_bytes(),
            // The directory that is being read is open, too, but only now.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|open| open.count().saturating_sub(1) as u64),
            max_fds: getrlimit(Resource::Nofile).current,
        }
    }
}

/// The second number of `statm`, in pages.
fn resident_bytes() -> Option<u64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse::<u64>().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_something() {
        let process = Process::now();
        assert!(process.cpu > Duration::ZERO);
        assert!(process.resident_bytes.unwrap() > 100_000);
        assert!(process.open_fds.unwrap() >= 3);
    }
}
