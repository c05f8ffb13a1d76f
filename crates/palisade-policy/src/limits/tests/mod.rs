//! Limits asked as the guard asks them, with counters as naive as can be.

mod announce;
mod answers;
mod compile;
mod decide;
mod roster;
mod scope;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use palisade_core::charge::{Standing, State, Step, settle, step};
use palisade_core::config::{Decode as _, Entry, Files, Node, Place, Problems, Setting, Table, Value};
use palisade_core::identity::User;
use palisade_core::policy::Settlement;
use palisade_core::{
    Charge, Charges, Decision, HeaderEdits, Identity, Kind, Mode, Monotonic, Now, Policy, Question, Refusal,
    ResponseView, Tally, Utc, Verdicts, View,
};

use super::config::{Compiled, RawLimits, compile as compile_limits};
use crate::Context;
use crate::inbound::MethodOverride;
use crate::testing::{client, with_client};

const SECOND: u64 = 1_000_000_000;

fn table<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let entry =
        |(name, value): (&str, Value)| Entry { name: name.to_owned(), name_span: None, node: Node::unplaced(value) };
    Value::Table(Table::new(entries.into_iter().map(entry).collect()))
}

fn list<const N: usize>(items: [&str; N]) -> Value {
    Value::List(items.into_iter().map(|item| Node::unplaced(Value::from(item))).collect())
}

/// What a table `[limits]` comes to, and the problems with it.
fn compiled(entries: Option<Value>, overrides: MethodOverride) -> (Compiled, Vec<String>) {
    let (files, mut problems) = (Files::default(), Problems::default());
    let place = Place::top().child("limits", None);
    let raw = entries.and_then(|table| {
        let value = RawLimits::decode(&Node::unplaced(table), &place, &mut problems)?;
        Some(Setting { value, place: place.clone() })
    });
    let context = Context {
        files: &files,
        public: None,
        hosts: Vec::new(),
        demo: crate::demo::Demo::Never,
        seed: [7; 16].into(),
    };
    let compiled = compile_limits(raw, overrides, &context, &mut problems);
    let told = problems.iter().map(|problem| {
        let label = problem.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        format!("{}: {}{label}", problem.code.code(), problem.message)
    });
    (compiled, told.collect())
}

/// Limits and their counters.
struct Gate {
    questions: Vec<Question>,
    roster: super::Roster,
    overrides: Option<palisade_core::Overrides>,
    states: HashMap<palisade_core::KeyHash, State>,
    standings: HashMap<palisade_core::KeyHash, Standing>,
    now: u64,
    identity: Identity,
    kind: Kind,
}

/// What became of a request.
struct Passed {
    refusal: Option<Refusal>,
    tallies: Vec<Tally>,
    fields: Vec<(String, String)>,
}

