//! `[app]` as it is written.

use std::net::SocketAddr;

use palisade_core::client::AddressHeader;
use palisade_core::config::{Named, OneOrMany, Period, SecretRef, Setting, Size, TextOr, Whole};
use palisade_core::path::EncodedSlash;
use palisade_core::{Network, Pattern, section};
use palisade_policy::compress::Coding;
use palisade_policy::inbound::MethodOverride;

use super::address::{HostEntry, PublicUrl, ServerAddress};
use super::{Engine, HostHeader, UpstreamProtocol};

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;

section! {
    /// The application behind the gateway, and how both are reached.
    pub struct RawApp {
        /// Where clients connect. The default can be reached from this machine only; containers
        /// use `0.0.0.0:8080`, or `PALISADE_LISTEN`, which wins over this key. Applies at start.
        listen: Setting<SocketAddr> = "127.0.0.1:8080",
        /// Where the application listens: `http://`, `https://` or `unix:/path`. Several addresses
        /// share the load. A table adds `ca`. The one key that has to be written.
        upstream: Setting<Upstream>,
        /// The address that people know, `https://briefly.example`. Once it is set, requests for
        /// other hosts are refused with 421, and the application sees this host only.
        public_url: Option<Setting<PublicUrl>>,
        /// Further hosts that are served, passed on as they were sent. `"*"` serves every host and
        /// needs `insecure_any_host = true`.
        hosts: Setting<Vec<Setting<HostEntry>>> = [],
        /// Lets `hosts` contain `"*"`: links that the application builds from `Host` can then be
        /// poisoned by whoever sends the request.
        insecure_any_host: Setting<bool> = false,
        /// Worker threads; 0 is one per core. Applies at start.
        workers: Setting<Whole<0, 1_024>> = 0,
        /// How requests go to the application: HTTP/1.1, HTTP/2 over TLS, or HTTP/2 without it.
        protocol: Setting<UpstreamProtocol> = "http1",
        /// What the application sees as `Host`: the client's (`keep`), or its own address
        /// (`upstream`).
        host_header: Setting<HostHeader> = "keep",
        /// Whether `Forwarded` (RFC 7239) is sent beside the `X-Forwarded-*` fields.
        forwarded: Setting<bool> = false,
        /// How answers of text are compressed that the application sends plain, in order of
        /// preference: `zstd`, `br`, `gzip`. Not by default: a network in front often does it, and
        /// a page that holds a secret and repeats what its reader sent should stay as it is.
        compress: Setting<Vec<Setting<Coding>>> = [],
        /// The HTTP/1.1 engine: Palisade's (`own`), or `hyper`, which repairs some of what the other
        /// refuses in the application's answers. Applies at start.
        engine: Setting<Engine> = "own",
        /// The longest head of a request; beyond it 431. Room for many cookies, not for a flood.
        max_header: Setting<Size<1_024, 1_048_576>> = "32KiB",
        /// The longest body of a request; beyond it 413, by its declared length before it is read,
        /// else at that byte.
        max_body: Setting<MaxBody> = "100MiB",
        /// Connections at once; one more is closed as soon as it is accepted.
        max_connections: Setting<Whole<1, 1_000_000>> = 10_000,
        /// Connections at once from one address (IPv6: from one /64). Trusted proxies don't count.
        max_connections_per_address: Setting<Whole<1, 1_000_000>> = 200,
        /// Requests at once that one server of the application is given.
        max_in_flight: Setting<Whole<1, 1_000_000>> = 1_024,
        /// How long is waited for what.
        timeouts: Setting<RawTimeouts> = {},
        /// TLS for clients. Without it: plain HTTP.
        tls: Option<Setting<RawTls>>,
        /// What is different for some paths, by pattern; the most specific one wins.
        route: Setting<Named<Pattern, RawRoute>> = {},
        /// The networks of proxies in front of this gateway. Only they may say who the client is.
        /// Nobody by default: what a client says about itself is worth nothing. Without a proxy that
        /// is there, all of its clients share the limits of one. The log warns of it, at most hourly,
        /// by what it saw in five minutes: `limits.one_address`, nearly all requests have one address
        /// (it can also be an office, a load test, a crawler, or yourself while you try things), and
        /// `limits.forwarded_header_untrusted`, most requests carry `X-Forwarded-For` in vain (it can
        /// also be clients that make it up: then all is well).
        trusted_proxies: Setting<Vec<Setting<Network>>> = [],
        /// Lets `trusted_proxies` contain everybody: each client then chooses its own address, and
        /// with it whose limits it uses up.
        insecure_trust_all_proxies: Setting<bool> = false,
        /// The field in which trusted proxies name the client: `x-forwarded-for`, `forwarded`, or
        /// one that holds a single address, such as `cf-connecting-ip`. No other is ever read.
        client_address_header: Setting<AddressHeader> = "x-forwarded-for",
        /// What an escaped slash in a path means: data within its segment (`keep`), or a reason to
        /// refuse the request.
        encoded_slash: Setting<EncodedSlash> = "keep",
        /// Whether clients may name another method in `X-HTTP-Method-Override` and its like. If
        /// so, the limits of both methods apply.
        method_override: Setting<MethodOverride> = "drop",
        /// Whether a changed file is taken over by itself.
        watch: Setting<bool> = false,
        /// How long connections are still accepted after a stop was asked for, so that load
        /// balancers notice first.
        drain_delay: Setting<Period<0, HOUR_MS>> = "5s",
        /// How long requests in flight then have.
        drain: Setting<Period<0, HOUR_MS>> = "30s",
    }
}

