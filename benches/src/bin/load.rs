//! The clients of a proxy that is measured.
//!
//! - `load closed`: every connection asks again as soon as it is answered.
//! - `load open --rate N`: N requests a second whatever the answers do; a latency counts from when
//!   the request was due, so that a slow proxy can't hide behind its own queue.
//! - `load idle`: one request on each connection, then they are held until standard input ends.
//!
//! `--to ADDRESS --connections N --seconds S --requests N --path P --body BYTES --spin --tls`. Prints
//! one line of JSON.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use benches::client::{Client, Progress, Request};
use benches::events::{Events, Interest};
use benches::histogram::Histogram;
use benches::options::Options;
use benches::socket::Transport;

fn main() -> Result<(), String> {
    let options = Options::typed();
    let address: SocketAddr = options.value("--to", SocketAddr::from(([127, 0, 0, 1], 0)))?;
    if !address.ip().is_loopback() {
        return Err(format!("{address} is not on loopback"));
    }
    let seconds: f64 = options.value("--seconds", 2.0)?;
    let requests_max: u64 = options.value("--requests", u64::MAX)?;
    let connections: usize = options.value("--connections", 64)?;
    let request = Request::new(&options.value("--path", "/".to_owned())?, options.value("--body", 0)?);
    let arrivals = match options.first() {
        "closed" => Arrivals::Closed,
        "open" => Arrivals::Open { step_ns: (1e9 / options.value("--rate", 1_000.0)?) as u64, next_ns: 0 },
        "idle" => Arrivals::Once { left: connections as u64 },
        other => return Err(format!("`{other}` is neither closed, open nor idle")),
    };
    let is_held = matches!(arrivals, Arrivals::Once { .. });
    let events = Events::new(options.wait()).map_err(said)?;
    let mut load = Load {
        transport: options.transport().map_err(said)?,
        address,
        request,
        arrivals,
        events,
        clients: Vec::new(),
        idle: VecDeque::new(),
        due: VecDeque::new(),
        latencies: Histogram::new(),
        sent: 0,
        done: 0,
        bad: 0,
        broken: 0,
        requests_max,
        began: Instant::now(),
    };
    load.connect(connections).map_err(said)?;
    let took = load.run(Duration::from_secs_f64(seconds)).map_err(said)?;
    load.print(took).map_err(said)?;
    if is_held {
        io::stdin().read_to_end(&mut Vec::new()).map_err(said)?;
    }
    Ok(())
}

fn said(error: io::Error) -> String {
    error.to_string()
}

enum Arrivals {
    Closed,
    Open { step_ns: u64, next_ns: u64 },
    Once { left: u64 },
}

struct Load {
    transport: Transport,
    address: SocketAddr,
    request: Request,
    arrivals: Arrivals,
    events: Events,
    clients: Vec<Client>,
    idle: VecDeque<usize>,
    /// When requests were due that no connection was free for.
    due: VecDeque<u64>,
    latencies: Histogram,
    sent: u64,
    done: u64,
    bad: u64,
    broken: u64,
    requests_max: u64,
    began: Instant,
}

impl Load {
    fn connect(&mut self, connections: usize) -> io::Result<()> {
        for token in 0..connections {
            let client = Client::connect(&self.transport, self.address)?;
            self.events.watch(&client.socket, token)?;
            self.clients.push(client);
            self.idle.push_back(token);
        }
        self.began = Instant::now();
        Ok(())
    }

    fn run(&mut self, limit: Duration) -> io::Result<Duration> {
        let mut buffer = vec![0; 1 << 18];
        let limit_ns = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        loop {
            let now = self.now();
            let is_all_done = self.done + self.broken >= self.requests_max || self.is_once_over();
            if now >= limit_ns || is_all_done {
                return Ok(self.began.elapsed());
            }
            self.arrive(now)?;
            let pause = match self.arrivals {
                Arrivals::Open { next_ns, .. } => next_ns.min(limit_ns).saturating_sub(now),
                Arrivals::Closed | Arrivals::Once { .. } => (limit_ns - now).min(50_000_000),
            };
            for ready in self.events.wait(Some(Duration::from_nanos(pause)))? {
                let Some(client) = self.clients.get_mut(ready.token) else { continue };
                if ready.writable && client.push(&self.request) == (Progress::Waiting { unsent: false }) {
                    self.events.change(&client.socket, ready.token, Interest::Read)?;
                }
                if ready.readable {
                    let progress = client.pull(&mut buffer);
                    self.settle(ready.token, progress)?;
                }
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn is_once_over(&self) -> bool {
        matches!(self.arrivals, Arrivals::Once { left: 0 }) && self.done + self.broken >= self.sent
    }

    /// Sends what is due.
    fn arrive(&mut self, now: u64) -> io::Result<()> {
        match &mut self.arrivals {
            Arrivals::Closed => {
                while let Some(token) = self.next_idle() {
                    self.send(token, now)?;
                }
            }
            Arrivals::Open { step_ns, next_ns } => {
                while *next_ns <= now {
                    self.due.push_back(*next_ns);
                    *next_ns += *step_ns;
                }
                while let Some(due) = self.due.front().copied()
                    && let Some(token) = self.next_idle()
                {
                    self.due.pop_front();
                    self.send(token, due)?;
                }
            }
            // A few at a time, as people come; a listener's queue is not what is measured.
            Arrivals::Once { left } => {
                let room = 64_u64.saturating_sub(self.sent - self.done - self.broken).min(*left);
                *left -= room;
                for _ in 0..room {
                    if let Some(token) = self.idle.pop_front() {
                        self.send(token, now)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn next_idle(&mut self) -> Option<usize> {
        if self.sent < self.requests_max { self.idle.pop_front() } else { None }
    }

    fn send(&mut self, token: usize, since_ns: u64) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(token) else { return Ok(()) };
        self.sent += 1;
        let progress = client.send(&self.request, since_ns);
        if progress == (Progress::Waiting { unsent: true }) {
            self.events.change(&client.socket, token, Interest::ReadAndWrite)?;
        }
        self.settle(token, progress)
    }

    fn settle(&mut self, token: usize, progress: Progress) -> io::Result<()> {
        let now = self.now();
        let Some(client) = self.clients.get_mut(token) else { return Ok(()) };
        match progress {
            Progress::Waiting { .. } => return Ok(()),
            Progress::Answered(status) => {
                self.done += 1;
                self.bad += u64::from(status != 200);
                self.latencies.record(now.saturating_sub(client.since_ns) / 1_000);
                if matches!(self.arrivals, Arrivals::Closed) && self.sent < self.requests_max {
                    return self.send(token, now);
                }
            }
            Progress::Broken => {
                self.broken += 1;
                *client = Client::connect(&self.transport, self.address)?;
                self.events.watch(&client.socket, token)?;
            }
        }
        // Connections that are to be held have had their request.
        if !matches!(self.arrivals, Arrivals::Once { .. }) {
            self.idle.push_back(token);
        }
        Ok(())
    }

    fn print(&self, took: Duration) -> io::Result<()> {
        let Self { done, bad, broken, .. } = self;
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| self.latencies.quantile(share));
        let seconds = took.as_secs_f64();
        println!(
            "{{\"seconds\":{seconds:.3},\"done\":{done},\"bad\":{bad},\"broken\":{broken},\
             \"p50_us\":{p50},\"p90_us\":{p90},\"p99_us\":{p99}}}"
        );
        io::stdout().flush()
    }
}
