//! How much one client, user, endpoint or plan may use.
//!
//! **Threat.** One client that guesses passwords, scrapes, or simply loops must not use up what
//! everybody needs. An IPv6 client owns at least 2⁶⁴ addresses and often 2⁸⁰, so counting single
//! addresses counts nothing. An exemption made for a callback or a webhook must not become a door.
//!
//! **Rule.**
//! 1. A limit is a name, the requests it is on ([`Scope`]), whose they are ([`Key`]), and how much:
//!    a rate, a quota of a calendar window, so many at a time, or several of these. All limits on a
//!    request are asked; none wins.
//! 2. Limits that need only the head are asked in stage `shed`, the others, by user or plan, in
//!    `quota`. What one stage charges is one atomic step: if one limit refuses, none is charged.
//! 3. Where a key holds the client's address, an IPv6 request is counted by its /64 and also by its
//!    /56 and /48, which have four and sixteen times the rate.
//! 4. A request that is exempt, exactly and in normal form, meets the ceiling of its exemption and
//!    no other limit. Preflights of CORS meet the limit `preflight`, routes of assets `assets` in
//!    place of `per_ip` and `per_user`.
//! 5. A key may hold a field of the body; one that stands there twice is refused with 400.
//! 6. A refusal is 429 with the longest wait as `Retry-After`, and names every limit that refused.
//! 7. A slot is taken when a request is admitted and free when its answer has ended or the client
//!    left. Who finds none is refused at once, never queued.
//! 8. A limit may count only requests with certain answers. It reserves when a request arrives and
//!    settles at the answer's head, so it refuses *at* its count, however many come at once. An
//!    answer that the application never gave counts; one that a limit gave does not.
//! 9. Who is refused by one limit again and again may be banned by it, each time for longer. Asking
//!    during a ban extends nothing.
//! 10. A budget of tokens reserves what a request may use and settles what it used.
//! 11. When enforced, answers tell each limit's state ([`Announce`]), except of limits that count
//!     answers or are keyed on a body; in report mode they tell nothing.
//!
//! **Limits.** Clients behind one address share its buckets. Ladders are for rates only. Keys are
//! hashed with a secret seed, or by SHA-256 where gateways share a store, so no client can choose whom
//! it collides with. Counters in memory can't be down; while a shared store is, each limit does what
//! its `outage` says.

mod about;
mod announce;
mod body;
pub mod config;
mod count;
mod hash;
mod key;
mod ladder;
mod limit;
mod meter;
mod plan;
mod roster;
mod scope;
mod spec;
mod subject;
#[cfg(test)]
mod tests;
mod tokens;

pub use announce::{Announce, Style};
pub use count::Count;
pub use hash::Seed;
pub use key::{Key, KeyError, Part};
pub use ladder::Ladder;
pub use plan::ByPlan;
pub use roster::{Entry, Exemption, Look, LookError, Miss, Roster, Settable, Stands};
pub use scope::Scope;
pub use spec::{Settings, Spec, TooFast, build};
pub use subject::SubjectError;
pub use tokens::{Reserve, Tokens};
