//! Slots that are in use here, so that their lives can be lengthened.
//!
//! In the server a slot is free when its life is over: a gateway that crashed must not keep it. One
//! that lives says every few seconds that its slots are still taken. No more than requests under way.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::scripts::Request;

/// So many slots are renewed by one call.
const BATCH: usize = 128;

type Key = Box<[u8]>;

/// Units by the step that took them and the set they are in.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<HashMap<(u64, Key), Vec<u32>>>);

impl Slots {
    /// Keeps units of a step.
    pub(super) fn keep(&self, step: u64, key: Key, units: impl Iterator<Item = u32>) {
        self.lock().entry((step, key)).or_default().extend(units);
    }

    /// Lets go of as many units of a step, the first ones, as the server does.
    pub(super) fn release(&self, step: u64, key: Key, units: u32) {
        let mut slots = self.lock();
        let place = (step, key);
        let Some(held) = slots.get_mut(&place) else { return };
        held.drain(..held.len().min(usize::try_from(units).unwrap_or(usize::MAX)));
        if held.is_empty() {
            slots.remove(&place);
        }
    }

    /// The calls that lengthen all of them.
    pub(super) fn renewals(&self, gateway: &str, life_ms: u64) -> Vec<Request> {
        let slots = self.lock();
        let members = slots.iter().flat_map(|((step, key), units)| {
            units.iter().map(move |unit| (key.clone(), format!("{gateway}:{step}:{unit}")))
        });
        let mut requests: Vec<Request> = Vec::new();
        for (place, (key, member)) in members.enumerate() {
            if place % BATCH == 0 {
                let mut request = Request::default();
                request.arguments.number(life_ms);
                requests.push(request);
            }
            if let Some(request) = requests.last_mut() {
                request.keys.push(key);
                request.arguments.push(member.as_bytes());
            }
        }
        requests
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(u64, Key), Vec<u32>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}
