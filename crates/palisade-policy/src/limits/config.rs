//! `[limits]`

use palisade_core::charge::TableSize;
use palisade_core::config::{Fault, OrOff, Problems, Setting, Size};
use palisade_core::{Mode, Question, Rate};

use crate::Context;
use crate::catalog::{defaults, report_off};

palisade_core::section! {
    /// How much a client may use. Without this table `per_ip` is watched with its default and
    /// refuses nobody.
    pub struct RawLimits {
        /// Whether limits refuse requests, only record what they would refuse, or are not asked.
        /// Writing the table is asking for limits, so they are enforced.
        mode: Setting<Mode> = "enforce",
        /// Requests per client address: an IPv4 address or an IPv6 /64. A /56 has four times as
        /// many and a /48 sixteen times, so that changing the address gains little. The default
        /// lets a person load several pages with all their parts each minute.
        per_ip: Setting<OrOff<Rate>> = "300/m",
        /// Memory for counters, 16 bytes each. It is taken only as counters are used, never grows,
        /// and when it is full the counters nearest to empty make room: the default holds four
        /// million clients.
        table: Setting<Size<{ TableSize::MIN.bytes() }, { TableSize::MAX.bytes() }>> = "64MiB",
    }
}

/// What `[limits]` comes to.
#[derive(Clone, Default)]
pub struct Compiled {
    /// The questions.
    pub questions: Vec<Question>,
    /// How large the table of counters is.
    pub table: TableSize,
}

/// Compiles the table. Its absence means `report`.
pub fn compile(raw: Option<Setting<RawLimits>>, context: &Context<'_>, problems: &mut Problems) -> Compiled {
    let is_written = raw.is_some();
    let Some(raw) = raw.map(|raw| raw.value).or_else(|| defaults("limits", problems)) else {
        return Compiled::default();
    };
    let RawLimits { mode, per_ip, table } = raw;
    if mode.value == Mode::Off {
        report_off(&mode.place, problems);
    }
    let mode = if is_written { mode.value } else { Mode::Report };
    let table = TableSize::new(table.value.get()).unwrap_or_default();
    let OrOff::On(rate) = per_ip.value else {
        report_off(&per_ip.place, problems);
        return Compiled { questions: Vec::new(), table };
    };
    let Some(questions) = super::per_ip(rate, mode, context.describe(&per_ip.place), &context.seed) else {
        let fault = Fault::out_of_range("is too fast for the IPv6 ladder, whose /48 has sixteen times as much");
        problems.report(fault.label("at most 62500 per second").at(&per_ip.place));
        return Compiled { questions: Vec::new(), table };
    };
    Compiled { questions, table }
}
