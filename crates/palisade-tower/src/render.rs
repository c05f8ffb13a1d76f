//! How a refusal looks to the client: a problem document (RFC 9457), or a small page for people.
//!
//! One function renders every refusal and every failure, so all of them have a reason, a request
//! id and the same fields. Nothing of the operator's detail is in it.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, VARY};
use palisade_core::reason::ProblemType;
use palisade_core::{Reason, Refusal, RequestId};

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const PAGE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const ON_ACCEPT: HeaderValue = HeaderValue::from_static("Accept, Sec-Fetch-Mode");

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A program: a problem document.
    Program,
    /// An operator's: the same with what was wrong in detail.
    Operator,
    /// A person in front of a browser: a page.
    Person,
}

/// The answer's head and body for a refusal.
pub fn refusal(refusal: &Refusal, request_id: RequestId, audience: Audience) -> http::Response<Bytes> {
    let body = match audience {
        Audience::Program => problem(refusal, None, request_id),
        Audience::Operator => problem(refusal, refusal.detail.as_deref(), request_id),
        Audience::Person => page(refusal.reason, request_id),
    };
    let mut response = http::Response::new(Bytes::from(body));
    *response.status_mut() = refusal.reason.status();
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, if audience == Audience::Person { PAGE } else { PROBLEM });
    head.insert(CACHE_CONTROL, NO_STORE);
    head.insert(VARY, ON_ACCEPT);
    retry_after(head, refusal.retry_after);
    refusal.response.clone().apply(head);
    response
}

/// Whole seconds, rounded up, at least one (RFC 9110 §10.2.3).
fn retry_after(head: &mut HeaderMap, wait: Option<Duration>) {
    if let Some(wait) = wait {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        head.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
}

/// The problem document. But for the detail, which only operators are told, every text in it is ours or
/// was checked when the config was compiled, so that escaping is a formality that is done all the same.
fn problem(refusal: &Refusal, detail: Option<&str>, request_id: RequestId) -> String {
    let reason = refusal.reason;
    let mut text = String::with_capacity(320);
    text.push_str("{\"type\":\"");
    match reason.problem_type() {
        ProblemType::Own => {
            text.push_str("urn:palisade:problem:");
            text.push_str(reason.code());
        }
        ProblemType::QuotaExceeded => registered(&mut text, "quota-exceeded"),
        ProblemType::AbnormalUsage => registered(&mut text, "abnormal-usage-detected"),
        ProblemType::ReducedCapacity => registered(&mut text, "temporary-reduced-capacity"),
    }
    text.push_str("\",\"title\":");
    quote(&mut text, reason.title());
    if let Some(detail) = detail {
        text.push_str(",\"detail\":");
        quote(&mut text, detail);
    }
    let _ = write!(text, ",\"status\":{},\"code\":\"{}\"", reason.status().as_u16(), reason.code());
    if !refusal.violated.is_empty() {
        text.push_str(",\"violated-policies\":[");
        for (place, name) in refusal.violated.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            quote(&mut text, name);
        }
        text.push(']');
    }
    let _ = write!(text, ",\"request_id\":\"{request_id}\"}}");
    text
}

/// A type that IANA has registered (RFC 9457 section 4.2).
fn registered(text: &mut String, name: &str) {
    text.push_str("https://iana.org/assignments/http-problem-types#");
    text.push_str(name);
}

fn quote(into: &mut String, text: &str) {
    into.push('"');
    for character in text.chars() {
        match character {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            control if control.is_control() => {
                let _ = write!(into, "\\u{:04x}", u32::from(control));
            }
            other => into.push(other),
        }
    }
    into.push('"');
}

/// The page: no script, no style from elsewhere, nothing that was sent by the client.
fn page(reason: Reason, request_id: RequestId) -> String {
    let status = reason.status();
    let phrase = status.canonical_reason().unwrap_or("Error");
    let (title, code) = (reason.title(), reason.code());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>{number} {phrase}</title>\n<h1>{title}</h1>\n\
         <p>{number} {phrase} · <code>{code}</code></p>\n\
         <p>If you ask for help, give this number: <code>{request_id}</code></p>\n</html>\n",
        number = status.as_u16(),
    )
}

#[cfg(test)]
mod tests {
    use palisade_core::Utc;

    use super::*;

    fn id() -> RequestId {
        RequestId::new(Utc::from_nanos(0), 0)
    }

    #[test]
    fn a_spent_limit_is_the_registered_problem() {
        let mut spent = Refusal::new(Reason::LimitsRate).retry_after(Duration::from_millis(119_001));
        spent.violated.push("per_ip".into());
        let answer = refusal(&spent, id(), Audience::Program);
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["retry-after"], "120");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(
            answer.body(),
            "{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
             \"title\":\"Request cannot be satisfied as assigned quota has been exceeded\",\"status\":429,\
             \"code\":\"limits.rate\",\"violated-policies\":[\"per_ip\"],\
             \"request_id\":\"00000000000000000000000000\"}"
        );
    }

    #[test]
    fn people_get_a_page_with_the_code_and_the_request_id() {
        let answer = refusal(&Refusal::new(Reason::UpstreamUnreachable), id(), Audience::Person);
        let page = std::str::from_utf8(answer.body()).unwrap();
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        assert!(page.contains("502 Bad Gateway") && page.contains("upstream.unreachable"));
        assert!(page.contains("00000000000000000000000000"));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn the_operators_detail_is_never_sent() {
        let secret = Refusal::new(Reason::PathMalformed).detail("the detail");
        for audience in [Audience::Program, Audience::Person] {
            let answer = refusal(&secret, id(), audience);
            assert!(!std::str::from_utf8(answer.body()).unwrap().contains("the detail"));
        }
    }

    #[test]
    fn waits_are_whole_seconds_and_at_least_one() {
        for (wait, seconds) in
            [(Duration::ZERO, "1"), (Duration::from_secs(1), "1"), (Duration::from_millis(1001), "2")]
        {
            let answer = refusal(&Refusal::new(Reason::ShedOverload).retry_after(wait), id(), Audience::Program);
            assert_eq!(answer.headers()["retry-after"], seconds, "{wait:?}");
        }
    }

    #[test]
    fn every_reason_renders_as_json_with_its_own_code() {
        for reason in Reason::ALL {
            let text = problem(&Refusal::new(*reason), None, id());
            assert!(text.contains(&format!("\"code\":\"{}\"", reason.code())), "{text}");
            assert_eq!(text.matches('{').count(), 1);
        }
    }
}
