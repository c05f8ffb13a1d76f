//! Caddy: headers, a request id, a JSON log, metrics. The stock binary has no rate limit.

use std::fmt::Write as _;

use crate::bench::process::Program;
use crate::bench::site::{Front, HEADERS, Site};
use crate::failure::Failure;

pub(super) fn program(site: &Site) -> Result<Program, Failure> {
    let (scheme, tls) = match site.front {
        Front::Tls => ("https", format!("tls {} {}", site.certificate.display(), site.key.display())),
        Front::Http1 | Front::Http2 => ("http", String::new()),
    };
    let protocols = if site.front == Front::Http2 { "h1 h2 h2c" } else { "h1 h2" };
    let (metrics, server, upward) = if site.is_hardened() {
        ("metrics", hardened(site), "header_up X-Request-Id {http.request.uuid}")
    } else {
        ("", String::new(), "")
    };
    let config = format!(
        "{{
  admin off
  auto_https disable_redirects
  {metrics}
  servers {{
    protocols {protocols}
  }}
}}
{scheme}://:{port} {{
  bind 127.0.0.1
  {tls}
{server}
  reverse_proxy {upstream} {{
    {upward}
    transport http {{
      keepalive_idle_conns_per_host 512
    }}
  }}
}}
",
        port = site.listen.port(),
        upstream = site.upstream,
    );
    let config = site.write("Caddyfile", &config)?;
    Ok(Program::new("caddy", ["run", "--adapter", "caddyfile", "--config", &config])
        .environment("GOMAXPROCS", "1")
        .environment("HOME", site.path(""))
        .environment("XDG_DATA_HOME", site.path("")))
}

fn hardened(site: &Site) -> String {
    let mut lines = format!(
        "  log {{
    output file {} {{
      roll_disabled
    }}
    format json
  }}
  header {{
    X-Request-Id {{http.request.uuid}}
",
        site.path("access.log")
    );
    for (name, value) in HEADERS {
        // Writing into a String can't fail.
        let _ = writeln!(lines, "    {name} \"{value}\"");
    }
    lines + "  }\n"
}
