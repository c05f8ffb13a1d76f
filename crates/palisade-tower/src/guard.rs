//! The guard: one loop that asks every question in order, fetches the one thing it needs, and acts
//! on the answer.
//!
//! Policies decide, the guard acts. Whether a decision counts is for it alone: a refusal of a policy
//! in `report` is noted and the request goes on. It is a plain future without boxes; on an allow of
//! policies that look at the head it allocates nothing.

use std::future::poll_fn;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use palisade_core::decision::Facts;
use palisade_core::policy::{End, Fed};
use palisade_core::record::{Answer, Asked};
use palisade_core::{
    Charges, Decision, Edited, Effects, Examination, Head, HeaderEdits, Identity, Meter, Mode, Monotonic, Policy,
    Question, Refusal, Reply, ResponseView, Stage, Tally, Transformation, Verdicts, View, Watch,
};
use palisade_store::counters::{Ask, Patience, Receipt, Taken, Told, Waiting};
use palisade_store::{Counters, Records};

use crate::clock;
use crate::held::Held;
use crate::reserve::Reservations;

/// What the guard fetches from.
#[derive(Debug)]
pub struct Stores {
    /// Where charges are spent.
    pub counters: Arc<Counters>,
    /// Where records are looked up.
    pub records: Records,
}

/// What is known of one request while it passes the guard.
#[derive(Default)]
pub struct Passage {
    /// Who sent it.
    pub identity: Identity,
    /// What earlier policies left for later ones.
    pub facts: Facts,
    /// Changes to the request as it goes upstream.
    pub request: HeaderEdits,
    /// Changes to the answer, whoever makes it.
    pub response: HeaderEdits,
    /// What was asked: refusals, notes, and everything when the request is traced.
    pub asked: Vec<Asked>,
    /// What limits said.
    pub limits: Vec<Tally>,
    /// Who watches the answer's body.
    pub watches: Vec<Box<dyn Watch>>,
    /// What was reserved and is not settled yet.
    pub reservations: Reservations,
    /// Time spent waiting for stores.
    pub store_wait: Duration,
    /// How long it may yet wait for a store of counters.
    pub patience: Patience,
}

/// What the guard says after some stages.
#[derive(Debug)]
pub enum Ruling {
    /// Nothing stands against the request.
    Pass,
    /// A policy answers in the application's place.
    Respond(Reply),
    /// The request is refused.
    Refuse(Refusal),
}

/// How much is noted about what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notes {
    /// Refusals and notes only.
    Brief,
    /// Every question with its time, for a trace or an explanation.
    Full,
}

/// The stages that are asked about a request, before the application sees it.
pub const REQUEST_STAGES: RangeInclusive<Stage> = Stage::Shed..=Stage::Shape;

/// Asks the questions of `stages` about one request.
pub async fn ask<B>(
    stores: &Stores,
    stages: RangeInclusive<Stage>,
    view: &View<'_>,
    body: &mut Held<B>,
    passage: &mut Passage,
    notes: Notes,
) -> Ruling
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut now = view.now;
    let overrides = stores.counters.table().overrides().load();
    for question in view.route.questions.iter() {
        if question.mode == Mode::Off || !stages.contains(&question.stage) {
            continue;
        }
        let began = (notes == Notes::Full).then(clock::monotonic);
        let decision = {
            let Passage { identity, facts, limits, reservations, store_wait, patience, .. } = &mut *passage;
            let view = View { identity, facts, now, overrides: overrides.as_deref(), ..*view };
            put(stores, question, &view, body, Kept { limits, reservations, store_wait, patience }).await
        };
        let span = began.map(|began| (began.since(view.now.monotonic), clock::monotonic().since(began)));
        if matches!(question.policy, Policy::Examine(_)) && decision.is_some() {
            // A body may have taken long to come. Requests that were held back so must not spend what
            // has refilled since they began: they go on at once, and all together.
            now = clock::now();
        }
        if let Some(ruling) = passage.act(question, decision, span) {
            return ruling;
        }
    }
    Ruling::Pass
}

/// What is kept of the asking itself.
struct Kept<'a> {
    limits: &'a mut Vec<Tally>,
    reservations: &'a mut Reservations,
    store_wait: &'a mut Duration,
    patience: &'a mut Patience,
}

