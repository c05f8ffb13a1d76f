use http::{HeaderMap, StatusCode};

use super::*;
use crate::testing::{edits, fields, with};

/// An answer as text: status line, then fields.
fn dressed(answer: &str) -> (HeaderMap, HeaderEdits) {
    let (status, head) = answer.split_once('\n').unwrap_or((answer, ""));
    let (status, head): (StatusCode, HeaderMap) = (status.parse().unwrap(), fields(head));
    let mut found = HeaderEdits::none();
    with("GET /x HTTP/1.1", |view| Base.dress(view, &ResponseView { status, head: &head, length: None }, &mut found));
    (head, found)
}

#[test]
fn decisions() {
    let check = |answer: &str, expected: &str| {
        let (_, found) = dressed(answer);
        let always = ",  x-content-type-options = nosniff,  referrer-policy = strict-origin-when-cross-origin";
        let found = edits("", &found);
        assert_eq!(found.strip_prefix(always).unwrap_or(&found), expected, "{answer}");
    };
    let policy = format!(",  content-security-policy-report-only = {}", POLICY.to_str().unwrap());
    check("200", "");
    check("200\nContent-Type: application/json", "");
    check("200\nContent-Type: text/html", &policy);
    check("404\nContent-Type: Text/HTML; charset=utf-8", &policy);
    check("200\nContent-Type: text/html5", "");
    check("200\nContent-Type: text/html\nContent-Type: text/plain", "");
    check("200\nContent-Type: text/html\nContent-Security-Policy: default-src 'none'", "");
    check("200\nContent-Type: text/html\nContent-Security-Policy-Report-Only: default-src 'none'", "");
    check(
        "200\nVia: 1.1 a\nServer: nginx\nServer: x\nX-Powered-By: Next.js\nX-NextJS-Cache: HIT\nx-nextjs-prerender: 1",
        ",  - via,  - server,  - x-powered-by,  - x-nextjs-cache",
    );
    check(
        "200\nX-AspNet-Version: 4\nX-AspNetMvc-Version: 5\nX-Runtime: 0.1\nX-Generator: Drupal\nPalisade-Tokens-Used: 7",
        ",  - x-aspnet-version,  - x-aspnetmvc-version,  - x-runtime,  - x-generator,  - palisade-tokens-used",
    );
    assert!(dressed("103\nServer: nginx").1.is_empty());
    assert!(dressed("101\nServer: nginx").1.is_empty());
}

#[test]
fn a_named_header_is_sent_exactly_once() {
    let (mut head, found) =
        dressed("200\nReferrer-Policy: unsafe-url\nReferrer-Policy: origin\nX-Content-Type-Options: sniff");
    found.apply(&mut head);
    let values: Vec<_> = head.get_all(REFERRER_POLICY).iter().collect();
    assert_eq!(values, [STRICT_ORIGIN]);
    assert_eq!(head.get_all(X_CONTENT_TYPE_OPTIONS).iter().collect::<Vec<_>>(), [NOSNIFF]);
}
