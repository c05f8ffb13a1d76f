//! The gateway under test: a process of its own, with its log lines and its end.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use palisade_testkit::upstream::Upstream;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::output::{Line, Reader, follow, json_line, text};
use crate::{Received, Scrape, Wire, within};

/// Lines that are shown of a gateway whose scenario failed.
const TAIL: usize = 20;

/// The HTTP/1.1 engine of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Palisade's, which is the default.
    Own,
    /// hyper.
    Hyper,
}

impl Engine {
    /// Both, for scenarios in which they must not differ.
    pub const ALL: [Self; 2] = [Self::Own, Self::Hyper];

    /// As it is configured.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Hyper => "hyper",
        }
    }
}

/// How to start a gateway.
#[derive(Debug)]
pub struct Launch {
    command: &'static str,
    config: Option<String>,
    arguments: Vec<String>,
    descriptors: Option<u32>,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// `palisade run` with this configuration. The listeners get free ports.
    pub fn config(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if !text.contains("[admin]") {
            text.push_str("\n[admin]\nlisten = \"127.0.0.1:0\"\n");
        }
        Self { config: Some(text), ..Self::new("run") }
    }

    /// `palisade demo`.
    pub fn demo() -> Self {
        Self::new("demo")
    }

    fn new(command: &'static str) -> Self {
        Self { command, config: None, arguments: Vec::new(), descriptors: None, environment: Vec::new() }
    }

    /// In front of one application, with every other setting as it comes.
    pub fn before(upstream: &Upstream) -> Self {
        Self::config(format!("[app]\nupstream = \"{}\"\n", upstream.url()))
    }

    /// On this engine. The configuration has its table `[app]`.
    pub fn engine(mut self, engine: Engine) -> Self {
        // Shown if the scenario fails.
        println!("on the engine {}", engine.name());
        let text = self.config.take().unwrap_or_default();
        let table = "[app]\n";
        assert!(text.contains(table), "no table [app] in {text}");
        self.config = Some(text.replacen(table, &format!("{table}engine = \"{}\"\n", engine.name()), 1));
        self
    }

    /// With a further argument after the command.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// With at most this many file descriptors.
    pub fn descriptors(mut self, count: u32) -> Self {
        self.descriptors = Some(count);
        self
    }

    /// With a further environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it listens.
    pub async fn start(self) -> Gateway {
        let home = tempfile::tempdir().unwrap();
        let mut command = match self.descriptors {
            None => Command::new(binary()),
            Some(count) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {count}; exec \"$0\" \"$@\"")]).arg(binary());
                shell
            }
        };
        command.arg(self.command).args(&self.arguments);
        if let Some(text) = &self.config {
            let file = home.path().join("palisade.toml");
            fs::write(&file, text).unwrap();
            command.arg("--config").arg(file);
        }
        command
            .current_dir(home.path())
            .env("PALISADE_LISTEN", "127.0.0.1:0")
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let reader = Arc::new(Reader::default());
        let output = follow(child.stdout.take().unwrap(), Arc::clone(&reader));
        let talk = follow(child.stderr.take().unwrap(), Arc::default());
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let pid = Pid::from_child(&child);
        let mut gateway =
            Gateway { child: Some(child), pid, public: unknown, admin: unknown, output, talk, reader, home };
        gateway.line("the start", is_start).await;
        gateway.public = gateway.listener("public");
        gateway.admin = gateway.listener("admin");
        gateway
    }
}

fn is_start(line: &Value) -> bool {
    line["event"] == "started"
}

fn is_record(line: &Line) -> bool {
    line.json.as_ref().is_some_and(|json| json["event"] == "request")
}

/// The `palisade` binary of the profile under test: this test is in `target/<profile>/deps`.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("palisade");
    assert!(binary.exists(), "{} is not there; type: cargo build -p palisade", binary.display());
    binary
}

