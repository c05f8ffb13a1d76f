//! What a client is told about its limits.
//!
//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) are lists of RFC 9651,
//! one item per limit, behind those of the application. The older forms know one limit: the one that
//! refused, else the one of which the smallest share is left.

use std::cmp::Ordering;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use palisade_core::{Bound, Dress, Head, HeaderEdits, Mode, Now, ResponseView, Shown, Tally, View};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

const X_LIMIT_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-limit-tokens");
const X_REMAINING_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-remaining-tokens");
const X_RESET_TOKENS: HeaderName = HeaderName::from_static("x-ratelimit-reset-tokens");

/// In which fields clients are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// `RateLimit-Policy` and `RateLimit`.
    #[default]
    Ietf,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
    Legacy,
    /// Both of these.
    Both,
    /// The sixth draft: `RateLimit-Limit`, `-Remaining`, `-Reset` and `-Policy`.
    Draft6,
    /// The seventh: `RateLimit-Policy`, and `RateLimit` with named values.
    Draft7,
    /// In none. `Retry-After` stays.
    Off,
}

palisade_core::words! {
    Style: "ietf" = Style::Ietf, "legacy" = Style::Legacy, "both" = Style::Both, "draft-6" = Style::Draft6,
    "draft-7" = Style::Draft7, "off" = Style::Off
}

/// Writes the fields.
#[derive(Clone, Copy, Debug)]
pub struct Announce {
    style: Style,
}

impl Announce {
    /// Tells clients in this style.
    pub const fn new(style: Style) -> Self {
        Self { style }
    }
}

impl Dress for Announce {
    fn dress(&self, view: &View<'_>, response: &ResponseView<'_>, edits: &mut HeaderEdits) {
        if self.style != Style::Off {
            tokens(view.limits.iter().filter(|tally| is_budget(tally)), edits);
        }
        // Those of a later stage may stand before others in the config. Mostly none do.
        let mut sorted = Vec::new();
        let limits: &[Tally] = if view.limits.is_sorted_by_key(|tally| tally.item.place) {
            view.limits
        } else {
            sorted.extend_from_slice(view.limits);
            sorted.sort_by_key(|tally: &Tally| tally.item.place);
            &sorted
        };
        let told = || limits.iter().filter(is_told);
        if told().next().is_none() {
            return;
        }
        if response.status.is_redirection() && withholds(told(), response.head) {
            // A client that reads `r=0` waits before its next request, and following a redirect is
            // one: a sign-in would seem to hang.
            edits.remove(RATELIMIT);
            edits.remove(RATELIMIT_POLICY);
            return;
        }
        match self.style {
            Style::Ietf => lists(told(), view.now, edits),
            Style::Legacy => legacy(told(), view.now, response.head, edits),
            Style::Both => {
                lists(told(), view.now, edits);
                legacy(told(), view.now, response.head, edits);
            }
            // These can't be put together with an application's own.
            Style::Draft6 | Style::Draft7 if response.head.has(&RATELIMIT) => {}
            Style::Draft6 | Style::Draft7 => draft(self.style, told(), view.now, edits),
            Style::Off => {}
        }
    }
}

fn is_told(tally: &&Tally) -> bool {
    let shown = match tally.item.shown {
        Shown::Always => true,
        Shown::Refusing => tally.refuses(),
        Shown::Tokens | Shown::Never => false,
    };
    tally.mode == Mode::Enforce && shown
}

fn is_budget(tally: &Tally) -> bool {
    tally.mode == Mode::Enforce && tally.item.shown == Shown::Tokens
}

/// The fields that clients of language models know.
fn tokens<'a>(told: impl Iterator<Item = &'a Tally>, edits: &mut HeaderEdits) {
    let Some(tally) = tightest(told) else { return };
    let full = match tally.item.bound {
        Bound::Rate(rate) => tally.next_unit.map_or(Duration::ZERO, |next| {
            // What is owed beyond the burst has to melt before the next one.
            let further = u64::from(rate.burst().saturating_sub(tally.remaining).saturating_sub(1));
            next.saturating_add(Duration::from_nanos(rate.unit_ns().saturating_mul(further)))
        }),
        Bound::Quota(_) | Bound::Slots(_) => tally.next_unit.unwrap_or_default(),
    };
    edits.set(X_LIMIT_TOKENS, HeaderValue::from(tally.item.bound.units()));
    edits.set(X_REMAINING_TOKENS, HeaderValue::from(tally.remaining));
    if let Ok(reset) = HeaderValue::try_from(clock(whole_seconds(full))) {
        edits.set(X_RESET_TOKENS, reset);
    }
}

/// `6m0s`
fn clock(seconds: u64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Whether the fields of a redirect are left out: something is used up.
fn withholds<'a>(mut told: impl Iterator<Item = &'a Tally>, head: &dyn Head) -> bool {
    let mut is_used_up = told.any(|tally| tally.remaining == 0);
    head.each(&RATELIMIT, &mut |value| is_used_up |= says_none_left(value));
    is_used_up
}

