//! Headers that make browsers protect the reader of an answer.
//!
//! **Threat.** Browsers guess at content types, hand full addresses to other sites, and run any
//! script a page holds; servers tell which versions they run.
//!
//! **Rule** (`base`, what every application gets unasked).
//! 1. `X-Content-Type-Options: nosniff` and `Referrer-Policy: strict-origin-when-cross-origin` are
//!    sent exactly once, in place of the application's own.
//! 2. A `text/html` answer gets a `Content-Security-Policy-Report-Only`, unless the application
//!    sends a policy of its own, enforced or not: the application's then stands alone.
//! 3. Fields that only tell what runs behind the gateway are removed.
//! 4. Interim answers (1xx) are left alone.
//!
//! **Limits.** Nothing here can break a page: what could is left to presets that are asked for. The
//! policy in rule 2 blocks nothing; browsers show in their console what it would block.
//! `upgrade-insecure-requests` is left out, since browsers ignore it in a report-only policy and
//! complain about it. It needs no store.

pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY, HeaderName, HeaderValue, REFERRER_POLICY, SERVER,
    VIA, X_CONTENT_TYPE_OPTIONS,
};
use palisade_core::{Dress, HeaderEdits, Mode, Policy, Question, ResponseView, Stage, View};

/// What every answer gets unasked.
#[derive(Clone, Copy, Debug)]
pub struct Base;

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const STRICT_ORIGIN: HeaderValue = HeaderValue::from_static("strict-origin-when-cross-origin");
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob: https:; \
     font-src 'self' data:; connect-src 'self'; object-src 'none'; form-action 'self'; frame-ancestors 'self'; \
     base-uri 'self'",
);

/// The name of a field that only tells what runs behind the gateway. Other `x-nextjs-*` fields stay:
/// the Next.js client reads them.
fn removed(name: &[u8]) -> Option<HeaderName> {
    Some(match name {
        b"server" => SERVER,
        b"via" => VIA,
        b"x-powered-by" => HeaderName::from_static("x-powered-by"),
        b"x-aspnet-version" => HeaderName::from_static("x-aspnet-version"),
        b"x-aspnetmvc-version" => HeaderName::from_static("x-aspnetmvc-version"),
        b"x-runtime" => HeaderName::from_static("x-runtime"),
        b"x-generator" => HeaderName::from_static("x-generator"),
        // Between application and gateway.
        b"palisade-tokens-used" => HeaderName::from_static("palisade-tokens-used"),
        b"x-nextjs-cache" => HeaderName::from_static("x-nextjs-cache"),
        _ => return None,
    })
}

/// The question.
pub fn compile() -> Vec<Question> {
    vec![Question {
        name: "headers",
        stage: Stage::Dress,
        mode: Mode::Enforce,
        place: "default".into(),
        about: "answers get nosniff, a referrer policy and, if pages, a CSP that only reports; Server and the like go"
            .into(),
        policy: Policy::Dress(Arc::new(Base)),
    }]
}

impl Dress for Base {
    fn dress(&self, _view: &View<'_>, response: &ResponseView<'_>, edits: &mut HeaderEdits) {
        if response.status.is_informational() {
            return;
        }
        edits.set(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        edits.set(REFERRER_POLICY, STRICT_ORIGIN);
        if wants_policy(response) {
            edits.set(CONTENT_SECURITY_POLICY_REPORT_ONLY, POLICY);
        }
        // An answer has few fields, and each is compared with one name at most.
        response.head.fields(&mut |name, _| {
            if let Some(removed) = removed(name).filter(|_| edits.keeps(name)) {
                edits.remove(removed);
            }
        });
    }
}

/// A page without a policy of its own. On a worker's script a policy would govern the worker.
fn wants_policy(response: &ResponseView<'_>) -> bool {
    response.media_type().is_some_and(|media_type| media_type.eq_ignore_ascii_case(b"text/html"))
        && !response.head.has(&CONTENT_SECURITY_POLICY)
        && !response.head.has(&CONTENT_SECURITY_POLICY_REPORT_ONLY)
}
