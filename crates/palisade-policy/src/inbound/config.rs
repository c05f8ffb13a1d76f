//! `[headers.inbound]`

use http::HeaderName;
use palisade_core::config::{Code, Problem, Problems, Setting};

use super::table::TABLE;
use super::{InboundFilter, MethodOverride, OddNames, Pattern};

palisade_core::section! {
    /// Which headers of requests are let in. Names that only a gateway or a framework may set are
    /// always taken out.
    pub struct RawInbound {
        /// What becomes of names with bytes other than letters, digits and `-`: they are taken
        /// out, their request is refused, or they pass. Servers fold `_` and `.` into `-`, so such
        /// a name can pose as another one.
        odd_names: Setting<OddNames> = "drop",
        /// Names that pass though they would be taken out, in exactly this spelling. Names by
        /// which a client could pose as the gateway or choose a script nonce can't be kept.
        keep: Setting<Vec<Setting<HeaderName>>> = [],
    }
}

/// Compiles the table.
pub fn compile(raw: RawInbound, method_override: MethodOverride, problems: &mut Problems) -> InboundFilter {
    let RawInbound { odd_names, keep } = raw;
    for name in &keep.value {
        if !may_be_kept(&name.value) {
            let message = format!("`{}` names `{}`, which no client may send", name.place.key, name.value);
            let problem = Problem::new(Code::Conflict, &name.place, message);
            problems
                .report(problem.help("the gateway or the framework trusts this header; send it under another name"));
        }
    }
    let keep = keep.value.into_iter().map(|name| name.value).collect();
    InboundFilter::new(odd_names.value, keep, method_override)
}

fn may_be_kept(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let mut groups = TABLE.iter().filter(|(group, _)| !group.may_be_kept());
    !groups.any(|(_, names)| names.iter().any(|pattern| Pattern::new(pattern).matches(name)))
}