impl Gate {
    fn new<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let (compiled, problems) = compiled(Some(table(entries)), MethodOverride::Drop);
        assert_eq!(problems, Vec::<String>::new());
        Self::of(compiled)
    }

    fn of(compiled: Compiled) -> Self {
        let (states, standings) = (HashMap::new(), HashMap::new());
        Self {
            questions: compiled.questions,
            roster: compiled.roster,
            overrides: None,
            states,
            standings,
            now: 0,
            identity: Identity::Anonymous,
            kind: Kind::Api,
        }
    }

    /// One limit on `/api/**`, and no other.
    fn api<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let api = [("on", Value::from("/api/**"))].into_iter().chain(entries);
        Self::new([("per_ip", Value::from("62500/s")), ("api", table(api))])
    }

    fn user(&mut self, subject: &str, plan: Option<&str>) {
        let (subject, plan) = (subject.to_owned(), plan.map(str::to_owned));
        self.identity = Identity::User(Arc::new(User { subject, plan, ..User::default() }));
    }

    /// Asks about a request from an address; the application answers `status` with `head`.
    fn pass(&mut self, request: &str, address: &str, status: u16, head: &HeaderMap) -> Passed {
        let now = Now { monotonic: Monotonic::from_nanos(self.now), utc: Utc::from_nanos(self.now) };
        let (identity, kind) = (self.identity.clone(), self.kind);
        with_client(request, client(address), |view| {
            let route = palisade_core::Route { kind, ..view.route.clone() };
            let overrides = self.overrides.clone();
            let view = View { now, identity: &identity, route: &route, overrides: overrides.as_ref(), ..*view };
            let mut passed = Passed { refusal: None, tallies: Vec::new(), fields: Vec::new() };
            let mut reserved = Vec::new();
            for question in self.questions.clone() {
                let Policy::Meter(meter) = &question.policy else { continue };
                let (mut charges, mut verdicts) = (Charges::default(), Verdicts::default());
                meter.charges(&view, &mut charges);
                if charges.is_empty() {
                    continue;
                }
                if charges.bar.is_none() {
                    self.take(&charges, now, &mut verdicts);
                }
                if verdicts.admit() {
                    let held = charges.list.iter().copied().filter(Charge::is_reserved);
                    reserved.extend(held.map(|charge| (charge, meter.clone())));
                }
                meter.tell(question.mode, &charges, &verdicts, &mut passed.tallies);
                if let Decision::Refuse(refusal) = meter.decide(&view, &charges, &verdicts)
                    && question.mode == Mode::Enforce
                {
                    passed.refusal = Some(refusal);
                    break;
                }
            }
            let status = passed.refusal.as_ref().map_or(status, |refusal| refusal.reason.status().as_u16());
            let response = ResponseView { status: StatusCode::from_u16(status).unwrap(), head, length: None };
            for (charge, meter) in reserved {
                let reason = passed.refusal.as_ref().map(|refusal| refusal.reason);
                if let Settlement::Spend(used) = meter.settle(&charge, &response, reason) {
                    settle(&charge, self.states.entry(charge.key).or_default(), now.monotonic, used, now);
                }
            }
            let view = View { limits: &passed.tallies, ..view };
            let mut edits = HeaderEdits::none();
            for question in &self.questions {
                if let Policy::Dress(dress) = &question.policy {
                    dress.dress(&view, &response, &mut edits);
                }
            }
            let mut head = head.clone();
            edits.apply(&mut head);
            passed.fields =
                head.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
            passed
        })
    }

    fn take(&mut self, charges: &Charges, now: Now, verdicts: &mut Verdicts) {
        let state = |charge: &Charge| self.states.get(&charge.key).copied().unwrap_or_default();
        let before: Vec<_> = charges.list.iter().map(state).collect();
        let mut after = before.clone();
        let standing = |ban: &palisade_core::Ban| self.standings.get(&ban.key).cloned().unwrap_or_default();
        let mut standings: Vec<_> = charges.bans.iter().map(standing).collect();
        match step(charges, &mut after, &mut standings, now, verdicts) {
            Step::Made => self.states.extend(charges.list.iter().map(|charge| charge.key).zip(after)),
            Step::Refused => {
                self.standings.extend(charges.bans.iter().map(|ban| ban.key).zip(standings));
                charges.tell_uncharged(&mut before.clone(), now, verdicts);
            }
        }
    }

    /// `allow` or `429 limits.rate, violated api, retry after 120s`, then the items of `RateLimit`
    /// without that of `per_ip`.
    fn ask(&mut self, request: &str, address: &str) -> String {
        let passed = self.pass(&format!("{request} HTTP/1.1"), address, 200, &HeaderMap::new());
        let state = passed.field("ratelimit").unwrap_or_default();
        let told: Vec<_> = state.split(", ").filter(|item| !item.starts_with("\"per_ip\";")).collect();
        format!("{} {}", passed.answer(), told.join(", ")).trim_end().to_owned()
    }

    fn get(&mut self, path: &str) -> String {
        self.ask(&format!("GET {path}"), "192.0.2.1")
    }
}

impl Passed {
    fn answer(&self) -> String {
        let Some(refusal) = &self.refusal else { return "allow".to_owned() };
        let wait = refusal.retry_after.map(|wait: Duration| format!(", retry after {wait:?}")).unwrap_or_default();
        let violated = refusal.violated.join(" ");
        format!("{} {}, violated {violated}{wait}", refusal.reason.status().as_u16(), refusal.reason.code())
    }

    fn field(&self, name: &str) -> Option<String> {
        let values: Vec<_> =
            self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}
