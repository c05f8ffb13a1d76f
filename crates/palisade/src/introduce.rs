//! What the gateway says when it starts, for people: where it listens, what stands in front of what,
//! and what protects the application, in words that need no manual.
//!
//! Each protection is a line. What nobody configured has no place behind it: it is a default.

use palisade_config::{CounterStore, Snapshot};
use palisade_core::{Mode, Question};
use palisade_server::Process;

/// Says it.
pub(crate) fn introduce(process: &Process) {
    let snapshot = process.snapshot();
    let scheme = if snapshot.app.tls.is_some() { "https" } else { "http" };
    let servers = snapshot.upstreams.iter().flat_map(|group| &group.servers);
    let servers: Vec<_> = servers.map(|server| server.address.to_string()).collect();
    eprintln!("palisade {} · {scheme}://{} → {}", env!("CARGO_PKG_VERSION"), process.public(), servers.join(", "));
    if let Some(redirect) = process.redirect() {
        eprintln!("redirect · http://{redirect} (to the public address)");
    }
    if let Some(admin) = process.admin() {
        eprintln!("admin    · http://{admin} (metrics, health, traces, limits)");
    }
    protections(&snapshot).iter().for_each(|line| eprintln!("{line}"));
}

/// What protects the application, a line each.
fn protections(snapshot: &Snapshot) -> Vec<String> {
    let mut lines =
        vec![line("framing", "requests and paths that two servers could read differently get 400", "default")];
    let set = "fields that only a gateway may set, such as X-Forwarded-For, are taken out of requests";
    lines.push(line("inbound", set, "default"));
    lines.push(addresses(snapshot));
    if !snapshot.questions.iter().any(|question| question.name == "host") {
        lines.push(line("host", "every host is answered; public_url says which ones are yours", "default"));
    }
    let said = snapshot.questions.iter().filter(|question| !question.about.is_empty());
    lines.extend(said.map(|question| line(question.name, &words(question), &question.place)));
    lines.extend(store(snapshot));
    lines.push(bounds(snapshot));
    let mut reported: Vec<_> = snapshot.questions.iter().filter(|question| question.mode == Mode::Report).collect();
    reported.dedup_by_key(|question| question.name);
    if let Some(first) = reported.first() {
        lines.push(format!(
            "  \"reports only\" refuses nothing: the log tells what would be refused. To refuse: [{}] mode = \"enforce\"",
            first.name
        ));
    }
    lines
}

fn words(question: &Question) -> String {
    match question.mode {
        Mode::Enforce => question.about.to_string(),
        Mode::Report => format!("reports only: {}", question.about),
        Mode::Off => format!("off: {}", question.about),
    }
}

/// Whose word counts about a client's address. Behind a proxy that is not named here all clients
/// seem to be one.
fn addresses(snapshot: &Snapshot) -> String {
    if snapshot.edge.hops.trusted.is_empty() {
        let words = "a client is who connects; proxies in front are to be named in trusted_proxies";
        return line("address", words, "default");
    }
    let header = snapshot.value("app.client_address_header").map(|header| header.value).unwrap_or_default();
    let words = format!("clients are told apart by {header} of the proxies that are trusted");
    line("address", &words, &snapshot.place("app.trusted_proxies"))
}

/// Where limits are counted, if not here alone.
fn store(snapshot: &Snapshot) -> Option<String> {
    let CounterStore::Shared(Some(address)) = &snapshot.counters else { return None };
    let words = format!("counted with all gateways at {address}; without it as `outage` says");
    Some(line("store", &words, &snapshot.place("store.counters")))
}

fn bounds(snapshot: &Snapshot) -> String {
    let value = |key: &str| snapshot.value(key).map(|value| value.value.replace('"', "")).unwrap_or_default();
    let words = format!(
        "bodies up to {}, {} connections per address, answers that begin within {}",
        value("app.max_body"),
        value("app.max_connections_per_address"),
        value("app.timeouts.response"),
    );
    line("bounds", &words, "default")
}

fn line(name: &str, words: &str, place: &str) -> String {
    let place = if place == "default" { String::new() } else { format!("  ({place})") };
    format!("  {name:<9} {words}{place}")
}

#[cfg(test)]
mod tests {
    use palisade_config::{Inputs, Seed, load};

    use super::*;

    fn told(config: &str) -> String {
        let inputs = Inputs::text("palisade.toml", format!("[app]\nupstream = \"http://127.0.0.1:1\"\n{config}"));
        let (snapshot, _) = load(&inputs, Seed([0; 16])).map_err(|_| "config").unwrap();
        protections(&snapshot).join("\n")
    }

    #[test]
    fn the_first_page_shows_what_is_said() {
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(&told("")), "the README should show:\n{}", told(""));
    }

    #[test]
    fn every_protection_is_a_line_that_needs_no_manual() {
        let check = |config: &str, has: &[&str], has_not: &[&str]| {
            let told = told(config);
            for part in has {
                assert!(told.contains(part), "no {part:?} in\n{told}");
            }
            for part in ["  shed", "  dress", "  quota"].iter().chain(has_not) {
                assert!(!told.contains(part), "{part:?} in\n{told}");
            }
            assert!(told.lines().all(|line| line.chars().count() <= 120), "too long:\n{told}");
        };
        let reported = "limits    reports only: 300 requests a minute per address";
        check(
            "",
            &[reported, "TRACE and CONNECT", "WebSocket", "every host", "up to 100MiB", "refuses nothing"],
            &["(palisade"],
        );
        let own = "max_body = \"1MiB\"\nmax_connections_per_address = 7\n[app.timeouts]\nresponse = \"9s\"";
        check(own, &["up to 1MiB, 7 connections", "within 9s"], &["100MiB"]);
        let enforced = "limits    20 requests an hour per address (per_ip), assets, preflight  (palisade.toml:3)";
        check("[limits]\nper_ip = \"20/h\"", &[enforced], &["reports only"]);
        let both = "[limits]\n[limits.chat]\nrate = \"1/m\"\nmode = \"report\"";
        check(both, &["per_ip), assets, preflight  (", "limits    reports only: chat  (palisade.toml:3)"], &[]);
        check("[limits]\nmode = \"off\"", &["TRACE"], &["limits"]);
        let public = "public_url = \"https://a.example\"\nhosts = [\"b.example\"]";
        check(public, &["other hosts than a.example and 1 more get 421  (palisade.toml:3)"], &["every host"]);
        let proxies = "trusted_proxies = [\"10.0.0.0/8\"]\nclient_address_header = \"forwarded\"";
        check(proxies, &["by forwarded of the proxies that are trusted  (palisade.toml:3)"], &["who connects"]);
        let shared = "[store]\ncounters = \"redis://cache\"";
        check(shared, &["store     counted with all gateways at redis://cache:6379", "outage"], &[]);
        check("compress = [\"zstd\", \"gzip\"]", &["compressed: zstd, gzip  (palisade.toml:3)"], &[]);
    }
}
