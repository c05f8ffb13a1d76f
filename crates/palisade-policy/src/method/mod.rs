//! Methods that are never forwarded.
//!
//! **Threat.** `TRACE` makes an application echo the request, with the cookies and credentials
//! that scripts must not read. `CONNECT` asks for a tunnel: a gateway that forwards it is a proxy
//! into the network behind it.
//!
//! **Rule.**
//! 1. `TRACE` and `CONNECT` are refused with 405, whatever the path.
//! 2. Every other method passes; whether a route has it is the application's to say.
//!
//! **Limits.** Methods are case-sensitive (RFC 9110 §9.1): `trace` is some other method, which no
//! server takes for `TRACE`. It needs no store.

use std::sync::Arc;

use http::header::ALLOW;
use http::{HeaderValue, Method};
use palisade_core::{Decision, Inspect, Mode, Policy, Question, Reason, Refusal, Stage, View};

/// The rule. It has no options.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded;

/// What an `Allow` must name (RFC 9110 §15.5.6), though only the application knows better.
const FORWARDED: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// The question.
pub fn compile() -> Vec<Question> {
    vec![Question {
        name: "method",
        stage: Stage::Shed,
        mode: Mode::Enforce,
        place: "default".into(),
        about: "TRACE and CONNECT get 405".into(),
        policy: Policy::Inspect(Arc::new(Forwarded)),
    }]
}

impl Inspect for Forwarded {
    fn decide(&self, view: &View<'_>) -> Decision {
        if *view.method != Method::TRACE && *view.method != Method::CONNECT {
            return Decision::allow();
        }
        let mut refusal = Refusal::new(Reason::HttpMethodNotAllowed);
        refusal.response.set(ALLOW, FORWARDED);
        Decision::Refuse(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{decision, with};

    #[test]
    fn decisions() {
        let check = |request: &str, expected: &str| {
            assert_eq!(with(request, |view| decision(&Forwarded.decide(view))), expected, "{request}");
        };
        let refuse =
            "refuse http.method_not_allowed 405, response allow = GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
        check("TRACE /x HTTP/1.1", refuse);
        check("CONNECT /x HTTP/1.1", refuse);
        check("GET /x HTTP/1.1", "allow");
        check("OPTIONS /x HTTP/1.1", "allow");
        check("PROPFIND /x HTTP/1.1", "allow");
        check("trace /x HTTP/1.1", "allow");
    }
}
