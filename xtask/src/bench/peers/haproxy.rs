//! HAProxy: a stick table by address, `http-after-response`, a JSON log on standard output, and its
//! own Prometheus page.

use std::fmt::Write as _;
use std::fs::{self, File};

use crate::bench::process::Program;
use crate::bench::site::{Front, HEADERS, Site};
use crate::failure::Failure;

const RECORD: &str = r#"{"ts":"%t","request_id":"%ID","remote_addr":"%ci","method":"%HM","path":"%HP","status":%ST,"bytes":%B,"duration_ms":%Ta,"user_agent":"%[capture.req.hdr(0),json(utf8s)]"}"#;

pub(super) fn program(site: &Site) -> Result<Program, Failure> {
    let (log, frontend, metrics) = if site.is_hardened() {
        ("log stdout format raw local0", hardened(), metrics(site))
    } else {
        ("", String::new(), String::new())
    };
    let bind = match site.front {
        Front::Http1 => String::new(),
        Front::Http2 => "proto h2".to_owned(),
        Front::Tls => format!("ssl crt {} ssl-min-ver TLSv1.3", bundle(site)?),
    };
    let config = format!(
        "global
  nbthread 1
  maxconn 9500
  {log}
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  option http-keep-alive
  http-reuse always
frontend public
  bind {listen} backlog 4096 {bind}
{frontend}  default_backend application
{metrics}backend application
  server one {upstream} pool-max-conn 2000
",
        listen = site.listen,
        upstream = site.upstream,
    );
    let config = site.write("haproxy.cfg", &config)?;
    let mut program = Program::new("haproxy", ["-db", "-f", &config]);
    if site.is_hardened() {
        let log = site.path("access.log");
        program.output = Some(File::create(&log).map_err(Failure::file(log))?);
    }
    Ok(program)
}

/// HAProxy wants certificate and key in one file.
fn bundle(site: &Site) -> Result<String, Failure> {
    let read = |path: &std::path::Path| fs::read_to_string(path).map_err(Failure::file(path));
    site.write("bundle.pem", &(read(&site.certificate)? + &read(&site.key)?))
}

fn hardened() -> String {
    let record = RECORD.replace('"', "\\\"");
    let mut lines = format!(
        "  log global
  unique-id-format %{{+X}}o%ci%cp%fi%fp%Ts%rt%pid
  declare capture request len 256
  http-request capture req.hdr(User-Agent) id 0
  log-format {record}
  stick-table type ip size 100k expire 60s store http_req_rate(10s)
  http-request track-sc0 src
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 2000000000 }}
  http-request set-header X-Request-Id %[unique-id]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  option forwardfor
  http-after-response set-header X-Request-Id %[unique-id]
"
    );
    for (name, value) in HEADERS {
        // Writing into a String can't fail.
        let _ = writeln!(lines, "  http-after-response set-header {name} \"{value}\"");
    }
    lines
}

fn metrics(site: &Site) -> String {
    format!(
        "frontend metrics\n  bind {}\n  http-request use-service prometheus-exporter if {{ path /metrics }}\n",
        site.admin
    )
}
