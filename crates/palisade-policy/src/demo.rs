//! Who a request says it comes from, in the demo alone.
//!
//! **Threat.** None: anybody may claim to be anybody. It is there so that limits by user and plan can
//! be tried before there is sign-in, and no configuration can switch it on.
//!
//! **Rule.**
//! 1. `Demo-User` names the user, `Demo-Plan` the plan. Without the first the request is anonymous.
//! 2. Neither reaches the application.
//!
//! **Limits.** It needs no store.

use std::sync::Arc;

use http::HeaderName;
use palisade_core::identity::User;
use palisade_core::{Decision, Effects, Identity, Inspect, Mode, Policy, Question, Single, Stage, View};

/// Whether the process is a demo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Demo {
    /// It is: what a field says about the user counts.
    Trusted,
    /// It is not.
    #[default]
    Never,
}

static USER: HeaderName = HeaderName::from_static("demo-user");
static PLAN: HeaderName = HeaderName::from_static("demo-plan");

/// The rule.
#[derive(Clone, Copy, Debug)]
struct Claimed;

/// The question, in a demo.
pub fn compile(demo: Demo) -> Vec<Question> {
    match demo {
        Demo::Never => Vec::new(),
        Demo::Trusted => vec![Question {
            name: "demo",
            stage: Stage::Identify,
            mode: Mode::Enforce,
            place: "default".into(),
            about: "anybody may claim to be anybody with Demo-User and Demo-Plan".into(),
            policy: Policy::Inspect(Arc::new(Claimed)),
        }],
    }
}

impl Inspect for Claimed {
    fn decide(&self, view: &View<'_>) -> Decision {
        let text = |name| match view.head.single(name) {
            Single::One(value) => std::str::from_utf8(value).ok().filter(|text| !text.is_empty()).map(str::to_owned),
            Single::Absent | Single::Repeated => None,
        };
        let user = |subject| User { subject, plan: text(&PLAN), ..User::default() };
        let identity = text(&USER).map(|subject| Identity::User(Arc::new(user(subject))));
        let mut effects = Effects { identity, ..Effects::none() };
        effects.request.remove(USER.clone());
        effects.request.remove(PLAN.clone());
        Decision::Allow(effects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with;

    #[test]
    fn decisions() {
        let check = |fields: &str, expected: Option<(&str, Option<&str>)>| {
            let decision = with(&format!("GET / HTTP/1.1\n{fields}"), |view| Claimed.decide(view));
            let Decision::Allow(effects) = decision else { panic!("{fields}") };
            let found = effects.identity.as_ref().map(|who| (who.subject().unwrap(), who.plan()));
            assert_eq!(found, expected, "{fields}");
            assert_eq!(effects.request.iter().count(), 2, "neither reaches the application");
        };
        check("demo-user: anna\ndemo-plan: pro", Some(("anna", Some("pro"))));
        check("demo-user: anna", Some(("anna", None)));
        check("demo-plan: pro", None);
        check("demo-user: anna\ndemo-user: ben", None);
        check("demo-user:", None);
        assert!(compile(Demo::Never).is_empty());
    }
}
