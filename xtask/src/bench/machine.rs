//! The machine: one core for the proxy, another for the rest, and as little else as possible.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::process::Place;
use crate::command::{command, output};
use crate::failure::Failure;
use crate::packages;
use crate::root::Root;

/// Set in the copy of this program that runs in a network of its own.
const INSIDE: &str = "XTASK_BENCH_NETWORK";

/// bbr paces, and so measures its own idea of a loopback's speed.
const ENTER: &str = "ip link set lo up; \
    ip route replace local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1 congctl lock cubic; \
    exec \"$0\" \"$@\"";

/// Programs that measure, and the packages that have them.
const PROGRAMS: &[packages::Debian] =
    &[("taskset", "util-linux"), ("ip", "iproute2"), ("openssl", "openssl"), ("h2load", "nghttp2-client")];

/// Installs what measures.
pub(crate) fn install(root: &Root) -> Result<(), Failure> {
    packages::debian(root, PROGRAMS)
}

/// Whether this is the copy in a network of its own.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Goes on in a network of its own, if that is allowed; else returns.
pub(crate) fn enter_network() -> Result<(), Failure> {
    let allowed = Command::new("unshare").args(["--net", "true"]).status().is_ok_and(|status| status.success());
    if !allowed {
        return Ok(());
    }
    let program = std::env::current_exe().map_err(Failure::file("xtask"))?;
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "sh", "-c", ENTER]).arg(program).args(std::env::args().skip(1)).env(INSIDE, "1");
    let why = unshare.exec();
    Err(Failure::Start { program: "unshare".to_owned(), why })
}

/// Where the proxy and where everything else runs.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    pub(crate) proxy: Place,
    pub(crate) load: Place,
}

impl Cores {
    /// The first core for the proxy, the second for the rest.
    pub(crate) fn divide() -> Result<Self, Failure> {
        match std::thread::available_parallelism() {
            Ok(count) if count.get() >= 2 => Ok(Self { proxy: place("0"), load: place("1") }),
            _ => Err(Failure::Found("a proxy can't be measured on a single core".to_owned())),
        }
    }

    /// Wherever there is room, for what is counted and not timed.
    pub(crate) fn any() -> Self {
        Self { proxy: Place(Vec::new()), load: Place(Vec::new()) }
    }
}

/// As many descriptors as are allowed, for everything that is started from here.
pub(crate) fn raise_descriptors() -> Result<(), Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    raised.map_err(|why| Failure::Found(format!("the limit on descriptors can't be raised: {why}")))
}

/// Real-time priority where it is allowed, so that other work hardly disturbs; and an end together
/// with us.
fn place(core: &str) -> Place {
    let priority: &[&str] = if is_root() { &["chrt", "-r", "1"] } else { &[] };
    let words = [priority, &["setpriv", "--pdeathsig", "TERM", "taskset", "-c", core]].concat();
    Place(words.into_iter().map(str::to_owned).collect())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A port that nothing listens on at this moment.
pub(crate) fn free_port() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map_err(Failure::file("a free port"))
}

/// One line about the machine.
pub(crate) fn describe(root: &Root) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let date = output(&mut command(root, "date", ["-u", "+%F"])).unwrap_or_default();
    let routes = output(&mut command(root, "ip", ["route", "show", "table", "local"])).unwrap_or_default();
    let congestion = read("/proc/sys/net/ipv4/tcp_congestion_control");
    let congestion = if routes.contains("congctl lock cubic") { "cubic" } else { congestion.trim() };
    format!(
        "{}, {cores} × {}, Linux {}, TCP {congestion}, {}, {}",
        date.trim(),
        model.unwrap_or("unknown CPU"),
        read("/proc/sys/kernel/osrelease").trim(),
        if is_inside() { "network of its own" } else { "network of the host" },
        if is_root() { "real-time priority" } else { "ordinary priority" },
    )
}
