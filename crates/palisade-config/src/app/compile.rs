//! From `[app]` as it is written to what the gateway runs on.

use std::num::NonZeroUsize;
use std::path::Path;

use palisade_core::client::Hops;
use palisade_core::config::{Code, Problem, Problems, Setting};
use palisade_core::path::EncodedSlash;
use palisade_core::{Network, Networks};
use palisade_policy::compress::config::RawCompress;
use palisade_policy::host::Authority;
use palisade_policy::inbound::MethodOverride;

use super::address::{HostEntry, PublicUrl};
use super::raw::{RawApp, RawTimeouts};
use super::tls::Surroundings;
use super::upstream::{Rules, ServerGroup};
use super::{App, Forwarding, Overrides, ServedHosts, forwarding, tls, upstream};
use crate::inputs::Secrets;

/// What `[app]` comes to.
pub(crate) struct Compiled {
    pub(crate) app: App,
    pub(crate) upstreams: Vec<ServerGroup>,
    pub(crate) forwarding: Forwarding,
    pub(crate) routes: Vec<Overrides>,
    pub(crate) public: Option<Setting<Authority>>,
    pub(crate) hosts: Vec<Setting<Authority>>,
    pub(crate) hops: Hops,
    pub(crate) encoded_slash: EncodedSlash,
    pub(crate) method_override: MethodOverride,
    pub(crate) compress: RawCompress,
}

pub(crate) fn compile(raw: RawApp, directory: &Path, secrets: Secrets, problems: &mut Problems) -> Compiled {
    let RawApp {
        listen,
        upstream,
        public_url,
        hosts,
        insecure_any_host,
        workers,
        protocol,
        host_header,
        forwarded,
        compress,
        engine,
        max_header,
        max_body,
        max_connections,
        max_connections_per_address,
        max_in_flight,
        timeouts,
        tls,
        route,
        trusted_proxies,
        insecure_trust_all_proxies,
        client_address_header,
        encoded_slash,
        method_override,
        watch,
        drain_delay,
        drain,
    } = raw;
    let RawTimeouts { header, idle, connect, response, body_idle, stream_idle } = timeouts.value;

    let redirect = tls.as_ref().and_then(|tls| tls.value.redirect.as_ref());
    let listeners: Vec<_> = std::iter::once(("app.listen", listen.value))
        .chain(redirect.map(|redirect| ("app.tls.redirect", redirect.value)))
        .collect();
    let rules = Rules { protocol: &protocol, directory, secrets, listeners: &listeners };
    let mut upstreams = vec![upstream::compile(upstream.value, &rules, problems)];
    let default = Forwarding {
        upstream: 0,
        body_bytes_max: max_body.value.get(),
        connect: connect.value.get(),
        response: response.value.get(),
        body_idle: body_idle.value.get(),
        stream_idle: stream_idle.value.get(),
    };
    let routes = route
        .value
        .into_iter()
        .map(|(pattern, raw)| forwarding::compile(pattern, raw.value, default, &mut upstreams, &rules, problems))
        .collect();

    let listed = compile_hosts(hosts, insecure_any_host.value, public_url.as_ref(), problems);
    let serves_any = listed.is_none();
    let hosts = listed.unwrap_or_default();
    let around = Surroundings { listen: listen.value, public_url: public_url.as_ref(), directory, secrets };
    let tls = tls.map(|tls| tls::compile(tls, &around, problems));
    let trusted = compile_trusted(trusted_proxies, insecure_trust_all_proxies.value, problems);
    let hops = Hops { trusted, header: client_address_header.value };
    // A policy that serves only known hosts has nothing to ask when all of them are.
    let public = public_url.as_ref().filter(|_| !serves_any);
    let public = public.map(|url| url.clone().map(|url| url.authority().clone()));
    let served = hosts.iter().map(|host| host.value.clone()).collect();
    let app = App {
        listen: listen.value,
        workers: usize::try_from(workers.value.get()).ok().and_then(NonZeroUsize::new),
        public_url: public_url.map(|url| url.value),
        hosts: if serves_any { ServedHosts::Any } else { ServedHosts::Listed(served) },
        protocol: protocol.value,
        engine: engine.value,
        host_header: host_header.value,
        forwarded: forwarded.value,
        header_bytes_max: to_usize(max_header.value.get()),
        connections_max: to_usize(max_connections.value.get()),
        connections_per_address_max: to_usize(max_connections_per_address.value.get()),
        in_flight_max: to_usize(max_in_flight.value.get()),
        header_timeout: header.value.get(),
        idle_timeout: idle.value.get(),
        tls,
        watch: watch.value,
        drain_delay: drain_delay.value.get(),
        drain: drain.value.get(),
    };
    Compiled {
        app,
        upstreams,
        forwarding: default,
        routes,
        public,
        hosts,
        hops,
        encoded_slash: encoded_slash.value,
        method_override: method_override.value,
        compress,
    }
}

/// The further hosts; `None`: every host is served.
fn compile_hosts(
    entries: Setting<Vec<Setting<HostEntry>>>,
    may_serve_any: bool,
    public_url: Option<&Setting<PublicUrl>>,
    problems: &mut Problems,
) -> Option<Vec<Setting<Authority>>> {
    if public_url.is_none() && !entries.value.is_empty() {
        let message = "`app.hosts` has no effect without `app.public_url`: every host is served";
        problems.report(Problem::new(Code::Shadowed, &entries.place, message));
    }
    let mut hosts = Vec::new();
    let mut any = None;
    for Setting { value, place } in entries.value {
        match value {
            HostEntry::Any => any = Some(place),
            HostEntry::Host(value) => hosts.push(Setting { value, place }),
        }
    }
    match any {
        None => Some(hosts),
        Some(_) if may_serve_any => None,
        Some(place) => {
            let message = "`app.hosts` would serve every host, so anybody could poison links made from `Host`";
            let problem = Problem::new(Code::Insecure, &place, message);
            problems.report(problem.label("list the hosts").help("or set app.insecure_any_host = true"));
            Some(hosts)
        }
    }
}

fn compile_trusted(networks: Setting<Vec<Setting<Network>>>, may_trust_all: bool, problems: &mut Problems) -> Networks {
    for network in &networks.value {
        if network.value.is_everything() && !may_trust_all {
            let message = "`app.trusted_proxies` would trust everybody, so each client could choose its own address";
            let problem = Problem::new(Code::Insecure, &network.place, message);
            problems.report(problem.label("list your proxies").help("or set app.insecure_trust_all_proxies = true"));
        }
    }
    networks.value.into_iter().map(|network| network.value).collect()
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
