//! Load generators: ours for HTTP/1.1, within TLS too, `h2load` for HTTP/2.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::process::Place;
use crate::command;
use crate::failure::Failure;
use crate::root::Root;

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) done: f64,
    pub(crate) bad: f64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// Load generators on their core.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) root: Root,
    pub(crate) place: Place,
    /// Our own generator.
    pub(crate) program: PathBuf,
    pub(crate) spin: Option<&'static str>,
    pub(crate) connections: usize,
}

/// What a browser's requests look like to `h2load`; ours sends these too.
const FIELDS: [&str; 3] = [
    "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "accept: application/json, text/plain, */*",
    "cookie: sid=5f2c1e9d8a7b4c3e9f0a1b2c3d4e5f60; theme=dark",
];

const HOST: &str = "app.example.com";

/// After so long a generator is taken to hang.
const LIMIT_SECONDS: &str = "60";

/// Streams of one HTTP/2 connection.
const STREAMS: usize = 8;

impl Load {
    /// Runs ours with these arguments.
    pub(crate) fn own(&self, to: SocketAddr, arguments: &[String]) -> Result<Sample, Failure> {
        let said = self.run(&self.program.display().to_string(), |load| {
            load.args(arguments).args(["--to", &to.to_string()]).args(self.spin);
        })?;
        own(&said).ok_or_else(|| not_understood("load", &said))
    }

    /// As fast as the proxy answers, for so long.
    pub(crate) fn closed(&self, to: SocketAddr, seconds: f64) -> Result<Sample, Failure> {
        self.own(to, &words(&format!("closed --connections {} --seconds {seconds}", self.connections)))
    }

    /// The same within TLS.
    pub(crate) fn tls(&self, to: SocketAddr, seconds: f64) -> Result<Sample, Failure> {
        self.own(to, &words(&format!("closed --tls --connections {} --seconds {seconds}", self.connections)))
    }

    pub(crate) fn h2(&self, to: SocketAddr, seconds: f64) -> Result<Sample, Failure> {
        let connections = (self.connections / STREAMS).max(1).to_string();
        let said = self.run("h2load", |load| {
            load.args(["-t", "1", "-c", &connections, "-m", &STREAMS.to_string()]);
            load.args(["-D", &seconds.ceil().to_string(), "--warm-up-time", "0"]);
            load.args(FIELDS.iter().flat_map(|field| ["-H", field])).args(["-H", &format!(":authority: {HOST}")]);
            load.arg(format!("http://{to}/"));
        })?;
        h2load(&said).ok_or_else(|| not_understood("h2load", &said))
    }

    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command)) -> Result<String, Failure> {
        let mut load = command::command(&self.root, "timeout", [LIMIT_SECONDS]);
        load.args(&self.place.0).arg(program);
        arguments(&mut load);
        command::output(load.stdin(Stdio::null()))
    }
}

/// Arguments as they would be typed.
pub(crate) fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn not_understood(program: &str, said: &str) -> Failure {
    Failure::Found(format!("{program} said nothing that can be counted:\n{said}"))
}

/// What our own generator prints.
pub(crate) fn own(said: &str) -> Option<Sample> {
    let line: Value = serde_json::from_str(said.trim()).ok()?;
    let number = |name: &str| line.get(name)?.as_f64();
    Some(Sample {
        done: number("done").filter(|done| *done > 0.0)?,
        bad: number("bad")? + number("broken")?,
        seconds: number("seconds")?,
        p50_us: number("p50_us")?,
        p99_us: number("p99_us")?,
    })
}

/// `h2load` tells the mean, not the median, and no 99th percentile.
fn h2load(said: &str) -> Option<Sample> {
    let line = |start: &str| said.lines().find_map(|line| line.trim().strip_prefix(start));
    // requests: 42 total, 42 started, 42 done, 42 succeeded, 0 failed, 0 errored, 0 timeout
    let count = |what: &str| {
        line("requests: ")?.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse::<f64>().ok())
    };
    let done = count("succeeded").filter(|done| *done > 0.0)?;
    let per_second: f64 = line("finished in ")?.split(", ").nth(1)?.strip_suffix(" req/s")?.parse().ok()?;
    let mean = line("time for request:")?.split_ascii_whitespace().nth(2)?;
    Some(Sample {
        done,
        bad: count("failed")? + count("errored")?,
        seconds: done / per_second,
        p50_us: microseconds(mean)?,
        p99_us: f64::NAN,
    })
}

/// `1.23ms` in microseconds.
fn microseconds(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_line() {
        let said = r#"{"seconds":2.5,"done":50,"bad":1,"broken":2,"p50_us":10,"p90_us":20,"p99_us":30}"#;
        let sample = Sample { done: 50.0, bad: 3.0, seconds: 2.5, p50_us: 10.0, p99_us: 30.0 };
        assert_eq!(own(said), Some(sample));
        assert_eq!(own(&said.replace("50,", "0,")), None);
    }

    #[test]
    fn what_h2load_prints() {
        let said = "\
finished in 2.00s, 20000.00 req/s, 21.5MB/s
requests: 40000 total, 40064 started, 40000 done, 40000 succeeded, 1 failed, 2 errored, 0 timeout
status codes: 40000 2xx, 0 3xx, 0 4xx, 0 5xx
                     min         max         mean         sd        +/- sd
time for request:      214us      5.09ms      1.50ms       290us    82.21%
";
        let sample = h2load(said).unwrap();
        assert_eq!((sample.done, sample.bad, sample.seconds, sample.p50_us), (40_000.0, 3.0, 2.0, 1_500.0));
        assert_eq!(h2load(&said.replace("40000 succeeded", "0 succeeded")), None);
    }
}
