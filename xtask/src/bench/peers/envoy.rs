//! Envoy: `local_ratelimit` by address, headers, a JSON log, its own statistics.

use serde_json::{Value, json};

use crate::bench::process::Program;
use crate::bench::site::{Front, HEADERS, Site};
use crate::failure::Failure;

const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions";

pub(super) fn program(site: &Site) -> Result<Program, Failure> {
    let limits = json!({ "max_connections": 20_000, "max_requests": 20_000, "max_pending_requests": 20_000 });
    let config = json!({
        "admin": { "address": address(site.admin) },
        "static_resources": {
            "listeners": [{ "name": "public", "address": address(site.listen), "filter_chains": [chain(site)] }],
            "clusters": [{
                "name": "application", "type": "STATIC", "connect_timeout": "5s",
                "circuit_breakers": { "thresholds": [limits] },
                "load_assignment": { "cluster_name": "application", "endpoints": [
                    { "lb_endpoints": [{ "endpoint": { "address": address(site.upstream) } }] },
                ] },
            }],
        },
    });
    let config = site.write("envoy.json", &config.to_string())?;
    let arguments = ["-c", &config, "--concurrency", "1", "--disable-hot-restart", "-l", "error"];
    Ok(Program::new(site.envoy.display().to_string(), arguments))
}

fn address(address: std::net::SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } })
}

fn chain(site: &Site) -> Value {
    let manager = format!("{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager");
    let mut host = json!({
        "name": "any", "domains": ["*"],
        "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "application", "timeout": "0s" } }],
    });
    if site.is_hardened() {
        set(&mut host, "rate_limits", json!([{ "actions": [{ "remote_address": {} }] }]));
    }
    let mut routes = json!({ "name": "routes", "virtual_hosts": [host] });
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": format!("{EXTENSIONS}.filters.http.router.v3.Router") },
    });
    let mut filters = vec![router];
    if site.is_hardened() {
        let fields: Vec<Value> = HEADERS.iter().map(|(name, value)| header(name, value)).collect();
        set(&mut routes, "response_headers_to_add", json!(fields));
        set(&mut routes, "request_headers_to_add", json!([header("x-forwarded-host", "%REQ(:AUTHORITY)%")]));
        filters.insert(0, limit());
    }
    let mut manager = json!({
        "@type": manager, "stat_prefix": "public", "codec_type": "AUTO", "route_config": routes,
        "generate_request_id": site.is_hardened(), "always_set_request_id_in_response": site.is_hardened(),
        "stream_idle_timeout": "300s", "use_remote_address": true, "http_filters": filters,
    });
    if site.is_hardened() {
        set(&mut manager, "access_log", json!([log(&site.path("access.log"))]));
    }
    let mut chain = json!({ "filters": [{ "name": "http", "typed_config": manager }] });
    if site.front == Front::Tls {
        set(&mut chain, "transport_socket", tls(site));
    }
    chain
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

fn header(name: &str, value: &str) -> Value {
    json!({ "header": { "key": name, "value": value }, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD" })
}

fn limit() -> Value {
    let bucket = json!({ "max_tokens": 1_000_000_000, "tokens_per_fill": 1_000_000_000, "fill_interval": "1s" });
    let always = json!({ "default_value": { "numerator": 100, "denominator": "HUNDRED" } });
    json!({ "name": "envoy.filters.http.local_ratelimit", "typed_config": {
        "@type": format!("{EXTENSIONS}.filters.http.local_ratelimit.v3.LocalRateLimit"),
        "stat_prefix": "limit", "token_bucket": bucket, "filter_enabled": always, "filter_enforced": always,
        "descriptors": [{ "entries": [{ "key": "remote_address" }], "token_bucket": bucket }],
    } })
}

fn log(path: &str) -> Value {
    let fields = json!({
        "ts": "%START_TIME%", "request_id": "%REQ(X-REQUEST-ID)%", "method": "%REQ(:METHOD)%", "path": "%REQ(:PATH)%",
        "remote_addr": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "status": "%RESPONSE_CODE%",
        "bytes": "%BYTES_SENT%", "duration_ms": "%DURATION%", "user_agent": "%REQ(USER-AGENT)%",
    });
    json!({ "name": "file", "typed_config": {
        "@type": format!("{EXTENSIONS}.access_loggers.file.v3.FileAccessLog"),
        "path": path, "log_format": { "json_format": fields },
    } })
}

fn tls(site: &Site) -> Value {
    let certificate = json!({
        "certificate_chain": { "filename": site.certificate }, "private_key": { "filename": site.key },
    });
    json!({ "name": "tls", "typed_config": {
        "@type": format!("{EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext"),
        "common_tls_context": { "alpn_protocols": ["http/1.1"], "tls_certificates": [certificate] },
    } })
}
