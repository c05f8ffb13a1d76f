//! Counters in a Redis or Valkey server, shared by all gateways that know it.
//!
//! One call of one script decides a step, by the server's own clock (`step.lua`). A request waits for
//! it no longer than the deadline; when that passes, or anything else goes wrong, limits do what they
//! were told for an outage ([`Outage`](palisade_core::charge::Outage)), and the request does not ask
//! again. After three misses in a row nobody asks, until a probe is answered. A call is never
//! repeated: nobody knows whether it was made, and a second charge would be one too many.
//!
//! Beside it stands a table as small gateways have it. Verdicts are noted there, so that what is
//! known to be used up stays so during an outage, and for a moment without asking again.
//!
//! [`Redis::keep`] connects, and has to be run for anything to be asked.

mod answer;
mod breaker;
mod connect;
mod figures;
mod keep;
mod link;
mod memo;
mod miss;
mod outage;
mod overrides;
mod request;
mod resp;
mod scripts;
mod slots;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use palisade_core::charge::{Standing, Standoff};
use palisade_core::store::RedisAddress;
use palisade_core::{Bound, Charge, Charges, Item, Monotonic, Now, Verdicts};
use tokio::time::{Instant, timeout};

use self::answer::{Answer, Told as Says};
use self::breaker::Breaker;
use self::figures::Figures;
use self::link::Link;
use self::memo::{Memo, Refuses};
use self::request::{Task, Terms};
use self::scripts::{Request, Scripts};
use self::slots::Slots;
use super::memory::Table;
use super::{Ask, Inspected, Patience, Receipt, Taken, Ticket, Told, Waiting};

pub use figures::{Evicts, Health, State, WAIT_BOUNDS_US};
pub use miss::Miss;

/// A shared server, and what this gateway knows of it.
#[derive(Debug)]
pub struct Redis {
    address: RedisAddress,
    deadline: Duration,
    terms: Terms,
    /// Tells this gateway's slots and its presence from others'.
    name: String,
    table: Table,
    link: RwLock<Option<Arc<(Link, Scripts)>>>,
    breaker: Breaker,
    memo: Memo,
    slots: Slots,
    steps: AtomicU64,
    gateways: AtomicU32,
    figures: Figures,
    known: Mutex<Known>,
}

/// What was learned of the server beside its counters.
#[derive(Clone, Debug, Default)]
struct Known {
    trouble: Option<Miss>,
    evicts: Evicts,
}

impl Redis {
    /// The server at this address, of which a request waits at most `deadline`. Asks nothing yet.
    pub fn new(address: RedisAddress, deadline: Duration, table: Table) -> Self {
        Self::on_terms(address, deadline, table, Terms::default())
    }

    /// The same by the clock of the requests, so that tests can move it: keys and slots live on.
    #[cfg(test)]
    pub(crate) fn by_requests(address: RedisAddress, deadline: Duration, table: Table) -> Self {
        let clock = request::Clock::Request;
        Self::on_terms(address, deadline, table, Terms { clock, slack_ms: 600_000, slot_life_ms: 1_000_000_000_000 })
    }

    fn on_terms(address: RedisAddress, deadline: Duration, table: Table, terms: Terms) -> Self {
        Self {
            address,
            deadline,
            terms,
            name: format!("{:016x}", fastrand::u64(..)),
            table,
            link: RwLock::default(),
            breaker: Breaker::default(),
            memo: Memo::default(),
            slots: Slots::default(),
            steps: AtomicU64::new(0),
            gateways: AtomicU32::new(1),
            figures: Figures::default(),
            known: Mutex::default(),
        }
    }

    /// How it does.
    pub fn health(&self) -> Health {
        let Known { trouble, evicts } = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (waits, waited) = self.figures.waits();
        let is_up = self.link().is_some() && self.breaker.ask().is_ok();
        Health {
            state: if is_up { State::Up } else { State::Down },
            gateways: self.gateways.load(Ordering::Relaxed),
            waits,
            waited,
            misses: self.figures.misses(),
            trouble,
            evicts,
        }
    }

