//! Palisade itself.

use crate::bench::process::Program;
use crate::bench::site::{Front, Profile, Site};
use crate::failure::Failure;

pub(super) fn program(site: &Site) -> Result<Program, Failure> {
    let mut config = match site.profile {
        Profile::Plain => plain(site),
        Profile::Hardened => hardened(site),
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
fn hardened(site: &Site) -> String {
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
        app = app(site, "public_url = \"https://app.example.com\"\n")
    )
}

/// Everything off that can be switched off.
fn plain(site: &Site) -> String {
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
        app = app(site, "")
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
