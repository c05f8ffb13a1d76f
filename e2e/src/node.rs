//! Node.js and the packages of a folder: real clients, and real applications.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use serde_json::Value;
use tokio::sync::watch;

use crate::output::{Line, follow, json_line, text};

/// A folder of this crate with a `package.json`, its lock file, and scripts.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// Tests run side by side, and two of them must not install into one folder.
static INSTALLING: Mutex<()> = Mutex::new(());

impl Folder {
    /// The folder called `name`. Packages are installed if they are missing or older than the lock
    /// file. Blocks meanwhile.
    pub fn with_packages(name: &str) -> Self {
        let folder = Self(Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
        // Who panicked with the lock told why; the next one tries again.
        let _installing = INSTALLING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let packages = changed(&folder.0.join("node_modules/.package-lock.json"));
        if packages < changed(&folder.0.join("package-lock.json")) {
            // Not `npm ci`: it demands optional packages for systems that nobody tests on, and a registry
            // need not have them.
            folder.run("npm", &["install", "--no-save", "--no-audit", "--no-fund"]);
        }
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Runs a command in it; a failure says what to type.
    pub fn run(&self, command: &str, arguments: &[&str]) {
        let output = self
            .command(command, arguments)
            .output()
            .unwrap_or_else(|error| panic!("{command}: {error}; type: cargo xtask ci --only tools"));
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let line = format!("{command} {}", arguments.join(" "));
        assert!(output.status.success(), "failed; type in {}: {line}\n{said}", self.0.display());
    }

    /// A command in it.
    pub fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(command);
        command.args(arguments).current_dir(&self.0).env("NEXT_TELEMETRY_DISABLED", "1");
        command
    }

    /// Starts one of its scripts.
    pub fn start(&self, script: &str, arguments: &[&str]) -> Script {
        let mut command = self.command("node", &[&[script], arguments].concat());
        command.env("NODE_ENV", "production").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = follow(child.stdout.take().unwrap(), Arc::default());
        let talk = follow(child.stderr.take().unwrap(), Arc::default());
        Script { child, output, talk }
    }
}

/// A script that runs and tells of itself in lines of JSON, each with its `event`. Killed when
/// dropped.
#[derive(Debug)]
pub struct Script {
    child: Child,
    output: watch::Receiver<Vec<Line>>,
    talk: watch::Receiver<Vec<Line>>,
}

impl Script {
    /// Waits until it tells of this event.
    pub async fn event(&self, event: &str) -> Value {
        let found = json_line(&self.output, event, |line| line["event"] == event).await;
        found.unwrap_or_else(|| panic!("{event}: the script ended first\n{}{}", text(&self.output), text(&self.talk)))
    }

    /// The port at which it listens.
    pub async fn port(&self) -> u64 {
        self.event("listening").await["port"].as_u64().unwrap()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// When a file was changed; `None` if there is none.
pub fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}
