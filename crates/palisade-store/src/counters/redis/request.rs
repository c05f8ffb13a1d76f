//! A step as `step.lua` reads it.

use std::fmt::Write as _;
use std::sync::Arc;

use palisade_core::charge::Calendar;
use palisade_core::{Ban, Bound, Charge, Charges, Item, KeyHash, Monotonic, Spend};

use super::scripts::Request;

/// What the script is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Take,
    Look,
    Reset,
    /// So many units of the only charge, which was reserved at this second, are spent.
    Settle {
        taken_s: u64,
        used: u32,
    },
}

/// What all calls of a store have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) clock: Clock,
    /// How long a key outlives its meaning, so that one that is asked at its end is still there.
    pub(super) slack_ms: u64,
    /// How long a slot is taken unless its life is lengthened.
    pub(super) slot_life_ms: u64,
}

/// Whose time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// The server's: the same for all gateways.
    Server,
    /// That of the request, so that tests can move it.
    #[cfg(test)]
    Request,
}

impl Default for Terms {
    fn default() -> Self {
        Self { clock: Clock::Server, slack_ms: 1_000, slot_life_ms: 30_000 }
    }
}

/// The call for a step. `ticket` names its slots.
pub(super) fn step(
    task: Task,
    terms: &Terms,
    now: Monotonic,
    ticket: &str,
    charges: &Charges,
    items: &[Arc<Item>],
) -> Request {
    let mut request = Request::default();
    request.arguments.push(match task {
        Task::Take => b"take",
        Task::Look => b"look",
        Task::Reset => b"reset",
        Task::Settle { .. } => b"settle",
    });
    match terms.clock {
        Clock::Server => {
            request.arguments.push(b"-1");
            request.arguments.number(0);
        }
        #[cfg(test)]
        Clock::Request => {
            request.arguments.number(now.as_nanos() / SECOND_NS);
            request.arguments.number(now.as_nanos() % SECOND_NS);
        }
    }
    // Nobody but tests is asked what time it is.
    let _ = now;
    request.arguments.number(terms.slack_ms);
    request.arguments.number(terms.slot_life_ms);
    request.arguments.push(ticket.as_bytes());
    request.arguments.number(charges.list.len() as u64);
    request.arguments.number(charges.bans.len() as u64);
    for charge in &charges.list {
        let key = key(charge.key, items.get(usize::from(charge.item)));
        add_charge(&mut request, charge, key);
    }
    for ban in &charges.bans {
        request.keys.push(key(ban.key, items.get(usize::from(ban.item))));
        add_ban(&mut request, ban);
    }
    if let Task::Settle { taken_s, used } = task {
        request.arguments.number(taken_s);
        request.arguments.number(u64::from(used));
    }
    request
}

const SECOND_NS: u64 = 1_000_000_000;

fn add_charge(request: &mut Request, charge: &Charge, key: Box<[u8]>) {
    let known = request.keys.iter().position(|other| *other == key);
    let place = known.unwrap_or(request.keys.len());
    if known.is_none() {
        request.keys.push(key);
    }
    let (kind, x, y) = match charge.bound {
        Bound::Rate(rate) => (0, rate.unit_ns(), rate.unit_ns().saturating_mul(u64::from(rate.burst()))),
        Bound::Quota(quota) => (1, u64::from(quota.count()), code(quota.per())),
        Bound::Slots(slots) => (2, u64::from(slots), 0),
    };
    request.arguments.number(place as u64 + 1);
    for number in [kind, x, y, u64::from(charge.amount), life_s(charge)] {
        request.arguments.number(number);
    }
}

/// Lives are whole seconds here. Zero: nothing is reserved.
pub(super) fn life_s(charge: &Charge) -> u64 {
    match (charge.bound, charge.spend) {
        (Bound::Slots(_), _) | (_, Spend::Now) => 0,
        (Bound::Rate(_) | Bound::Quota(_), Spend::Reserve { life, .. }) => life.div_ceil(SECOND_NS).max(1),
    }
}

fn add_ban(request: &mut Request, ban: &Ban) {
    let rule = &ban.rule;
    for number in [u64::from(ban.first), u64::from(ban.end), u64::from(rule.after()), rule.within_ns()] {
        request.arguments.number(number);
    }
    request.arguments.number(rule.lengths_s().len() as u64);
    for length in rule.lengths_s() {
        request.arguments.number(u64::from(*length));
    }
}

/// The hash in braces, so that a cluster would keep it by that alone; the name is for people.
pub(super) fn key(hash: KeyHash, item: Option<&Arc<Item>>) -> Box<[u8]> {
    let mut key = String::with_capacity(64);
    let limit = item.map_or("", |item| &*item.limit);
    // A string takes everything.
    let _ = write!(key, "palisade:1:{{{:032x}}}:{limit}", hash.0);
    key.into_bytes().into()
}

/// As the script numbers them.
fn code(calendar: Calendar) -> u64 {
    match calendar {
        Calendar::Minute => 0,
        Calendar::Hour => 1,
        Calendar::Day => 2,
        Calendar::Week => 3,
        Calendar::Month => 4,
    }
}
