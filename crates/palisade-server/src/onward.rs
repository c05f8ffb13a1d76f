//! What the application receives in place of the client's head.
//!
//! Apart from the gateway so that an explanation says the same.

use palisade_config::Snapshot;
use palisade_core::{Head, HeaderEdits, Reason, Refusal};
use palisade_policy::inbound::{Inbound, InboundFilter};
use palisade_proxy::hop::{self, Prepared};
use palisade_proxy::retry::Payload;
use palisade_tower::observe::Close;
use palisade_tower::transit::Transit;

use crate::told::Names;

/// Changes to an ordinary request's head.
const EDITS: usize = 16;

/// What is changed in the head of a request that the gateway has let pass.
pub(crate) fn edits<C: Close>(
    names: &Names,
    inbound: &InboundFilter,
    transit: &mut Transit<'_, C>,
    head: &dyn Head,
    payload: Payload,
) -> Result<(HeaderEdits, Prepared), Refusal> {
    let mut edits = HeaderEdits::none();
    edits.reserve(EDITS);
    // A trailer may not say what a field may not.
    let keep = |name: &[u8]| inbound.verdict(name) == Inbound::Keep;
    let prepared = hop::prepare(transit.sight.method, head, payload, &keep, &mut edits)
        .map_err(|malformed| Refusal::new(Reason::HttpMalformed).detail(malformed.to_string()))?;
    // After what is taken out, so that no `Connection` can remove what is put in.
    edits.extend(std::mem::take(&mut transit.passage.request));
    names.tell(head, &mut edits, &transit.arrival, transit.sight.authority);
    Ok((edits, prepared))
}

/// The same for a request that is only thought of, and has no body.
///
/// # Errors
///
/// The refusal of a head whose fields can't go on.
pub fn explain<C: Close>(
    snapshot: &Snapshot,
    transit: &mut Transit<'_, C>,
    head: &dyn Head,
) -> Result<HeaderEdits, Refusal> {
    let names = Names::new(&snapshot.app);
    edits(&names, &snapshot.edge.inbound, transit, head, Payload::Empty).map(|(edits, _)| edits)
}
