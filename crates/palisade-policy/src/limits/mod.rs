//! How many requests one client address may make.
//!
//! **Threat.** One client that guesses passwords, scrapes, or simply loops must not use up what
//! everybody needs. An IPv6 client owns at least 2⁶⁴ addresses and often 2⁸⁰, so counting single
//! addresses counts nothing.
//!
//! **Rule.**
//! 1. A client is its IPv4 address or its IPv6 /64. Each request costs one unit of its bucket.
//! 2. An IPv6 request also costs one unit of its /56, which has four times the rate and burst, and
//!    one of its /48, which has sixteen times. The three are one atomic step: if one refuses, none
//!    is charged.
//! 3. A refusal is 429 with the longest wait as `Retry-After`, and names every bucket that refused.
//! 4. When enforced, answers carry `RateLimit-Policy` and `RateLimit`
//!    (draft-ietf-httpapi-ratelimit-headers); in report mode they carry nothing.
//!
//! **Limits.** Clients behind one address share its bucket. Keys are hashed with a secret seed, so
//! no client can choose whom it collides with. Counters live in memory and can't be down; what the
//! guard does when a store is, no policy decides.

mod announce;
pub mod config;
mod key;
mod ladder;
mod redirect;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use palisade_core::charge::Fit;
use palisade_core::{
    Bound, Charge, Charges, Decision, Effects, Meter, Mode, Policy, Question, Rate, Reason, Refusal, Spend, Stage,
    Verdicts, View,
};

pub use announce::Announce;
pub use redirect::Redirects;

use announce::Fields;
use ladder::Ladder;

/// The questions of the limit `per_ip`. `None` if the rate is too fast for the ladder, whose /48
/// has sixteen times as much.
pub fn per_ip(rate: Rate, mode: Mode, place: Arc<str>, seed: &[u8; 16]) -> Option<Vec<Question>> {
    let announce = if mode == Mode::Enforce { Announce::Ietf } else { Announce::Off };
    let limit = PerIp::new(rate, announce, seed)?;
    let question = |stage, policy| Question { name: "limits", stage, mode, place: place.clone(), policy };
    let mut questions = vec![question(Stage::Shed, Policy::Meter(Arc::new(limit)))];
    if announce == Announce::Ietf {
        questions.push(question(Stage::Dress, Policy::Dress(Arc::new(Redirects))));
    }
    Some(questions)
}

/// The limit `per_ip`.
pub struct PerIp {
    ladder: Ladder,
    fields: Fields,
}

impl PerIp {
    /// `rate` for each address, and the ladder above it. `None` if the rate is too fast for the
    /// ladder's widest prefix.
    pub fn new(rate: Rate, announce: Announce, seed: &[u8; 16]) -> Option<Self> {
        let ladder = Ladder::new("per_ip", rate, seed)?;
        let fields = Fields::new(announce, &ladder);
        Some(Self { ladder, fields })
    }
}

impl Meter for PerIp {
    fn charges(&self, view: &View<'_>, charges: &mut Charges) {
        for (item, (rate, key)) in (0..).zip(self.ladder.keys(view.client)) {
            charges.push(Charge { item, key, bound: Bound::Rate(rate), amount: 1, spend: Spend::Now });
        }
    }

    fn decide(&self, _view: &View<'_>, _charges: &Charges, verdicts: &Verdicts) -> Decision {
        let asked = || self.ladder.rungs().iter().zip(&verdicts.list);
        let response = self.fields.write(asked());
        let refused = || asked().filter(|(_, verdict)| verdict.fit != Fit::Fits);
        let Some(wait) = refused().map(|(_, verdict)| verdict.retry_after).max() else {
            return Decision::Allow(Effects { response, ..Effects::none() });
        };
        Decision::Refuse(Refusal {
            violated: refused().map(|(rung, _)| rung.name.clone()).collect(),
            response,
            ..Refusal::new(Reason::LimitsRate).retry_after(wait)
        })
    }
}
