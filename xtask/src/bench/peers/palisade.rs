//! Palisade itself.

use crate::bench::process::Program;
use crate::bench::site::{Front, Profile, Site};
use crate::failure::Failure;

/// The HTTP/1.1 engine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// Our own. Not named, so that binaries can be measured that know only one.
    Default,
    Hyper,
}

impl Engine {
    const fn line(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Hyper => "engine = \"hyper\"\n",
        }
    }
}

pub(super) fn program(site: &Site, engine: Engine) -> Result<Program, Failure> {
    let mut config = match site.profile {
        Profile::Plain => plain(site, engine.line()),
        Profile::Hardened => hardened(site, engine.line()),
    };
    if site.front == Front::Tls {
        config.push_str(&format!(
            "[app.tls]\ncertificate = \"{}\"\nkey = {{ file = \"{}\" }}\n",
            site.certificate.display(),
            site.key.display()
        ));
    }
    let config = site.write("palisade.toml", &config)?;
    Ok(Program::new(site.palisade.display().to_string(), ["run", "--config", &config]))
}

/// The configuration that claims are made for. The limit is the highest that can be written, with a
/// burst that no run uses up.
fn hardened(site: &Site, engine: &str) -> String {
    format!(
        r#"[limits]
per_ip = "62500/s burst 100000000"

[log]
access = {{ file = "{log}", rotate = "100GiB", keep = 0 }}

[admin]
listen = "{admin}"

{app}"#,
        log = site.path("access.log"),
        admin = site.admin,
        app = app(site, &format!("{engine}public_url = \"https://app.example.com\"\n"))
    )
}

/// Everything off that can be switched off.
fn plain(site: &Site, engine: &str) -> String {
    format!(
        r#"[limits]
mode = "off"

[log]
access = "off"

[performance]
guess = false

[performance.traces]
sample = "0%"

[admin]
listen = false

{app}"#,
        app = app(site, engine)
    )
}

/// One worker for the one core; no bound on connections that the idle set would meet.
fn app(site: &Site, more: &str) -> String {
    let Site { listen, upstream, .. } = site;
    format!(
        r#"[app]
listen = "{listen}"
upstream = "http://{upstream}"
workers = 1
drain_delay = "0s"
max_connections = 20000
max_connections_per_address = 20000
{more}"#
    )
}
