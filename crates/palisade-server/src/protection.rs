//! What protects the application, as a snapshot says it.

use palisade_config::{AcceptTrace, Snapshot};
use palisade_tower::edge::{self, Edge, Sample};
use palisade_tower::transit::Protection;

/// The edge and the routes of a snapshot. `key` chooses the sampled traces; the same one for the
/// life of the process.
pub fn of(snapshot: &Snapshot, key: [u8; 16]) -> Protection {
    let accept = match snapshot.performance.accept {
        AcceptTrace::Ids => edge::AcceptTrace::Ids,
        AcceptTrace::Off => edge::AcceptTrace::Off,
    };
    Protection {
        edge: Edge {
            hops: snapshot.edge.hops.clone(),
            encoded_slash: snapshot.edge.encoded_slash,
            inbound: snapshot.edge.inbound.clone(),
            accept,
            sample: Sample { key, per_million: snapshot.performance.sample_per_million },
        },
        routes: snapshot.routes.clone(),
    }
}