    /// What stands in for the server while it is away.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Makes all of the charges, or none of them.
    pub(super) fn take(self: &Arc<Self>, ask: &Ask<'_>, verdicts: &mut Verdicts) -> Taken {
        let Ask { charges, items, patience, now } = *ask;
        if charges.is_empty() {
            *verdicts = Verdicts::default();
            return Taken::Told(Receipt { ticket: Ticket::Here(now.monotonic), patience });
        }
        // A refusal counts towards a ban, so that has to be asked.
        if charges.bans.is_empty() && self.memo.refuses(&charges.list, now) == Refuses::Known {
            self.table.inspect(charges, now, verdicts);
            if !verdicts.admit() {
                return Taken::Told(Receipt { ticket: Ticket::Here(now.monotonic), patience });
            }
        }
        let Some(left) = patience.left(self.deadline) else { return Taken::Told(self.away(ask, verdicts)) };
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        match self.ready() {
            Err(miss) => {
                self.missed(miss);
                Taken::Told(self.away(ask, verdicts))
            }
            Ok(ready) => {
                let ticket = self.member(step);
                let request = request::step(Task::Take, &self.terms, now.monotonic, &ticket, charges, items);
                let told = Told {
                    charges: charges.clone(),
                    verdicts: Verdicts::default(),
                    receipt: Receipt { ticket: Ticket::Here(now.monotonic), patience },
                };
                let wait = Wait { ready, request, step, left, now, items: items.to_vec(), told: Box::new(told) };
                Taken::Waits(Waiting(Box::pin(self.clone().wait(wait))))
            }
        }
    }

    /// Settles what was reserved. Nobody waits for it, and if it gets lost the reservation counts as
    /// spent when its life is over.
    pub(super) fn settle(&self, charge: &Charge, item: Option<&Arc<Item>>, ticket: Ticket, used: u32, now: Now) {
        if !charge.is_reserved() {
            return;
        }
        let (step, taken_s) = match ticket {
            Ticket::There { step, taken_s } => (step, taken_s),
            Ticket::Here(taken) => {
                let gateways = self.gateways.load(Ordering::Relaxed);
                return self.table.settle(&charge.shared_by(gateways), taken, used, now);
            }
        };
        self.give_back(self.ready(), charge, item, step, Task::Settle { taken_s, used }, now.monotonic);
    }

    /// Gives back what a step reserved of one counter. Nobody waits for it.
    fn give_back(
        &self,
        ready: Result<Arc<(Link, Scripts)>, Miss>,
        charge: &Charge,
        item: Option<&Arc<Item>>,
        step: u64,
        task: Task,
        now: Monotonic,
    ) {
        let charge = Charge { item: 0, ..*charge };
        let mut charges = Charges::default();
        charges.push(charge);
        let items: Vec<_> = item.cloned().into_iter().collect();
        let request = request::step(task, &self.terms, now, &self.member(step), &charges, &items);
        if let (Bound::Slots(_), Some(key)) = (charge.bound, request.keys.first()) {
            self.slots.release(step, key.clone(), charge.amount);
        }
        if let Err(miss) = ready.and_then(|ready| ready.0.post(ready.1.step.with(&request))) {
            self.figures.missed(miss);
        }
    }

    /// How the counters stand.
    pub(super) async fn inspect(&self, ask: &Ask<'_>) -> Result<Inspected, Miss> {
        let reply = self.now(Task::Look, ask).await?;
        let Answer { verdicts, pending, .. } = answer::read(&reply, ask.charges, Says::Pending)?;
        Ok(Inspected { verdicts, pending })
    }

    /// Forgets what was spent, and the bans; here as well.
    pub(super) async fn reset(&self, ask: &Ask<'_>) -> Result<(), Miss> {
        self.now(Task::Reset, ask).await?;
        self.table.reset(ask.charges);
        ask.charges.list.iter().for_each(|charge| self.memo.forget(charge.key));
        Ok(())
    }

    /// A call of an operator's, who can wait.
    async fn now(&self, task: Task, ask: &Ask<'_>) -> Result<resp::Reply, Miss> {
        let ready = self.ready()?;
        let request = request::step(task, &self.terms, ask.now.monotonic, "", ask.charges, ask.items);
        let patient = self.deadline.max(Duration::from_secs(1));
        timeout(patient, ready.1.step.run(&ready.0, &request)).await.unwrap_or(Err(Miss::Timeout))
    }

