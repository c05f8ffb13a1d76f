//! `[admin]`: the listener for operators.

use std::net::SocketAddr;

use palisade_core::config::{Code, OrFalse, Problem, Problems, Setting};
use palisade_core::section;
use palisade_policy::host::Authority;

use crate::app::App;

section! {
    /// The listener for operators: metrics and health, apart from what clients can reach.
    pub struct RawAdmin {
        /// Where it is; `false`: nowhere. A loopback address, because whoever reaches it may use
        /// it. Applies at start.
        listen: Setting<OrFalse<SocketAddr>> = "127.0.0.1:9901",
        /// Further hosts that may be asked for, beside its own address and loopback names: other
        /// names are refused, so that no foreign page can reach it through a browser. Applies at
        /// start.
        hosts: Setting<Vec<Setting<Authority>>> = [],
    }
}

/// The listener for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it is; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Further hosts that may be asked for.
    pub hosts: Vec<Authority>,
}

pub(crate) fn compile(raw: RawAdmin, app: &App, problems: &mut Problems) -> Admin {
    let RawAdmin { listen, hosts } = raw;
    let address = match listen.value {
        OrFalse::False => None,
        OrFalse::On(address) => Some(address),
    };
    if let Some(address) = address {
        if !address.ip().is_loopback() {
            let message = "`admin.listen` must be a loopback address: this version has no keys to protect it with";
            let label = format!("for example \"127.0.0.1:{}\"", address.port());
            problems.report(Problem::new(Code::Insecure, &listen.place, message).label(label));
        }
        let redirect = app.tls.as_ref().and_then(|tls| tls.redirect);
        for (key, other) in [("app.listen", Some(app.listen)), ("app.tls.redirect", redirect)] {
            if other == Some(address) && address.port() != 0 {
                let message = format!("`admin.listen` and `{key}` are the same address");
                problems.report(Problem::new(Code::Conflict, &listen.place, message));
            }
        }
    }
    Admin { listen: address, hosts: hosts.value.into_iter().map(|host| host.value).collect() }
}