/// Whether an item has the parameter `r=0`. Names of limits hold no `;`.
fn says_none_left(value: &[u8]) -> bool {
    let mut parameters = value.split(|byte| matches!(byte, b';' | b','));
    parameters.any(|parameter| parameter.trim_ascii() == b"r=0")
}

fn lists<'a>(told: impl Iterator<Item = &'a Tally> + Clone, now: Now, edits: &mut HeaderEdits) {
    let policy = text(told.clone(), |text, tally| policy_item(text, tally, now));
    let state = text(told, state_item);
    if let (Ok(policy), Ok(state)) = (HeaderValue::try_from(policy), HeaderValue::try_from(state)) {
        edits.append(RATELIMIT_POLICY, policy);
        edits.append(RATELIMIT, state);
    }
}

/// The items with commas between them.
fn text<'a>(told: impl Iterator<Item = &'a Tally>, item: impl Fn(&mut String, &Tally)) -> String {
    let mut text = String::with_capacity(48);
    for tally in told {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push('"');
        text.push_str(&tally.item.name);
        text.push('"');
        item(&mut text, tally);
    }
    text
}

/// `;q=300;w=60;palisade-burst=100`
fn policy_item(text: &mut String, tally: &Tally, now: Now) {
    let bound = tally.item.bound;
    parameter(text, ";q=", u64::from(bound.units()));
    match bound {
        Bound::Rate(rate) => {
            parameter(text, ";w=", whole_seconds(rate.window()));
            if rate.burst() != rate.count() {
                parameter(text, ";palisade-burst=", u64::from(rate.burst()));
            }
        }
        Bound::Quota(quota) => parameter(text, ";w=", quota.per().length(now.utc).as_secs()),
        Bound::Slots(_) => text.push_str(";qu=\"concurrent-requests\""),
    }
}

/// `;r=299;t=1`
fn state_item(text: &mut String, tally: &Tally) {
    parameter(text, ";r=", u64::from(tally.remaining));
    if let Some(next) = tally.next_unit {
        parameter(text, ";t=", whole_seconds(next));
    }
}

/// On every answer, so without the formatting machinery.
fn parameter(text: &mut String, name: &str, value: u64) {
    text.push_str(name);
    text.push_str(itoa::Buffer::new().format(value));
}

/// The limit that older forms tell of.
fn tightest<'a>(told: impl Iterator<Item = &'a Tally>) -> Option<&'a Tally> {
    // Shares are compared by cross-multiplication.
    let share = |one: &Tally, of: &Tally| u64::from(one.remaining) * u64::from(of.item.bound.units());
    told.min_by(|a, b| match (a.refuses(), b.refuses()) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (true, true) => Ordering::Equal,
        (false, false) => share(a, b).cmp(&share(b, a)),
    })
}

/// The application's own three stay if less is left of them.
fn legacy<'a>(told: impl Iterator<Item = &'a Tally>, now: Now, head: &dyn Head, edits: &mut HeaderEdits) {
    let Some(tally) = tightest(told) else { return };
    let sent = head.first(&X_REMAINING).and_then(|value| std::str::from_utf8(value).ok()?.trim().parse::<u64>().ok());
    let is_whole = [X_LIMIT, X_REMAINING, X_RESET].iter().all(|name| head.has(name));
    if sent.is_some_and(|sent| is_whole && sent < u64::from(tally.remaining)) {
        return;
    }
    let reset = Duration::from_nanos(now.utc.as_nanos()).saturating_add(tally.next_unit.unwrap_or_default());
    edits.set(X_LIMIT, HeaderValue::from(tally.item.bound.units()));
    edits.set(X_REMAINING, HeaderValue::from(tally.remaining));
    edits.set(X_RESET, HeaderValue::from(whole_seconds(reset)));
}

fn draft<'a>(style: Style, told: impl Iterator<Item = &'a Tally>, now: Now, edits: &mut HeaderEdits) {
    let Some(tally) = tightest(told) else { return };
    let units = u64::from(tally.item.bound.units());
    let reset = tally.next_unit.map_or(0, whole_seconds);
    let window = match tally.item.bound {
        Bound::Rate(rate) => Some(whole_seconds(rate.window())),
        Bound::Quota(quota) => Some(quota.per().length(now.utc).as_secs()),
        Bound::Slots(_) => None,
    };
    let mut policy = itoa::Buffer::new().format(units).to_owned();
    if let Some(window) = window {
        parameter(&mut policy, ";w=", window);
    }
    if let Ok(policy) = HeaderValue::try_from(policy) {
        edits.set(RATELIMIT_POLICY, policy);
    }
    if style == Style::Draft6 {
        edits.set(RATELIMIT_LIMIT, HeaderValue::from(units));
        edits.set(RATELIMIT_REMAINING, HeaderValue::from(tally.remaining));
        edits.set(RATELIMIT_RESET, HeaderValue::from(reset));
        return;
    }
    let mut state = String::from("limit=");
    state.push_str(itoa::Buffer::new().format(units));
    parameter(&mut state, ", remaining=", u64::from(tally.remaining));
    parameter(&mut state, ", reset=", reset);
    if let Ok(state) = HeaderValue::try_from(state) {
        edits.set(RATELIMIT, state);
    }
}

/// Rounded up: a client that waits so long never comes too early.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
