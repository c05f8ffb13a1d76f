//! Honest clients: kept connections that ask at a steady rate and note every answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{Received, Wire};

/// Clients at work.
pub struct Traffic {
    stop: watch::Sender<bool>,
    clients: JoinSet<Report>,
}

/// What clients saw.
#[derive(Debug, Default)]
pub struct Report {
    /// Status, waiting time and whether there was a `Retry-After`, in no order.
    pub answers: Vec<Seen>,
    /// Requests without an answer.
    pub failures: Vec<String>,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its status.
    pub status: u16,
    /// Until it was complete.
    pub waited: Duration,
    /// Whether it had a `Retry-After`.
    pub retry_after: bool,
}

impl Traffic {
    /// `clients` connections that together send `per_second` requests for `path`.
    pub fn start(address: SocketAddr, path: &str, clients: u32, per_second: u32) -> Self {
        let (stop, stopped) = watch::channel(false);
        let every = Duration::from_secs(1) * clients / per_second;
        let mut set = JoinSet::new();
        for client in 0..clients {
            // Spread over the first interval, so that they don't march in step.
            let first = Instant::now() + every * client / clients;
            set.spawn(run(address, path.to_owned(), first, every, stopped.clone()));
        }
        Self { stop, clients: set }
    }

    /// Lets requests under way finish and adds up.
    pub async fn stop(self) -> Report {
        self.stop.send_replace(true);
        let mut total = Report::default();
        for report in self.clients.join_all().await {
            total.answers.extend(report.answers);
            total.failures.extend(report.failures);
        }
        total
    }
}

impl Report {
    /// Panics unless every request was answered 200, and there were at least `count`.
    pub fn assert_all_good(&self, count: usize) {
        assert!(self.failures.is_empty(), "{} failed: {:?}", self.failures.len(), self.failures.first());
        let bad: Vec<u16> = self.answers.iter().map(|seen| seen.status).filter(|status| *status != 200).collect();
        assert!(bad.is_empty(), "{} of {} answers were not 200: {:?}", bad.len(), self.answers.len(), bad.first());
        assert!(self.answers.len() >= count, "only {} answers", self.answers.len());
    }

    /// How many answers had this status.
    pub fn count(&self, status: u16) -> usize {
        self.answers.iter().filter(|seen| seen.status == status).count()
    }

    /// The waiting time that a share of the answers with 200 did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut waits: Vec<Duration> =
            self.answers.iter().filter(|seen| seen.status == 200).map(|seen| seen.waited).collect();
        waits.sort_unstable();
        assert!(!waits.is_empty(), "no answer was 200");
        waits[(share * (waits.len() - 1) as f64) as usize]
    }
}

async fn run(
    address: SocketAddr,
    path: String,
    first: Instant,
    every: Duration,
    mut stopped: watch::Receiver<bool>,
) -> Report {
    let mut report = Report::default();
    let mut kept: Option<Wire> = None;
    let mut ticks = interval_at(first, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => (),
            _ = stopped.wait_for(|stopped| *stopped) => return report,
        }
        let began = Instant::now();
        match ask(&mut kept, address, &path).await {
            Ok(answer) => report.answers.push(Seen {
                status: answer.status,
                waited: began.elapsed(),
                retry_after: answer.field("retry-after").is_some(),
            }),
            Err(error) => report.failures.push(error.to_string()),
        }
    }
}

/// One request, on the kept connection if there is one.
async fn ask(kept: &mut Option<Wire>, address: SocketAddr, path: &str) -> std::io::Result<Received> {
    let mut wire = match kept.take() {
        Some(wire) => wire,
        None => Wire::try_open(address).await?,
    };
    let answer = wire.get(path).await?;
    if answer.keeps() {
        *kept = Some(wire);
    }
    Ok(answer)
}
