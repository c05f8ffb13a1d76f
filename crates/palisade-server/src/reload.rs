//! Another configuration for a gateway that runs.
//!
//! The new snapshot is compiled aside. If anything is wrong with it, or it changes what only a
//! start takes over, the old one stays and nothing has happened. Else every worker is given the
//! new one between two requests; requests under way keep theirs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use palisade_config::{Change, Format, Report, Snapshot, diff, load, restart_keys};
use palisade_core::chain;
use palisade_telemetry::metrics::Reload;
use palisade_telemetry::{TelemetryError, Value};

use crate::announce::trouble;
use crate::gateway::Gateway;
use crate::live::{LiveError, Plan};
use crate::looks::{Looks, Mark, mark};
use crate::process::{Read, Secrets, Shared};
use crate::tick::Tick;
use crate::tls::{CertificateStore, Certificates, TlsError};
use crate::worker::{Command, Worker};
use crate::{certificates, settings};

/// The workers of the process.
pub(crate) struct Workers(Mutex<Vec<Worker<Gateway>>>);

/// Knows how a configuration is read, and which one is in force.
pub(crate) struct Reloader {
    pub(crate) read: Read,
    /// The files that it reads.
    pub(crate) paths: Vec<PathBuf>,
    /// What they were before they were last read.
    pub(crate) marks: Mutex<Vec<Mark>>,
    pub(crate) secrets: Secrets,
    pub(crate) plan: Mutex<Arc<Plan>>,
    pub(crate) certificates: Option<Arc<Certificates>>,
    /// One reload at a time.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

/// Why the old configuration stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// The new one is invalid.
    #[error("the configuration is invalid. Nothing was changed: the old one stays in force")]
    Config(Box<Report>),
    /// It changes what only a start takes over.
    #[error("these keys apply at start; restart the gateway or take the change back: {0}")]
    Restart(String),
    /// The application can't be reached as it says.
    #[error(transparent)]
    Application(#[from] LiveError),
    /// Its certificates can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its access log can't be written.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

/// How long files must have been quiet before they are read again.
const QUIET: Duration = Duration::from_millis(500);

impl Workers {
    pub(crate) fn new(workers: Vec<Worker<Gateway>>) -> Self {
        Self(Mutex::new(workers))
    }

    /// The workers' heartbeats.
    pub(crate) fn ticks(&self) -> Vec<Arc<Tick>> {
        self.lock().iter().map(|worker| worker.tick().clone()).collect()
    }

    /// Tells every worker the same. Those that have ended can't be told, and need not be.
    pub(crate) async fn tell(&self, command: impl Fn() -> Command<Gateway>) {
        let senders: Vec<_> = self.lock().iter().map(Worker::sender).collect();
        for sender in senders {
            let _ = sender.send(command()).await;
        }
    }

    /// Ends them all, whatever is still open. Blocks.
    pub(crate) fn stop(&self) {
        for worker in std::mem::take(&mut *self.lock()) {
            // One that panicked has said so.
            let _ = worker.stop();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Worker<Gateway>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reloader {
    /// The snapshot in force.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.plan().snapshot.clone()
    }

    fn plan(&self) -> Arc<Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads the configuration again and puts it in force. Gives the changes; none: it is the same.
///
/// # Errors
///
/// Why the old one stays in force.
pub(crate) async fn reload(shared: &Shared) -> Result<Vec<Change>, ReloadError> {
    let _turn = shared.reloader.turn.lock().await;
    let outcome = take_over(shared).await;
    let events = shared.telemetry.events();
    match &outcome {
        Ok(changes) => {
            shared.status.reloaded(Reload::Succeeded);
            let changes: Vec<_> = changes.iter().map(Change::to_string).collect();
            events.emit("reloaded", &[("changes", Value::Texts(&changes))]);
        }
        Err(error) => {
            shared.status.reloaded(Reload::Failed);
            if let ReloadError::Config(report) = error {
                eprint!("{}", report.render(Format::Human(palisade_config::Color::Plain)));
            }
            trouble(&events, "reload_failed", error);
        }
    }
    outcome
}

async fn take_over(shared: &Shared) -> Result<Vec<Change>, ReloadError> {
    let Reloader { read, paths, marks, secrets, .. } = &shared.reloader;
    // Before they are read: what is written from here on is another change.
    *marks.lock().unwrap_or_else(PoisonError::into_inner) = look(paths);
    let (snapshot, _) = load(&read(), secrets.seed).map_err(|report| ReloadError::Config(Box::new(report)))?;
    let before = shared.reloader.plan();
    let changes = diff(&before.snapshot, &snapshot);
    let mut at_start: Vec<_> = restart_keys(&changes).iter().map(|change| change.key.clone()).collect();
    if before.snapshot.app.tls.is_some() != snapshot.app.tls.is_some() {
        at_start.push("app.tls".to_owned());
    }
    if !at_start.is_empty() {
        return Err(ReloadError::Restart(at_start.join(", ")));
    }
    // What a secret or a certificate's file holds may have changed where no key did, so all of it
    // is taken over even if no key differs.
    let plan = Arc::new(Plan::new(Arc::new(snapshot), secrets.sample)?);
    let store = match &plan.snapshot.app.tls {
        Some(tls) => Some(CertificateStore::load(&certificates::pairs(tls))?),
        None => None,
    };
    // The last thing that can fail; from here on everything is taken over.
    shared.telemetry.reload(settings::told(&plan.snapshot), settings::labels(&plan.snapshot))?;
    if let (Some(certificates), Some(store)) = (&shared.reloader.certificates, store) {
        certificates.replace(store);
    }
    shared.door.limits.store(settings::limits(&plan.snapshot));
    shared.door.admission.set(settings::admission(&plan.snapshot));
    *shared.reloader.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan.clone();
    shared
        .workers
        .tell(|| {
            let plan = plan.clone();
            Command::Tell(Box::new(move |gateway| gateway.replace(plan)))
        })
        .await;
    Ok(changes)
}

/// The answer to an operator who asks for a reload.
pub(crate) async fn respond(shared: &Shared) -> Response<Bytes> {
    match reload(shared).await {
        Ok(changes) if changes.is_empty() => text(StatusCode::OK, "no change\n".to_owned()),
        Ok(changes) => text(StatusCode::OK, changes.iter().map(|change| format!("{change}\n")).collect()),
        Err(ReloadError::Config(report)) => {
            let mut response = text(StatusCode::UNPROCESSABLE_ENTITY, report.render(Format::Json));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => text(StatusCode::UNPROCESSABLE_ENTITY, format!("{}\n", chain(&error))),
    }
}

fn text(status: StatusCode, body: String) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Reloads when a file of the configuration becomes another one, if `[app] watch` says so.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let read = || shared.reloader.marks.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut looks: Option<Looks<Vec<Mark>>> = None;
    loop {
        tokio::time::sleep(QUIET).await;
        if !shared.reloader.snapshot().app.watch {
            looks = None;
            continue;
        }
        let now = look(&shared.reloader.paths);
        let settled = looks.get_or_insert_with(|| Looks::since(read())).settled(now.clone());
        // Whoever asked for a reload may have had them read already.
        if settled && now != read() {
            // What went wrong is told by the reload itself.
            let _ = reload(&shared).await;
        }
    }
}

/// What the files are now.
pub(crate) fn look(paths: &[PathBuf]) -> Vec<Mark> {
    paths.iter().map(|path| mark(path)).collect()
}