/// One server, or several that share the load.
pub(crate) type Upstream = OneOrMany<TextOr<ServerAddress, RawServer>>;

/// Up to a tebibyte; anything longer is no request.
pub(crate) type MaxBody = Size<0, 1_099_511_627_776>;

section! {
    /// A server of the application.
    pub struct RawServer {
        /// Its address.
        url: Setting<ServerAddress>,
        /// A PEM file with the certificates that its own must come from, for a private `https://`:
        /// public ones are not trusted then. Servers that share the load trust all of each other's.
        ca: Option<Setting<String>>,
    }
}

section! {
    /// How long is waited for what.
    pub struct RawTimeouts {
        /// For the first byte of a request, and from there for its whole head. Longer lets slow
        /// connections use the gateway up.
        header: Setting<Period<10, HOUR_MS>> = "10s",
        /// For the next request on a kept connection.
        idle: Setting<Period<10, HOUR_MS>> = "60s",
        /// For a connection to the application, and again for its TLS handshake.
        connect: Setting<Period<10, HOUR_MS>> = "2s",
        /// For the head of the application's answer.
        response: Setting<Period<10, DAY_MS>> = "60s",
        /// Between two pieces of a body.
        body_idle: Setting<Period<10, DAY_MS>> = "60s",
        /// Between two pieces of a stream of messages (server-sent events, lines of JSON) or of a
        /// WebSocket.
        stream_idle: Setting<Period<10, DAY_MS>> = "10m",
    }
}

section! {
    /// What is different for one pattern. What is not written here is as in `[app]`.
    pub struct RawRoute {
        /// How long is waited for what.
        timeouts: Setting<RawRouteTimeouts> = {},
        /// The longest body of a request.
        max_body: Option<Setting<MaxBody>>,
        /// Other servers of the application.
        upstream: Option<Setting<Upstream>>,
    }
}

section! {
    /// How long is waited for what, on one route.
    pub struct RawRouteTimeouts {
        /// For a connection to the application, and again for its TLS handshake.
        connect: Option<Setting<Period<10, HOUR_MS>>>,
        /// For the head of the application's answer.
        response: Option<Setting<Period<10, DAY_MS>>>,
        /// Between two pieces of a body.
        body_idle: Option<Setting<Period<10, DAY_MS>>>,
        /// Between two pieces of a stream of messages (server-sent events, lines of JSON) or of a
        /// WebSocket.
        stream_idle: Option<Setting<Period<10, DAY_MS>>>,
    }
}

section! {
    /// TLS for clients.
    pub struct RawTls {
        /// A PEM file with the certificate and those that lead to its root. Watched: a new one is
        /// used without a restart.
        certificate: Option<Setting<String>>,
        /// The certificate's key, PEM.
        key: Option<Setting<SecretRef>>,
        /// Several certificates, chosen by the name that the client asks for; the first one serves
        /// clients that ask for none of them.
        certificates: Setting<Vec<Setting<RawCertificate>>> = [],
        /// Where plain HTTP is answered with 308 to `public_url`. Applies at start.
        redirect: Option<Setting<SocketAddr>>,
    }
}

section! {
    /// A certificate and its key.
    pub struct RawCertificate {
        /// A PEM file with the certificate and those that lead to its root.
        certificate: Setting<String>,
        /// The certificate's key, PEM.
        key: Setting<SecretRef>,
    }
}
