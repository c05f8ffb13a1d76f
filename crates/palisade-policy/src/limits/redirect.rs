//! No `RateLimit` on a redirect that used up the limit.
//!
//! A client that reads `r=0` waits before its next request, and following a redirect is one: a
//! sign-in would seem to hang.

use palisade_core::{Dress, HeaderEdits, ResponseView, View};

use super::announce::{RATELIMIT, RATELIMIT_POLICY};

/// Removes both fields from a 3xx that says `r=0`.
#[derive(Clone, Copy, Debug)]
pub struct Redirects;

impl Dress for Redirects {
    fn dress(&self, _view: &View<'_>, response: &ResponseView<'_>, edits: &mut HeaderEdits) {
        if !response.status.is_redirection() {
            return;
        }
        let mut is_used_up = false;
        response.head.each(&RATELIMIT, &mut |value| is_used_up |= says_none_left(value));
        if is_used_up {
            edits.remove(RATELIMIT);
            edits.remove(RATELIMIT_POLICY);
        }
    }
}

/// Whether an item has the parameter `r=0`. Names of limits hold no `;`.
fn says_none_left(value: &[u8]) -> bool {
    let mut parameters = value.split(|byte| matches!(byte, b';' | b','));
    parameters.any(|parameter| parameter.trim_ascii() == b"r=0")
}
