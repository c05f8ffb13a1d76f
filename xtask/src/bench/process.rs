//! Processes that are measured: started on a core, accounted with all of their children, stopped by
//! their own id.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::command;
use crate::failure::Failure;

/// A program to start.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Where its output goes; nowhere by default.
    pub(crate) output: Option<File>,
}

impl Program {
    pub(crate) fn new<A: Into<String>>(program: impl Into<String>, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), arguments, environment: Vec::new(), output: None }
    }

    pub(crate) fn environment(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }
}

/// The words before a program that put it on a core, at a priority.
#[derive(Clone, Debug)]
pub(crate) struct Place(pub(crate) Vec<String>);

/// A running program. Stopped when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    name: String,
}

const ENDING: Duration = Duration::from_secs(4);

impl Running {
    /// Starts it. What it says on standard error is kept in `folder`.
    pub(crate) fn start(program: Program, place: &Place, folder: &Path) -> Result<Self, Failure> {
        let Program { program, arguments, environment, output } = program;
        let words: Vec<String> = place.0.iter().cloned().chain([program.clone()]).chain(arguments).collect();
        let Some((first, rest)) = words.split_first() else {
            return Err(Failure::Found("nothing to start".to_owned()));
        };
        let said = folder.join("said");
        let errors = File::options().create(true).append(true).open(&said).map_err(Failure::file(said))?;
        let mut command = Command::new(first);
        command.args(rest).envs(environment).current_dir(folder).stdin(Stdio::null()).stderr(errors);
        command.stdout(output.map_or_else(Stdio::null, Stdio::from));
        let child = command.spawn().map_err(|why| command::start(&command, why))?;
        Ok(Self { child, name: program })
    }

    /// Waits until it accepts connections.
    pub(crate) fn listens(&mut self, address: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Failure::Found(format!("{} ended at once: {status}", self.name)));
            }
            thread::yield_now();
        }
        Err(Failure::Found(format!("{} did not listen within {limit:?}", self.name)))
    }

    /// CPU time of it and all of its children, by the scheduler's own account.
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.tasks().iter().filter_map(|task| first_number(&format!("{task}/schedstat"))).sum()
    }

    /// Memory of it and all of its children, shared pages shared out.
    pub(crate) fn memory_kb(&self) -> u64 {
        self.sum_kb("Pss:")
    }

    /// Resident memory of it and all of its children.
    pub(crate) fn resident_kb(&self) -> u64 {
        self.sum_kb("Rss:")
    }

    fn sum_kb(&self, what: &str) -> u64 {
        let size = |pid: u32| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            rollup.lines().find_map(|line| line.strip_prefix(what)?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        };
        family(self.child.id()).into_iter().filter_map(size).sum()
    }

    fn tasks(&self) -> Vec<String> {
        let tasks = |pid: u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
        let paths = family(self.child.id()).into_iter().flat_map(tasks).flatten();
        paths.map(|task| task.path().display().to_string()).collect()
    }

    /// Asks it to end and waits; what does not end is killed.
    pub(crate) fn stop(&mut self, signal: Signal) {
        let family = family(self.child.id());
        if self.ended() {
            return;
        }
        // It may have ended in this moment; then there is nobody left to tell.
        let _ = kill_process(Pid::from_child(&self.child), signal);
        let began = Instant::now();
        while began.elapsed() < ENDING {
            if self.ended() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        for pid in family.into_iter().rev().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        drop(self.child.wait());
    }

    fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop(Signal::TERM);
    }
}

/// A process and its descendants, ancestors first.
fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(pid) = family.get(at).copied() {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            family.extend(children.split_ascii_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        at += 1;
    }
    family
}

fn first_number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_accounted_and_end_with_their_parent() {
        let folder = tempfile::tempdir().unwrap();
        let script = "sh -c 'while :; do :; done' & echo $! > child; wait";
        let mut running =
            Running::start(Program::new("sh", ["-c", script]), &Place(Vec::new()), folder.path()).unwrap();
        let began = Instant::now();
        while running.cpu_ns() < 20_000_000 && began.elapsed() < Duration::from_secs(20) {
            thread::yield_now();
        }
        assert!(running.cpu_ns() >= 20_000_000 && running.memory_kb() > 100);
        let child = fs::read_to_string(folder.path().join("child")).unwrap();
        // The shell that waits takes no notice of this, so it and its child are killed.
        running.stop(Signal::CONT);
        // The kernel takes its time with what was killed.
        let began = Instant::now();
        while is_running(child.trim()) && began.elapsed() < Duration::from_secs(20) {
            thread::yield_now();
        }
        assert!(!is_running(child.trim()));
    }

    fn is_running(pid: &str) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }
}
