//! The stand on which proxies are measured: application, load, certificate, and places for peers.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::load::{self, Load};
use super::machine::{Cores, free_port, raise_descriptors};
use super::peers::Peer;
use super::process::{Place, Program, Running};
use super::sets::Set;
use super::site::{Front, Profile, Site};
use crate::command::{command, run, start};
use crate::failure::Failure;
use crate::packages;
use crate::root::{Root, create_folder, read};

/// What application and load do while there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// They ask again, so that no proxy pays for waking an idle core.
    Spinning,
    Asleep,
}

impl Rest {
    const fn argument(self) -> Option<&'static str> {
        match self {
            Self::Spinning => Some("--spin"),
            Self::Asleep => None,
        }
    }
}

/// How long a peer may take until it listens.
const START: Duration = Duration::from_secs(20);

/// Builds what is measured and what measures.
pub(crate) fn build(root: &Root, palisade: Option<&Path>) -> Result<(), Failure> {
    let ours = if palisade.is_none() { &["-p", "palisade"][..] } else { &[] };
    run(command(root, "cargo", ["build", "--release", "-p", "benches"]).args(ours))
}

/// The stand.
pub(crate) struct Stand {
    root: Root,
    /// For configurations and logs, in memory.
    folder: TempDir,
    /// For certificate and key, on a disk: Palisade reads no secret below /dev.
    secrets: TempDir,
    cores: Cores,
    palisade: PathBuf,
    envoy: PathBuf,
    pub(crate) load: Load,
    pub(crate) rest: Rest,
    sites: AtomicU32,
}

/// The application behind the proxies.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    _running: Running,
}

/// A peer that listens.
pub(crate) struct Started {
    pub(crate) peer: Peer,
    pub(crate) address: SocketAddr,
    pub(crate) running: Running,
    folder: PathBuf,
}

impl Started {
    /// Whether it does the work that it is measured for: headers in the answer, and a log that
    /// grows with the requests.
    pub(crate) fn check_work(&self, set: Set, requests: f64) -> Result<(), Failure> {
        if set.profile() == Profile::Plain {
            return Ok(());
        }
        let bytes = fs::metadata(self.folder.join("access.log")).map_or(0, |log| log.len()) as f64;
        // The last lines may still be in a buffer.
        if bytes < requests * LINE_BYTES_MIN * 0.9 {
            return Err(Failure::Found(format!("{} logged {bytes} bytes for {requests} requests", self.peer.name())));
        }
        let head = if set.front() == Front::Http1 { ask(self.address)? } else { String::new() };
        if set.front() == Front::Http1 && !head.to_ascii_lowercase().contains("\r\nx-content-type-options: nosniff\r\n")
        {
            return Err(Failure::Found(format!("{} adds no headers:\n{head}", self.peer.name())));
        }
        Ok(())
    }
}

/// A JSON line with request id, address, method, path, status, sizes and user agent.
const LINE_BYTES_MIN: f64 = 200.0;

/// The head of the answer to a simple request.
pub(crate) fn ask(address: SocketAddr) -> Result<String, Failure> {
    let asked = || {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(START))?;
        socket.write_all(b"GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")?;
        let mut head = String::new();
        let mut reader = BufReader::new(socket);
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
        Ok(head)
    };
    asked().map_err(Failure::file(address.to_string()))
}

impl Drop for Started {
    fn drop(&mut self) {
        // Its log may be large, and memory is what it is kept in.
        drop(fs::remove_file(self.folder.join("access.log")));
    }
}

/// Connections that are kept.
pub(crate) struct Held(Child);

