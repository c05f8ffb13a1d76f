//! What a request goes through, and which function belongs to what.
//!
//! A function counts where its own code is, whoever calls it: the parser of fields serves both sides
//! of the engine, and so is neither's. What the compiler moved into its caller counts there.

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Client,
    Application,
    BothSides,
    Edge,
    Guard,
    Gateway,
    Proxy,
    Record,
    Runtime,
    Libraries,
    Allocator,
    Moves,
    Other,
}

use Phase::{
    Allocator, Application, BothSides, Client, Edge, Gateway, Guard, Libraries, Moves, Other, Proxy, Record, Runtime,
};

impl Phase {
    pub(super) const ALL: [Self; 13] = [
        Client,
        Application,
        BothSides,
        Edge,
        Guard,
        Gateway,
        Proxy,
        Record,
        Runtime,
        Libraries,
        Allocator,
        Moves,
        Other,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Client => "engine, client side",
            Application => "engine, application side",
            BothSides => "engine, both sides",
            Edge => "edge",
            Guard => "guard and policies",
            Gateway => "gateway",
            Proxy => "proxy",
            Record => "record and telemetry",
            Runtime => "runtime",
            Libraries => "libraries",
            Allocator => "allocator",
            Moves => "memory moves",
            Other => "other",
        }
    }

    /// The first rule that fits.
    pub(super) fn of(function: &str) -> Self {
        let owner = owner(function);
        RULES.iter().find(|(start, _)| owner.starts_with(start)).map_or(Other, |(_, phase)| *phase)
    }
}

const RULES: &[(&str, Phase)] = &[
    ("palisade_server::connection::", Client),
    ("palisade_server::", Gateway),
    ("palisade_http1::request::", Client),
    ("palisade_http1::response::", Application),
    ("palisade_http1::", BothSides),
    ("palisade_proxy::http1::", Application),
    ("palisade_proxy::http2::", Application),
    ("palisade_proxy::head::", Application),
    ("palisade_proxy::wire::", Application),
    ("palisade_proxy::", Proxy),
    ("palisade_tower::edge::", Edge),
    ("palisade_tower::observe::", Record),
    ("palisade_tower::", Guard),
    ("palisade_telemetry::", Record),
    ("palisade_core::client::", Edge),
    ("palisade_core::id::", Edge),
    ("palisade_core::path::", Edge),
    ("palisade_core::trace::", Edge),
    ("palisade_core::record::", Record),
    ("palisade_core::shape::", Record),
    ("palisade_core::", Guard),
    ("palisade_policy::", Guard),
    ("palisade_store::", Guard),
    ("tokio::", Runtime),
    ("tokio_rustls::", Runtime),
    ("mio::", Runtime),
    ("std::", Runtime),
    ("core::", Runtime),
    ("alloc::", Runtime),
    ("bytes::", Libraries),
    ("fastrand::", Libraries),
    ("h2::", Libraries),
    ("hashbrown::", Libraries),
    ("http::", Libraries),
    ("http_body", Libraries),
    ("hyper", Libraries),
    ("itoa::", Libraries),
    ("memchr::", Libraries),
    ("siphasher::", Libraries),
    ("mi_", Allocator),
    ("_mi_", Allocator),
    ("__rust_", Allocator),
    ("__rustc::", Allocator),
    ("malloc", Allocator),
    ("calloc", Allocator),
    ("realloc", Allocator),
    ("free", Allocator),
    ("memcpy", Moves),
    ("memmove", Moves),
    ("memset", Moves),
    ("__memcpy", Moves),
    ("__memmove", Moves),
    ("__memset", Moves),
];

/// What is between a destructor's name and the name of what it destroys.
const WRAPPERS: &[&str] = &["alloc::boxed::Box<", "alloc::vec::Vec<", "core::option::Option<", "dyn ", "<", "&"];

/// The path that says whose function it is: of `<Type as Trait>::method` and of the destructor of
/// `Type` it is that of `Type`.
fn owner(function: &str) -> &str {
    let method = function.trim_start_matches(['<', '&']);
    let Some(mut owner) = method.strip_prefix("core::ptr::drop_in_place<") else { return method };
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| owner.strip_prefix(wrapper)) {
        owner = inner;
    }
    owner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_belong_to_phases() {
        for (function, phase) in [
            ("palisade_server::connection::own::exchange::{{closure}}", "engine, client side"),
            ("palisade_server::gateway::Gateway::conclude", "gateway"),
            ("palisade_http1::request::RequestParser::next", "engine, client side"),
            ("palisade_http1::response::ResponseParser::next", "engine, application side"),
            ("<palisade_http1::fields::Fields as palisade_core::head::Head>::fields", "engine, both sides"),
            ("palisade_proxy::send::<impl palisade_proxy::upstream::Upstream<B>>::send::{{closure}}", "proxy"),
            ("<palisade_policy::limits::meter::Limits as palisade_core::policy::Meter>::decide", "guard and policies"),
            ("core::ptr::drop_in_place<palisade_tower::observe::Observation<X>>", "record and telemetry"),
            (
                "core::ptr::drop_in_place<alloc::vec::Vec<alloc::boxed::Box<dyn palisade_core::policy::P>>>",
                "guard and policies",
            ),
            ("<&tokio::net::TcpStream as tokio::io::AsyncRead>::poll_read", "runtime"),
            ("alloc::raw_vec::RawVecInner<A>::finish_grow", "runtime"),
            ("bytes::bytes_mut::BytesMut::split_to", "libraries"),
            ("mi_theap_malloc_aligned", "allocator"),
            ("__memcpy_avx_unaligned_erms", "memory moves"),
            ("__memcmp_avx2_movbe", "other"),
            ("0x00000000001a2b3c", "other"),
        ] {
            assert_eq!(Phase::of(function).name(), phase, "{function}");
        }
    }
}