/// Puts one question. `None`: it has nothing to say about this request.
async fn put<B>(
    stores: &Stores,
    question: &Question,
    view: &View<'_>,
    body: &mut Held<B>,
    mut kept: Kept<'_>,
) -> Option<Decision>
where
    B: Body<Data = Bytes> + Unpin,
{
    match &question.policy {
        Policy::Inspect(policy) => Some(policy.decide(view)),
        Policy::Meter(policy) => {
            // Functions of their own, so that charges and verdicts, which are large, lie on the stack
            // and not in every request's future.
            match meter(policy, question.mode, stores, view, &mut kept) {
                Metered::Decided(decision) => decision,
                Metered::Waits(waiting) => {
                    let told = waited(waiting, kept.store_wait).await;
                    let Told { charges, verdicts, receipt } = &*told;
                    let step = Step { charges, verdicts, receipt: *receipt };
                    Some(metered(policy, question.mode, stores, view, step, &mut kept))
                }
            }
        }
        Policy::Recall(policy) => {
            let lookup = policy.lookup(view)?;
            let found = waited(stores.records.lookup(&lookup, view.now), kept.store_wait).await;
            Some(policy.decide(view, found))
        }
        Policy::Examine(policy) => Some(examine(policy.begin(view)?, body).await),
        Policy::Dress(_) | Policy::Transform(_) => None,
    }
}

/// How the asking of a meter goes.
enum Metered {
    /// At once.
    Decided(Option<Decision>),
    /// Its counters are elsewhere.
    Waits(Waiting),
}

/// A step that was told.
#[derive(Clone, Copy)]
struct Step<'a> {
    charges: &'a Charges,
    verdicts: &'a Verdicts,
    receipt: Receipt,
}

fn meter(policy: &Arc<dyn Meter>, mode: Mode, stores: &Stores, view: &View<'_>, kept: &mut Kept<'_>) -> Metered {
    let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
    policy.charges(view, &mut charges);
    if charges.is_empty() {
        return Metered::Decided(None);
    }
    // An operator's ban needs no counter. What was left out would be a limit that the request walked
    // around: it is refused, and so nothing of it is charged.
    if charges.bar.is_some() || charges.is_too_much() {
        policy.tell(mode, &charges, &verdicts, kept.limits);
        return Metered::Decided(Some(policy.decide(view, &charges, &verdicts)));
    }
    let ask = Ask { charges: &charges, items: policy.items(), patience: *kept.patience, now: view.now };
    match stores.counters.take(&ask, &mut verdicts) {
        Taken::Waits(waiting) => Metered::Waits(waiting),
        Taken::Told(receipt) => {
            let step = Step { charges: &charges, verdicts: &verdicts, receipt };
            Metered::Decided(Some(metered(policy, mode, stores, view, step, kept)))
        }
    }
}

/// What a step that was told comes to.
fn metered(
    policy: &Arc<dyn Meter>,
    mode: Mode,
    stores: &Stores,
    view: &View<'_>,
    step: Step<'_>,
    kept: &mut Kept<'_>,
) -> Decision {
    let Step { charges, verdicts, receipt: Receipt { ticket, patience } } = step;
    *kept.patience = patience;
    if verdicts.admit() {
        kept.reservations.keep(charges, policy, &stores.counters, ticket);
    }
    policy.tell(mode, charges, verdicts, kept.limits);
    policy.decide(view, charges, verdicts)
}

/// Feeds an examination with what earlier ones have read, then with what is still to come.
async fn examine<B>(mut examination: Box<dyn Examination>, body: &mut Held<B>) -> Decision
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = examination.budget();
    let mut place = 0;
    loop {
        let chunk = match body.held(place) {
            Some(chunk) => chunk,
            None if left == 0 => return examination.decide(End::Part),
            None => match body.read().await {
                Some(chunk) => chunk,
                None => return examination.decide(body.end()),
            },
        };
        let part = chunk.slice(..left.min(chunk.len()));
        left -= part.len();
        if examination.feed(&part) == Fed::Enough || part.len() < chunk.len() {
            return examination.decide(End::Part);
        }
        place += 1;
    }
}

/// Adds to `wait` only if the store did not answer at once, so that memory costs no clock read.
async fn waited<F: Future>(asking: F, wait: &mut Duration) -> F::Output {
    let mut asking = pin!(asking);
    if let Poll::Ready(answer) = poll_fn(|context| Poll::Ready(asking.as_mut().poll(context))).await {
        return answer;
    }
    let began = clock::monotonic();
    let answer = asking.await;
    *wait += clock::monotonic().since(began);
    answer
}