    async fn wait(self: Arc<Self>, wait: Wait) -> Box<Told> {
        let Wait { ready, request, step, left, now, items, mut told } = wait;
        let mut unsure = Unsure::new(&self, &ready, step, &told.charges, &items);
        let began = Instant::now();
        let asked = timeout(left, ready.1.step.run(&ready.0, &request)).await.unwrap_or(Err(Miss::Timeout));
        let answer = asked.and_then(|reply| answer::read(&reply, &told.charges, Says::Verdict));
        match answer {
            Ok(answer) => {
                unsure.slots.clear();
                self.breaker.success();
                self.figures.answered(began.elapsed());
                let waited = match told.receipt.patience {
                    Patience::Waited(waited) => Patience::Waited(waited + began.elapsed()),
                    Patience::Over => Patience::Over,
                };
                told.receipt = Receipt { ticket: Ticket::There { step, taken_s: answer.at_s }, patience: waited };
                told.verdicts = answer.verdicts;
                self.note(&told, &items, now);
            }
            Err(miss) => {
                self.missed(miss);
                let Told { charges, verdicts, receipt } = &mut *told;
                let ask = Ask { charges, items: &items, patience: receipt.patience, now };
                *receipt = self.away(&ask, verdicts);
            }
        }
        told
    }

    /// Remembers what was said.
    fn note(&self, told: &Told, items: &[Arc<Item>], now: Now) {
        let admit = told.verdicts.admit();
        for (place, (charge, verdict)) in told.charges.list.iter().zip(&told.verdicts.list).enumerate() {
            // Of a counter that is charged twice the last verdict tells what was made, and the first
            // one what is there if nothing was.
            if admit || told.charges.first_of(place) == place {
                self.table.note(charge, verdict, now);
                self.memo.note(charge, verdict, now);
            }
        }
        for (ban, standoff) in told.charges.bans.iter().zip(&told.verdicts.bans) {
            if let Standoff::Begins(left) | Standoff::Lasts(left) = standoff {
                self.table.stand_back(ban.key, Standing::banned(now.monotonic.plus(*left)), now);
            }
        }
        let (Ticket::There { step, .. }, true) = (told.receipt.ticket, admit) else { return };
        let mut unit = 0;
        for charge in told.charges.list.iter().filter(|charge| matches!(charge.bound, Bound::Slots(_))) {
            let key = request::key(charge.key, items.get(usize::from(charge.item)));
            let first = unit + 1;
            unit += charge.amount;
            self.slots.keep(step, key, first..=unit);
        }
    }

    /// The answer without the store.
    fn away(&self, ask: &Ask<'_>, verdicts: &mut Verdicts) -> Receipt {
        let gateways = self.gateways.load(Ordering::Relaxed);
        outage::decide(&self.table, ask.charges, ask.items, gateways, ask.now, verdicts);
        Receipt { ticket: Ticket::Here(ask.now.monotonic), patience: Patience::Over }
    }

    fn ready(&self) -> Result<Arc<(Link, Scripts)>, Miss> {
        self.breaker.ask()?;
        self.link().ok_or(Miss::Connection)
    }

    fn link(&self) -> Option<Arc<(Link, Scripts)>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn missed(&self, miss: Miss) {
        self.breaker.miss(miss);
        self.figures.missed(miss);
        if miss != Miss::Open {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).trouble = Some(miss);
        }
    }

    fn member(&self, step: u64) -> String {
        format!("{}:{step}", self.name)
    }
}

/// Slots that a step may have taken, until it is answered. If that never happens, because it took too
/// long or the client left, they are given back: behind the step, on the same connection.
struct Unsure<'a> {
    redis: &'a Redis,
    /// Also when nobody is asked any more: the step went out, so they have to follow it.
    ready: Arc<(Link, Scripts)>,
    step: u64,
    slots: Vec<(Charge, Option<Arc<Item>>)>,
}

impl<'a> Unsure<'a> {
    fn new(redis: &'a Redis, ready: &Arc<(Link, Scripts)>, step: u64, charges: &Charges, items: &[Arc<Item>]) -> Self {
        let slots = charges.list.iter().filter(|charge| matches!(charge.bound, Bound::Slots(_)));
        let slots = slots.map(|charge| (*charge, items.get(usize::from(charge.item)).cloned())).collect();
        Self { redis, ready: ready.clone(), step, slots }
    }
}

impl Drop for Unsure<'_> {
    fn drop(&mut self) {
        for (charge, item) in &self.slots {
            self.redis.give_back(
                Ok(self.ready.clone()),
                charge,
                item.as_ref(),
                self.step,
                Task::Settle { taken_s: 0, used: 0 },
                Monotonic::default(),
            );
        }
    }
}

/// A step on its way to the server.
struct Wait {
    ready: Arc<(Link, Scripts)>,
    request: Request,
    step: u64,
    left: Duration,
    now: Now,
    items: Vec<Arc<Item>>,
    told: Box<Told>,
}
