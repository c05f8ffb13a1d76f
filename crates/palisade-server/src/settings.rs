//! What the parts of the process are told by a snapshot.

use std::time::Duration;

use palisade_config::Snapshot;
use palisade_telemetry::settings::{Guess, Settings, Told};

use crate::admission::AdmissionRule;
use crate::limits::{H2Limits, Limits};

/// Bytes of an HTTP/2 frame, unless both sides want more (RFC 9113 section 4.2).
const H2_FRAME_BYTES: u32 = 16 << 10;

/// From which latency on a request is notable although it went well: people notice it too.
const SLOW: Duration = Duration::from_secs(1);

/// The limits of connections.
pub(crate) fn limits(snapshot: &Snapshot) -> Limits {
    let app = &snapshot.app;
    let h2 = H2Limits::default();
    let header_bytes_max = u32::try_from(app.header_bytes_max).unwrap_or(u32::MAX);
    Limits {
        first_byte: app.header_timeout,
        head: app.header_timeout,
        idle: app.idle_timeout,
        message: palisade_http1::Limits { head_bytes_max: app.header_bytes_max, ..palisade_http1::Limits::default() },
        connections_max: app.connections_max,
        connections_per_address_max: u32::try_from(app.connections_per_address_max).unwrap_or(u32::MAX),
        h2: H2Limits {
            header_list_bytes_max: header_bytes_max,
            // What a list may hold must fit into its frames.
            continuations_max: h2.continuations_max.max(header_bytes_max / H2_FRAME_BYTES),
            ..h2
        },
        ..Limits::default()
    }
}

/// Who may have how many connections.
pub(crate) fn admission(snapshot: &Snapshot) -> AdmissionRule {
    let hops = snapshot.edge.hops.clone();
    let limits = limits(snapshot);
    AdmissionRule {
        connections_max: limits.connections_max,
        per_address_max: limits.connections_per_address_max,
        trusts: Box::new(move |address| hops.trusts(address.into())),
    }
}

/// Telemetry from the start on.
pub(crate) fn telemetry(snapshot: &Snapshot) -> Settings {
    Settings {
        told: told(snapshot),
        queue_bytes: snapshot.performance.queue_bytes,
        max_series: snapshot.performance.series_max,
    }
}

/// What telemetry takes over with a reload.
pub(crate) fn told(snapshot: &Snapshot) -> Told {
    Told {
        access: snapshot.log.access.clone(),
        only: snapshot.log.only,
        address: snapshot.log.address,
        guess: if snapshot.performance.guess { Guess::Shapes } else { Guess::Off },
        slow: Some(SLOW),
    }
}

/// The labels of a snapshot's routes.
pub(crate) fn labels(snapshot: &Snapshot) -> impl Iterator<Item = &str> {
    snapshot.routes.iter().map(|route| route.label.as_ref())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use palisade_config::{Inputs, Seed, load};

    use super::*;

    #[test]
    fn heads_have_the_limits_of_the_configuration_in_both_protocols() {
        for (max_header, bytes, continuations) in [("1KiB", 1 << 10, 8), ("32KiB", 32 << 10, 8), ("1MiB", 1 << 20, 64)]
        {
            let text = format!(
                "[app]\nupstream = \"http://127.0.0.1:1\"\nmax_header = \"{max_header}\"\n\
                 [app.timeouts]\nheader = \"3s\"\n"
            );
            let (snapshot, _) = load(&Inputs::text("test.toml", text), Seed([0; 16])).map_err(|_| "config").unwrap();
            let limits = limits(&snapshot);
            assert_eq!([limits.first_byte, limits.head], [Duration::from_secs(3); 2]);
            assert_eq!(
                (limits.message.head_bytes_max, limits.h2.header_list_bytes_max),
                (bytes, bytes as u32),
                "{max_header}"
            );
            assert_eq!(limits.h2.continuations_max, continuations, "{max_header}");
        }
    }
}