/// What is known of an answer beside its fields.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// Its status.
    pub status: http::StatusCode,
    /// How many bytes its content has, if that is known.
    pub length: Option<u64>,
}

/// Dresses the answer's head, whoever made it, and begins the rewritings of its body. Each question
/// sees the head as the ones before it leave it.
pub fn dress(
    view: &View<'_>,
    outline: Outline,
    head: &dyn Head,
    edits: &mut HeaderEdits,
    passage: &mut Passage,
    notes: Notes,
) -> Vec<Box<dyn Transformation>> {
    let Outline { status, length } = outline;
    let Passage { identity, facts, response, asked, limits, watches, .. } = passage;
    let view = View { identity, facts, limits, ..*view };
    edits.take(response);
    let mut rewritings = Vec::new();
    // Empty, with the memory of what was taken.
    let wanted = response;
    for question in view.route.questions.iter().filter(|question| question.mode != Mode::Off) {
        let began = (notes == Notes::Full).then(clock::monotonic);
        let edited = Edited { head, edits };
        let response = ResponseView { status, head: &edited, length };
        let begun = match &question.policy {
            Policy::Dress(policy) => {
                policy.dress(&view, &response, wanted);
                None
            }
            Policy::Transform(policy) => {
                // What is reported counts, and what is watched changes nothing.
                watches.extend(policy.watch(&view, &response, wanted));
                policy.begin(&view, &response, wanted)
            }
            Policy::Inspect(_) | Policy::Meter(_) | Policy::Recall(_) | Policy::Examine(_) => continue,
        };
        if question.mode == Mode::Enforce {
            edits.take(wanted);
            rewritings.extend(begun);
        } else {
            *wanted = HeaderEdits::none();
        }
        if let Some(began) = began {
            asked.push(note(question, Answer::Allow(None), Some(span(&view, began))));
        }
    }
    rewritings
}

/// Whether there is nothing to act on, as mostly there isn't.
fn says_nothing(decision: &Option<Decision>) -> bool {
    match decision {
        None => true,
        Some(Decision::Allow(Effects { identity, facts, request, response, note })) => {
            identity.is_none() && facts.is_empty() && request.is_empty() && response.is_empty() && note.is_none()
        }
        Some(Decision::Respond(_) | Decision::Refuse(_)) => false,
    }
}

fn span(view: &View<'_>, began: Monotonic) -> (Duration, Duration) {
    (began.since(view.now.monotonic), clock::monotonic().since(began))
}

fn note(question: &Question, answer: Answer, span: Option<(Duration, Duration)>) -> Asked {
    Asked { policy: question.name, stage: question.stage, mode: question.mode, answer, span }
}

impl Passage {
    /// Acts on a decision. A ruling ends the questions.
    fn act(
        &mut self,
        question: &Question,
        decision: Option<Decision>,
        span: Option<(Duration, Duration)>,
    ) -> Option<Ruling> {
        let full = span.is_some();
        if !full && says_nothing(&decision) {
            return None;
        }
        let (answer, ruling) = match decision {
            None => (Answer::Silent, None),
            Some(Decision::Allow(effects)) => (Answer::Allow(self.absorb(effects, question.mode)), None),
            Some(Decision::Respond(_)) if question.mode == Mode::Report => (Answer::Respond, None),
            Some(Decision::Respond(reply)) => (Answer::Respond, Some(Ruling::Respond(reply))),
            Some(Decision::Refuse(refusal)) if question.mode == Mode::Report => (Answer::Refuse(refusal), None),
            Some(Decision::Refuse(refusal)) => (Answer::Refuse(refusal.clone()), Some(Ruling::Refuse(refusal))),
        };
        let notable = match &answer {
            Answer::Silent => false,
            Answer::Allow(note) => note.is_some(),
            Answer::Respond | Answer::Refuse(_) => true,
        };
        if notable || full {
            self.asked.push(note(question, answer, span));
        }
        ruling
    }

    /// Takes over what a policy wants done. One in `report` leaves facts and notes, and changes
    /// nothing that client or application could see.
    fn absorb(&mut self, effects: Effects, mode: Mode) -> Option<Box<str>> {
        let Effects { identity, facts, request, response, note } = effects;
        self.facts.extend(facts);
        if mode == Mode::Enforce {
            if let Some(identity) = identity {
                self.identity = identity;
            }
            self.request.extend(request);
            self.response.extend(response);
        }
        note
    }
}