impl Held {
    /// Lets them go.
    pub(crate) fn release(mut self) -> Result<(), Failure> {
        drop(self.0.stdin.take());
        self.0.wait().map(drop).map_err(Failure::file("load"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts the application. What it says goes to `folder`.
pub(crate) fn backend(root: &Root, place: &Place, folder: &Path, rest: Rest) -> Result<Backend, Failure> {
    let said = folder.join("address");
    let program = root.join("target/release/backend").display().to_string();
    let mut program = Program::new(program, rest.argument());
    program.output = Some(File::create(&said).map_err(Failure::file(&said))?);
    let running = Running::start(program, place, folder)?;
    let began = Instant::now();
    while began.elapsed() < START {
        if let Some(address) = read(&said)?.strip_suffix('\n').and_then(|line| line.parse().ok()) {
            return Ok(Backend { address, _running: running });
        }
        std::thread::yield_now();
    }
    let why = read(&folder.join("said")).unwrap_or_default();
    Err(Failure::Found(format!("the application did not start: {why}")))
}

impl Stand {
    pub(crate) fn new(
        root: &Root,
        palisade: Option<PathBuf>,
        cores: Cores,
        connections: usize,
        rest: Rest,
    ) -> Result<Self, Failure> {
        raise_descriptors()?;
        let memory = Path::new("/dev/shm");
        let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).map_err(Failure::file(memory))?;
        let palisade = palisade.unwrap_or(root.join("target/release/palisade"));
        let program = root.join("target/release/load");
        let load = Load { root: root.clone(), place: cores.load.clone(), program, spin: rest.argument(), connections };
        let stand = Self {
            root: root.clone(),
            folder,
            secrets: tempfile::tempdir_in(root.join("target")).map_err(Failure::file("target"))?,
            cores,
            palisade: std::path::absolute(&palisade).map_err(Failure::file(palisade))?,
            envoy: packages::envoy(root).unwrap_or("envoy".into()),
            load,
            rest,
            sites: AtomicU32::new(0),
        };
        stand.certify()?;
        Ok(stand)
    }

    pub(crate) fn binary_bytes(&self) -> Option<u64> {
        fs::metadata(&self.palisade).ok().map(|file| file.len())
    }

    /// The load that sleeps between requests.
    pub(crate) fn load_asleep(&self) -> Load {
        Load { spin: Rest::Asleep.argument(), ..self.load.clone() }
    }

    fn certify(&self) -> Result<(), Failure> {
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| self.secrets.path().join(name));
        let mut openssl = command(&self.root, "openssl", ["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]);
        openssl.args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=app.example.com"]);
        openssl.args(["-addext", "subjectAltName=DNS:app.example.com,IP:127.0.0.1"]);
        run(openssl.arg("-keyout").arg(key).arg("-out").arg(certificate).stderr(Stdio::null()))
    }

    /// Starts the application.
    pub(crate) fn backend(&self, rest: Rest) -> Result<Backend, Failure> {
        backend(&self.root, &self.cores.load, &self.next_folder("backend")?, rest)
    }

    /// Starts a peer and waits until it listens.
    pub(crate) fn start(&self, peer: Peer, set: Set, upstream: SocketAddr) -> Result<Started, Failure> {
        let site = self.site(peer, set, upstream)?;
        let mut running = Running::start(self.program(peer, &site)?, &self.cores.proxy, &site.folder)?;
        running.listens(site.listen, START).map_err(|failure| {
            let said = read(&site.folder.join("said")).unwrap_or_default();
            Failure::Found(format!("{failure}\n{said}"))
        })?;
        Ok(Started { peer, address: site.listen, running, folder: site.folder })
    }

    /// What a peer is started by, with the path of its program.
    pub(crate) fn program(&self, peer: Peer, site: &Site) -> Result<Program, Failure> {
        let program = peer.program(site)?;
        match packages::find(&self.root, &program.program) {
            Some(path) => Ok(Program { program: path.display().to_string(), ..program }),
            None => Err(Failure::Found(format!("{} is not there", program.program))),
        }
    }

    pub(crate) fn site(&self, peer: Peer, set: Set, upstream: SocketAddr) -> Result<Site, Failure> {
        Ok(Site {
            profile: set.profile(),
            front: set.front(),
            bodies: set.bodies(),
            folder: self.next_folder(peer.name())?,
            listen: free_port()?,
            admin: free_port()?,
            upstream,
            certificate: self.secrets.path().join("certificate.pem"),
            key: self.secrets.path().join("key.pem"),
            palisade: self.palisade.clone(),
            envoy: self.envoy.clone(),
        })
    }

    fn next_folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.folder.path().join(format!("{name}-{}", self.sites.fetch_add(1, Ordering::Relaxed)));
        create_folder(&folder)?;
        Ok(folder)
    }

    /// Opens connections, has one request answered on each, and keeps them.
    pub(crate) fn hold(&self, connections: usize, to: SocketAddr) -> Result<Held, Failure> {
        let mut words = self.cores.load.0.iter().cloned().chain([self.load.program.display().to_string()]);
        let mut load = Command::new(words.next().unwrap_or_default());
        load.args(words).args(load::words(&format!("idle --connections {connections} --seconds 30 --to {to}")));
        load.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut held = Held(load.spawn().map_err(|why| start(&load, why))?);
        let mut said = String::new();
        if let Some(output) = held.0.stdout.take() {
            BufReader::new(output).read_line(&mut said).map_err(Failure::file("load"))?;
        }
        match load::own(&said) {
            Some(sample) if sample.done >= connections as f64 && sample.bad == 0.0 => Ok(held),
            _ => Err(Failure::Found(format!("not all of {connections} connections were answered: {said}"))),
        }
    }

    /// `nginx 1.22.1`
    pub(crate) fn version(&self, peer: Peer) -> String {
        let (program, argument) = match peer {
            Peer::Palisade | Peer::PalisadeHyper => (self.palisade.display().to_string(), "--version"),
            Peer::Envoy => (self.envoy.display().to_string(), "--version"),
            Peer::Nginx | Peer::Haproxy => (peer.name().to_owned(), "-v"),
            Peer::Traefik | Peer::Caddy => (peer.name().to_owned(), "version"),
        };
        let output = command(&self.root, &program, [argument]).output();
        let said = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let is_number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
        let words = said.split(|c: char| c.is_whitespace() || "/,v-+".contains(c));
        format!("{} {}", peer.name(), words.into_iter().find(is_number).unwrap_or("(version unknown)"))
    }
}
