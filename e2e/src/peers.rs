//! Proxies of others, in front of the same kind of application: to hold Palisade against them.
//!
//! They come from the distribution and are configured as little as possible: connections to the
//! application are kept, no request is sent to it twice, and it is told the client's address in
//! `X-Real-IP`, as by Palisade.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use palisade_testkit::upstream::Upstream;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::within;

/// A program of the distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// nginx, from `nginx-light`.
    Nginx,
    /// HAProxy.
    Haproxy,
}

/// A proxy that runs. Killed when dropped.
pub struct Peer {
    child: Child,
    /// Where the application is reached through it.
    pub public: SocketAddr,
    _home: TempDir,
}

/// A port may be gone by the time a program binds it.
const TRIES: usize = 5;

impl Program {
    /// What it is called, also by the shell.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// Starts it in front of an application and waits until it listens.
    pub async fn start(self, upstream: &Upstream) -> Peer {
        for _ in 0..TRIES {
            let public = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr()).unwrap();
            let home = tempfile::tempdir().unwrap();
            let mut child = self.spawn(home.path(), public, upstream.address());
            let listens = async {
                loop {
                    if TcpStream::connect(public).await.is_ok() {
                        return true;
                    }
                    if child.try_wait().unwrap().is_some() {
                        return false;
                    }
                    tokio::task::yield_now().await;
                }
            };
            if within(self.name(), listens).await {
                return Peer { child, public, _home: home };
            }
            eprintln!("{}", fs::read_to_string(home.path().join("said")).unwrap());
        }
        panic!("{} does not start", self.name());
    }

    fn spawn(self, home: &Path, public: SocketAddr, upstream: &str) -> Child {
        let file = home.join("config");
        let text = match self {
            Self::Nginx => nginx(home, public, upstream),
            Self::Haproxy => haproxy(public, upstream),
        };
        fs::write(&file, text).unwrap();
        let arguments = match self {
            Self::Nginx => vec!["-p".into(), home.to_owned(), "-c".into(), file],
            Self::Haproxy => vec!["-db".into(), "-f".into(), file],
        };
        // It ends with us, however we end.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", self.name()]).args(arguments).stdin(Stdio::null());
        // Where Debian has them, for users who don't.
        command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
        let said = File::create(home.join("said")).unwrap();
        command.stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap()
    }
}

/// Panics with what to type, unless all of them are there.
pub fn installed(programs: &[Program]) {
    for program in programs {
        let is_there = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(program.name()).exists());
        assert!(is_there, "{} is not there; type, as root: apt-get install nginx-light haproxy", program.name());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn nginx(home: &Path, public: SocketAddr, upstream: &str) -> String {
    let home = home.display();
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("  {what}_temp_path {home}/{what};\n"))
        .collect();
    format!(
        "daemon off;
master_process off;
pid {home}/pid;
error_log {home}/errors crit;
events {{ worker_connections 4096; }}
http {{
{temp}  access_log off;
  upstream application {{
    server {upstream};
    keepalive 64;
    keepalive_requests 1000000;
  }}
  server {{
    listen {public} backlog=4096;
    location / {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_next_upstream off;
      proxy_set_header Connection \"\";
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
    }}
  }}
}}
"
    )
}

fn haproxy(public: SocketAddr, upstream: &str) -> String {
    format!(
        "global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  retries 0
  option http-keep-alive
  option disable-h2-upgrade
  http-reuse always
frontend public
  bind {public} backlog 4096
  http-request set-header X-Real-IP %[src]
  default_backend application
backend application
  server one {upstream}
"
    )
}
