//! The one list of all policies.
//!
//! Within a stage they are asked in the order of this list.

use std::time::Duration;

use palisade_core::Question;
use palisade_core::charge::TableSize;
use palisade_core::config::{Code, Decode, Node, Place, Problem, Problems, Setting, Table, Value};

use crate::compress::config::RawCompress;
use crate::headers::config::RawHeaders;
use crate::inbound::{InboundFilter, MethodOverride, OddNames};
use crate::limits::config::RawLimits;
use crate::{Context, compress, demo, headers, host, inbound, limits, method, upgrade};

palisade_core::section! {
    /// The tables of policies. An absent table is a state of its own.
    pub struct RawPolicies {
        /// What one client may use. Without the table, `per_ip` runs in report mode; with it,
        /// limits are enforced unless `mode` says otherwise.
        limits: Option<Setting<RawLimits>>,
        /// Header fields of requests and answers.
        headers: Option<Setting<RawHeaders>>,
    }
}

/// What policies read, as it was decoded.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Their own tables.
    pub policies: RawPolicies,
    /// `[app] method_override`
    pub method_override: MethodOverride,
    /// `[app] compress`
    pub compress: RawCompress,
}

/// What the policies of a snapshot come to.
#[derive(Clone)]
pub struct Compiled {
    /// What the guard asks, in order.
    pub questions: Vec<Question>,
    /// The limits by their names.
    pub limits: limits::Roster,
    /// How large the table of counters is.
    pub table: TableSize,
    /// How long a request may wait for a store of counters that is elsewhere.
    pub store_deadline: Duration,
    /// What the edge takes out of every request.
    pub inbound: InboundFilter,
}

/// Compiles every policy, reporting every problem.
pub fn compile(raw: Raw, context: &Context<'_>, problems: &mut Problems) -> Compiled {
    let Raw { policies, method_override, compress } = raw;
    let RawPolicies { limits, headers } = policies;
    let limits = limits::config::compile(limits, method_override, context, problems);
    let inbound = match headers.map(|headers| headers.value).or_else(|| defaults("headers", problems)) {
        Some(RawHeaders { inbound }) => inbound::config::compile(inbound.value, method_override, problems),
        None => InboundFilter::new(OddNames::Drop, Vec::new(), method_override),
    };

    let mut questions = [
        // First, so that a request for a foreign host costs nothing else.
        host::compile(context),
        method::compile(),
        upgrade::compile(),
        demo::compile(context.demo),
        limits.questions,
        headers::compile(),
        // Last: what it makes, nobody after it could read.
        compress::config::compile(compress, context, problems),
    ]
    .concat();
    questions.sort_by_key(|question| question.stage);
    Compiled { questions, limits: limits.roster, table: limits.table, store_deadline: limits.deadline, inbound }
}

/// Says that somebody switched something off: that is allowed, and easily forgotten.
pub(crate) fn report_off(place: &Place, problems: &mut Problems) {
    problems.report(Problem::new(Code::Off, place, format!("`{}` is off", place.key)));
}

/// A table that nobody wrote. `None` only after a report.
pub(crate) fn defaults<T: Decode>(name: &str, problems: &mut Problems) -> Option<T> {
    let empty = Node::unplaced(Value::Table(Table::default()));
    T::decode(&empty, &Place::top().child(name, None), problems)
}