/// A running gateway. Killed when dropped.
pub struct Gateway {
    child: Option<Child>,
    pid: Pid,
    /// Where the application is reached through it.
    pub public: SocketAddr,
    /// Its admin listener.
    pub admin: SocketAddr,
    output: watch::Receiver<Vec<Line>>,
    talk: watch::Receiver<Vec<Line>>,
    reader: Arc<Reader>,
    home: TempDir,
}

impl Gateway {
    /// The folder it was started in, with its `palisade.toml`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The address of the listener called `name`.
    pub fn listener(&self, name: &str) -> SocketAddr {
        let lines = self.lines();
        let started = lines.iter().filter_map(|line| line.json.as_ref()).find(|line| is_start(line)).unwrap();
        let listeners = started["listeners"].as_array().unwrap_or_else(|| panic!("no listeners in {started}"));
        let listener = listeners.iter().find(|listener| listener["name"] == name);
        let address = listener.and_then(|listener| listener["address"].as_str());
        address.unwrap_or_else(|| panic!("no {name} listener in {started}")).parse().unwrap()
    }

    /// Waits for a JSON line on stdout.
    pub async fn line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = json_line(&self.output, what, wanted).await;
        found.unwrap_or_else(|| panic!("{what}: the gateway ended first\n{}", self.said()))
    }

    /// Waits for the record of a request.
    pub async fn record(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.line(what, |line| line["event"] == "request" && wanted(line)).await
    }

    /// Waits until there are `count` records and gives all that there are then.
    pub async fn records(&self, count: usize) -> Vec<Value> {
        let mut output = self.output.clone();
        let enough = |lines: &Vec<Line>| lines.iter().filter(|line| is_record(line)).count() >= count;
        let lines = within(&format!("{count} records"), output.wait_for(enough)).await.unwrap();
        lines.iter().filter(|line| is_record(line)).filter_map(|line| line.json.clone()).collect()
    }

    /// Reads no more of its stdout, as a log collector that was stopped.
    pub fn stop_reading(&self) {
        self.reader.stop();
    }

    /// Reads its stdout again.
    pub fn read_on(&self) {
        self.reader.read_on();
    }

    /// All lines on stdout so far.
    pub fn lines(&self) -> Vec<Line> {
        self.output.borrow().clone()
    }

    /// All that was written to stderr so far.
    pub fn said(&self) -> String {
        text(&self.talk)
    }

    /// Waits until stderr holds `text`.
    pub async fn says(&self, text: &str) {
        let mut talk = self.talk.clone();
        let waited = within(text, talk.wait_for(|lines| lines.iter().any(|line| line.text.contains(text)))).await;
        assert!(waited.is_ok(), "the gateway ended without saying {text:?}\n{}", self.said());
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Waits for the end of the process.
    pub async fn exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let limit = Duration::from_secs(60);
        let ended = tokio::time::timeout(limit, tokio::task::spawn_blocking(move || child.wait())).await;
        match ended {
            Ok(status) => status.unwrap().unwrap(),
            Err(_) => {
                self.signal(Signal::KILL);
                panic!("still running after {limit:?}\n{}", self.said());
            }
        }
    }

    /// One request to the application on a connection of its own.
    pub async fn get(&self, path: &str) -> Received {
        Wire::open(self.public).await.get(path).await.unwrap()
    }

    /// The metrics, as a scraper reads them.
    pub async fn scrape(&self) -> Scrape {
        let answer = Wire::open(self.admin).await.get("/metrics").await.unwrap();
        assert_eq!(answer.status, 200);
        Scrape::read(&answer.text())
    }

    /// The metrics once `total` requests are counted.
    pub async fn counted(&self, total: usize) -> Scrape {
        within("the metrics catch up", async {
            loop {
                let scrape = self.scrape().await;
                if scrape.sum("palisade_requests_total", &[]) >= total as f64 {
                    return scrape;
                }
            }
        })
        .await
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
        if thread::panicking() {
            for (name, lines) in [("stdout", self.output.borrow()), ("stderr", self.talk.borrow())] {
                for line in lines.iter().rev().take(TAIL).rev() {
                    eprintln!("gateway {name}: {}", line.text);
                }
            }
        }
    }
}
