//! Which hosts this gateway answers for.
//!
//! **Threat.** Applications build links from `Host`: password resets, canonical addresses, cached
//! redirects. A client that chooses the host chooses where those links lead. DNS rebinding is the
//! same from the other side: a foreign name that suddenly resolves to this gateway.
//!
//! **Rule.**
//! 1. Without `[app] public_url` every host is served: nobody said which one is right.
//! 2. The host of `public_url` is served, on any port; the application sees `public_url`'s own
//!    authority whatever port was asked for.
//! 3. An entry of `[app] hosts` is served as it is written. Its port is compared, since the
//!    application sees it; a missing one is 80 or 443.
//! 4. Loopback names are served: `localhost`, names below it, 127.0.0.0/8 and `::1`.
//! 5. Anything else, an empty host included, is refused with 421 (RFC 9110 §15.5.20).
//!
//! **Limits.** Names are compared without regard to ASCII case and in no other way: no suffix, no
//! trailing dot, no address in another notation. It needs no store.

mod authority;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use palisade_core::{Decision, Inspect, Mode, Policy, Question, Reason, Stage, View};

pub use authority::{Authority, split};

use crate::Context;

/// The hosts that are served.
#[derive(Clone, Debug)]
pub struct Hosts {
    public: Authority,
    further: Vec<Authority>,
}

/// The question, once `public_url` is set.
pub fn compile(context: &Context<'_>) -> Vec<Question> {
    let Some(public) = &context.public else { return Vec::new() };
    let further: Vec<_> = context.hosts.iter().map(|host| host.value.clone()).collect();
    let beside = if further.is_empty() { String::new() } else { format!(" and {} more", further.len()) };
    vec![Question {
        name: "host",
        stage: Stage::Shed,
        mode: Mode::Enforce,
        place: context.describe(&public.place),
        about: format!("requests for other hosts than {}{beside} get 421", public.value).into(),
        policy: Policy::Inspect(Arc::new(Hosts { public: public.value.clone(), further })),
    }]
}

impl Hosts {
    fn serve(&self, authority: &str) -> bool {
        let Some((host, port)) = authority::split(authority) else { return false };
        self.public.is_host(host)
            || self.further.iter().any(|further| further.is_host(host) && further.is_port(port))
            || authority::is_loopback(host)
    }
}

impl Inspect for Hosts {
    fn decide(&self, view: &View<'_>) -> Decision {
        if self.serve(view.authority) { Decision::allow() } else { Decision::refuse(Reason::HttpUnknownHost) }
    }
}
