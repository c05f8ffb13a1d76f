//! Counters of limits and bans outlive the process, however it ends; and a disk that fails stops nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use e2e::gateway::binary;
use e2e::{Gateway, Launch, Received, Wire, within};
use palisade_testkit::upstream::{Answer, Upstream};
use rustix::process::Signal;
use tempfile::TempDir;

/// A gateway's configuration, with a state directory that outlives it.
struct Site {
    upstream: Upstream,
    state: TempDir,
}

impl Site {
    fn new() -> Self {
        Self { upstream: Upstream::start(|_| Answer::ok("ok")).unwrap(), state: tempfile::tempdir().unwrap() }
    }

    fn config(&self, directory: &Path) -> String {
        format!(
            "[app]\nupstream = \"{}\"\ndrain_delay = \"0s\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
             [limits]\nper_ip = \"off\"\n\
             [limits.month]\non = \"/month\"\nquota = \"5 per month\"\n\
             [limits.guess]\non = \"/guess\"\nrate = \"3/10m\"\nban = [\"1h\"]\n\
             [store]\ndirectory = \"{}\"\n",
            self.upstream.url(),
            directory.display()
        )
    }

    async fn start(&self) -> Gateway {
        Launch::config(self.config(self.state.path())).start().await
    }
}

/// Uses up the quota, and asks on until it is banned.
async fn use_up(gateway: &Gateway) {
    for _ in 0..5 {
        assert_eq!(gateway.get("/month").await.status, 200);
    }
    for _ in 0..3 {
        assert_eq!(gateway.get("/guess").await.status, 200);
    }
    for expected in ["429 limits.rate", "429 limits.rate", "429 limits.banned"] {
        assert_eq!(gateway.get("/guess").await.refusal(), expected);
    }
}

async fn assert_used_up(gateway: &Gateway) {
    assert_eq!(gateway.get("/month").await.refusal(), "429 limits.quota");
    let banned = gateway.get("/guess").await;
    assert_eq!(banned.refusal(), "429 limits.banned");
    let wait: u32 = banned.field("retry-after").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&wait), "{wait}");
    // Nobody else is.
    for path in ["/month", "/guess"] {
        assert_eq!(from(gateway, "192.0.2.9", path).await.status, 200, "{path}");
    }
}

async fn from(gateway: &Gateway, address: &str, path: &str) -> Received {
    let mut wire = Wire::open(gateway.public).await;
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\n\r\n")).await.unwrap();
    wire.answer().await.unwrap()
}

#[tokio::test]
async fn an_end_and_a_start_change_no_counter() {
    let site = Site::new();
    let mut gateway = site.start().await;
    use_up(&gateway).await;
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.exit().await.code(), Some(0), "{}", gateway.said());
    assert!(!gateway.said().contains("forget"), "{}", gateway.said());
    let gateway = site.start().await;
    assert_used_up(&gateway).await;
    let scrape = gateway.scrape().await;
    assert_eq!(scrape.sum("palisade_limits_kept_up", &[]), 1.0);
}

#[tokio::test]
async fn a_process_that_was_killed_has_kept_what_it_wrote() {
    let site = Site::new();
    let mut gateway = site.start().await;
    use_up(&gateway).await;
    let rounds = async || gateway.scrape().await.sum("palisade_limits_kept_rounds_total", &[]);
    let before = rounds().await;
    // One may have been under way; the one after it has seen everything.
    within("two rounds", async { while rounds().await < before + 2.0 {} }).await;
    assert_eq!(gateway.scrape().await.sum("palisade_limits_kept_cells", &[]), 2.0);
    gateway.signal(Signal::KILL);
    gateway.exit().await;
    assert_used_up(&site.start().await).await;
}

/// Starts a gateway that can't keep anything: it says so, and its limits hold.
async fn start_without_keeping(site: &Site, directory: &Path, why: &str) {
    let gateway = Launch::config(site.config(directory)).start().await;
    gateway.says("a restart will forget the counters of limits").await;
    assert!(gateway.said().contains(why), "{}", gateway.said());
    let event = gateway.line("the event", |line| line["event"] == "limits_not_kept").await;
    assert!(event["error"].as_str().unwrap().contains(why), "{event}");
    let scrape = gateway.scrape().await;
    assert!(scrape.types.contains_key("palisade_limits_kept_up"));
    assert_eq!(scrape.sum("palisade_limits_kept_up", &[]), 0.0);
    use_up(&gateway).await;
    assert_used_up(&gateway).await;
}

#[tokio::test]
async fn a_damaged_file_stops_nothing() {
    let site = Site::new();
    let file = site.state.path().join("counters.db");
    fs::write(&file, "no database, but something that somebody may want to look at").unwrap();
    let damaged = format!("{} is damaged: move it away to begin anew", file.display());
    start_without_keeping(&site, site.state.path(), &damaged).await;
    assert!(fs::read(&file).unwrap().starts_with(b"no database"), "the file is left alone");
    fs::remove_file(&file).unwrap();
    let gateway = site.start().await;
    assert_eq!(gateway.scrape().await.sum("palisade_limits_kept_up", &[]), 1.0);
}

#[tokio::test]
async fn a_directory_that_nobody_may_write_to_stops_nothing() {
    let site = Site::new();
    // Whoever runs this: the root of all, too, may write nothing there.
    let directory = Path::new("/proc/palisade");
    start_without_keeping(&site, directory, "the state directory /proc/palisade can't be used").await;
    let file = site.state.path().join("file");
    fs::write(&file, "").unwrap();
    start_without_keeping(&site, &file, "can't be used: name one that the gateway may write to").await;
}

#[tokio::test]
async fn a_second_gateway_on_the_same_directory_does_not_start() {
    let site = Site::new();
    let gateway = site.start().await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("palisade.toml");
    fs::write(&file, site.config(site.state.path()) + "[admin]\nlisten = false\n").unwrap();
    // If it did start, it would run on.
    let mut second = Command::new("timeout");
    second.arg("20").arg(binary()).arg("run").arg("--config").arg(file).env("PALISADE_LISTEN", "127.0.0.1:0");
    let output = second.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    let holder = format!("already, process {}: end that one", gateway.pid().as_raw_nonzero());
    assert!(said.contains(&holder) && said.contains(&site.state.path().display().to_string()), "{said}");
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn what_is_kept_is_beside_the_file_for_the_gateway_alone() {
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = Launch::before(&upstream).start().await;
    let state = gateway.home().join(".palisade");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_to_string(state.join(".gitignore")).unwrap(), "*\n");
    // Systemd makes one and says where.
    let made = tempfile::tempdir().unwrap();
    let list = format!("{}:/elsewhere", made.path().display());
    let gateway = Launch::before(&upstream).environment("STATE_DIRECTORY", &list).start().await;
    assert!(made.path().join("counters.db").exists() && !gateway.home().join(".palisade").exists());
}

#[tokio::test]
async fn the_demo_leaves_nothing_behind() {
    let gateway = Launch::demo().start().await;
    assert_eq!(fs::read_dir(gateway.home()).unwrap().count(), 0);
    assert!(!gateway.scrape().await.types.contains_key("palisade_limits_kept_up"));
}
