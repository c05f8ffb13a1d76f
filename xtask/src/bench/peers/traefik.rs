//! Traefik: `rateLimit`, custom headers, a JSON log, Prometheus. It has no request id of its own.

use std::collections::BTreeMap;

use serde_json::json;

use crate::bench::process::Program;
use crate::bench::site::{Front, HEADERS, Site};
use crate::failure::Failure;

pub(super) fn program(site: &Site) -> Result<Program, Failure> {
    // JSON is YAML, which is what these files have to be.
    let routes = site.write("routes.yml", &routes(site).to_string())?;
    let mut config = json!({
        "entryPoints": { "public": { "address": site.listen.to_string() } },
        "providers": { "file": { "filename": routes } },
        "global": { "checkNewVersion": false, "sendAnonymousUsage": false },
        "log": { "level": "ERROR" },
    });
    if site.is_hardened()
        && let Some(config) = config.as_object_mut()
    {
        let log = json!({ "filePath": site.path("access.log"), "format": "json", "bufferingSize": 1000 });
        let metrics = json!({ "addEntryPointsLabels": true, "addRoutersLabels": false, "addServicesLabels": true });
        config.insert("accessLog".to_owned(), log);
        config.insert("metrics".to_owned(), json!({ "prometheus": metrics }));
    }
    let config = site.write("traefik.yml", &config.to_string())?;
    Ok(Program::new("traefik", [format!("--configFile={config}")]).environment("GOMAXPROCS", "1"))
}

fn routes(site: &Site) -> serde_json::Value {
    let middlewares: &[&str] = if site.is_hardened() { &["limit", "headers"] } else { &[] };
    let mut router = json!({ "rule": "PathPrefix(`/`)", "service": "application", "entryPoints": ["public"] });
    if let Some(router) = router.as_object_mut() {
        if !middlewares.is_empty() {
            router.insert("middlewares".to_owned(), json!(middlewares));
        }
        if site.front == Front::Tls {
            router.insert("tls".to_owned(), json!({}));
        }
    }
    let servers = json!([{ "url": format!("http://{}", site.upstream) }]);
    let mut routes = json!({ "http": {
        "routers": { "all": router },
        "services": { "application": { "loadBalancer": { "servers": servers, "serversTransport": "kept" } } },
        "serversTransports": { "kept": { "maxIdleConnsPerHost": 512 } },
    } });
    let headers: BTreeMap<_, _> = HEADERS.iter().copied().collect();
    if let Some(http) = routes.get_mut("http").and_then(|http| http.as_object_mut())
        && site.is_hardened()
    {
        let limit = json!({ "rateLimit": { "average": 1_000_000, "burst": 1_000_000 } });
        http.insert(
            "middlewares".to_owned(),
            json!({ "limit": limit, "headers": { "headers": { "customResponseHeaders": headers } } }),
        );
    }
    if let Some(routes) = routes.as_object_mut()
        && site.front == Front::Tls
    {
        let pair = json!({ "certFile": site.certificate, "keyFile": site.key });
        routes.insert("tls".to_owned(), json!({ "certificates": [pair] }));
    }
    routes
}
