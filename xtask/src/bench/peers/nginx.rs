//! nginx: `limit_req`, `add_header`, `log_format` to a file. It has no latency metrics.

use std::fmt::Write as _;

use crate::bench::process::Program;
use crate::bench::site::{Bodies, Front, HEADERS, Site};
use crate::failure::Failure;
use crate::root::create_folder;

const FIELDS: &[(&str, &str)] = &[
    ("ts", "\"$time_iso8601\""),
    ("request_id", "\"$request_id\""),
    ("remote_addr", "\"$remote_addr\""),
    ("method", "\"$request_method\""),
    ("path", "\"$uri\""),
    ("status", "$status"),
    ("bytes", "$body_bytes_sent"),
    ("duration", "$request_time"),
    ("user_agent", "\"$http_user_agent\""),
];

pub(super) fn program(site: &Site) -> Result<Program, Failure> {
    create_folder(&site.folder.join("temp"))?;
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("{what}_temp_path {};\n", site.path(&format!("temp/{what}"))))
        .collect();
    let (http, location) =
        if site.is_hardened() { hardened(site) } else { ("access_log off;".to_owned(), String::new()) };
    let (listen, tls) = match site.front {
        Front::Http1 => ("", String::new()),
        Front::Http2 => ("http2", String::new()),
        Front::Tls => (
            "ssl",
            format!(
                "ssl_certificate {};\nssl_certificate_key {};\nssl_protocols TLSv1.3;",
                site.certificate.display(),
                site.key.display()
            ),
        ),
    };
    let buffering = match site.bodies {
        Bodies::Small => "",
        Bodies::Large => "proxy_request_buffering off;\nproxy_buffering off;",
    };
    let config = format!(
        r#"user root;
daemon off;
worker_processes 1;
pid {pid};
error_log {errors} error;
events {{ worker_connections 19000; }}
http {{
{temp}keepalive_requests 100000000;
keepalive_timeout 300s;
client_max_body_size 1g;
{http}
upstream application {{
  server {upstream};
  keepalive 512;
  keepalive_requests 100000000;
}}
server {{
  listen {address} {listen} backlog=4096;
  {tls}
  location / {{
    proxy_pass http://application;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    {buffering}
{location}  }}
}}
}}
"#,
        pid = site.path("pid"),
        errors = site.path("errors"),
        upstream = site.upstream,
        address = site.listen,
    );
    let config = site.write("nginx.conf", &config)?;
    Ok(Program::new("nginx", ["-c", &config, "-p", &site.path("")]))
}

/// What the server and what the location gets.
fn hardened(site: &Site) -> (String, String) {
    let fields: Vec<String> = FIELDS.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let http = format!(
        "log_format record escape=json '{{{}}}';\naccess_log {} record buffer=64k flush=1s;\n\
         limit_req_zone $binary_remote_addr zone=address:10m rate=1000000r/s;",
        fields.join(","),
        site.path("access.log")
    );
    let mut location = String::from(
        "    limit_req zone=address burst=100000 nodelay;
    proxy_set_header X-Request-Id $request_id;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $host;
    add_header X-Request-Id $request_id always;
",
    );
    for (name, value) in HEADERS {
        // Writing into a String can't fail.
        let _ = writeln!(location, "    add_header {name} \"{value}\" always;");
    }
    (http, location)
}
