use palisade_core::path::EncodedSlash;
use palisade_core::{Decision, Path};
use proptest::prelude::*;

use super::*;
use crate::testing::with;

/// What an examination says about a body: the value, `absent`, or the refusal.
fn read(fields: &str, name: &str, body: &[u8], end: End) -> String {
    let wanted = vec![(Scope::Everything, vec![Arc::from(name)])];
    let examine = Fields { wanted, exempt: Arc::new([]), overrides: MethodOverride::Drop, seed: [1; 16].into() };
    let request = format!("POST /sign-in HTTP/1.1\n{fields}");
    let Some(mut reading) = with(&request, |view| examine.begin(view)) else { return "absent".to_owned() };
    reading.feed(body);
    match reading.decide(end) {
        Decision::Refuse(refusal) => format!("{} {}", refusal.reason.status().as_u16(), refusal.reason.code()),
        Decision::Allow(effects) => match &effects.facts[..] {
            [] => "absent".to_owned(),
            [found] => {
                let known = ["a@x", "b@x", "42", "ä", "true", "", "a b"].into_iter();
                let same = known.filter_map(|value| Some((value, fact(&found.name, value, &[1; 16].into())?)));
                let value = same.filter(|(_, fact)| fact.hash == found.hash).map(|(value, _)| value.to_owned()).next();
                value.unwrap_or_else(|| "another".to_owned())
            }
            more => format!("{} facts", more.len()),
        },
        Decision::Respond(_) => "respond".to_owned(),
    }
}

#[test]
fn members_of_json() {
    let check = |name: &str, body: &str, expected: &str| {
        for media_type in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
            let head = format!("content-type: {media_type}");
            assert_eq!(read(&head, name, body.as_bytes(), End::Whole), expected, "{body}");
        }
    };
    let email = |body: &str, expected: &str| check("body.email", body, expected);
    email(r#"{"email":"a@x"}"#, "a@x");
    email("\u{feff} { \"x\" : [1, {\"email\": 2}], \"email\" : \" \\tA@X \" } \r\n", "a@x");
    email(r#"{"\u0065mail":"\u0061@x"}"#, "a@x");
    email(r#"{"email":42}"#, "42");
    email(r#"{"email":true}"#, "true");
    email(r#"{"email":"\u00c4"}"#, "ä");
    email(r#"{"email":"\ud83d\ude00"}"#, "another");
    email(r#"{"email":null}"#, "absent");
    email(r#"{"email":{"x":1}}"#, "absent");
    email(r#"{"email":["a@x"]}"#, "absent");
    email(r#"{"email":""}"#, "absent");
    email(r#"["email"]"#, "absent");
    email("{}", "absent");
    // Twice, whatever the values are and however the name is spelled.
    for twice in [
        r#"{"email":"a@x","email":"b@x"}"#,
        r#"{"email":"a@x","x":1,"em\u0061il":null}"#,
        r#"{"email":null,"email":"a@x"}"#,
    ] {
        email(twice, "400 limits.key_ambiguous");
    }
    check("body.user.email", r#"{"user":{"email":"a@x"},"email":"b@x"}"#, "a@x");
    check("body.user.email", r#"{"user":{"email":"a@x","email":"b@x"}}"#, "400 limits.key_ambiguous");
    check("body.user.email", r#"{"user":{"email":"a@x"},"user":{}}"#, "400 limits.key_ambiguous");
    check("body.user.email", r#"{"user":"a@x"}"#, "absent");
    // Broken.
    for broken in [
        "",
        "{",
        r#"{"email":"a@x""#,
        r#"{"email":"a@x"} x"#,
        r#"{"email":"a@x",}"#,
        r#"{email:"a@x"}"#,
        r#"{"email":a}"#,
        "{\"email\":\"a\n@x\"}",
        r#"{"email":"\x61"}"#,
        r#"{"email":"\u00g1"}"#,
        r#"{"email":"\"#,
    ] {
        email(broken, "absent");
    }
    email(&format!("{}{}", "[".repeat(100_000), r#"{"email":"a@x"}"#), "absent");
    email(&format!(r#"{{"email":"{}"}}"#, "x".repeat(256)), "another");
    email(&format!(r#"{{"email":"{}"}}"#, "x".repeat(257)), "absent");
}

#[test]
fn fields_of_forms() {
    let check = |body: &str, expected: &str| {
        let head = "content-type: application/x-www-form-urlencoded";
        assert_eq!(read(head, "body.email", body.as_bytes(), End::Whole), expected, "{body}");
    };
    check("email=a%40x&password=1", "a@x");
    check("password=1&%65mail=A%40X+", "a@x");
    check("email=a+b", "a b");
    check("email", "absent");
    check("emails=a@x", "absent");
    check("email=%ff", "absent");
    check("email=a@x&email=b@x", "400 limits.key_ambiguous");
    check("email=a@x&email=", "400 limits.key_ambiguous");
    check("email=a@x;email=b@x", "400 limits.key_ambiguous");
}

#[test]
fn fields_of_multipart() {
    let part = |head: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n");
    let check = |body: &str, expected: &str| {
        let head = "content-type: multipart/form-data; charset=x; boundary=\"b\"";
        assert_eq!(read(head, "body.email", body.as_bytes(), End::Whole), expected, "{body}");
    };
    let email = part("name=\"email\"", "A@x");
    check(&format!("{email}--b--\r\n"), "a@x");
    check(&format!("{}{email}--b--", part("name=password", "1")), "a@x");
    check(&format!("{}--b--", part("name=email; x=\"a;b\"", "a@x")), "a@x");
    check(&format!("{}--b--", part("name=\"email\"; filename=\"f\"", "a@x")), "absent");
    check(&format!("{email}{email}--b--"), "400 limits.key_ambiguous");
    check(&email, "absent");
    check("--b--", "absent");
    check("", "absent");
}

#[test]
fn what_can_not_be_read_has_no_fields() {
    let body = br#"{"email":"a@x"}"#;
    let check = |fields: &str, end: End, expected: &str| {
        assert_eq!(read(fields, "body.email", body, end), expected, "{fields}");
    };
    check("content-type: application/json", End::Whole, "a@x");
    check("content-type: application/json", End::Part, "absent");
    check("content-type: application/json\ncontent-encoding: identity", End::Whole, "a@x");
    check("content-type: application/json\ncontent-encoding: gzip", End::Whole, "absent");
    check("content-type: application/json\ncontent-type: application/json", End::Whole, "absent");
    check("content-type: text/plain", End::Whole, "absent");
    check("content-type: multipart/form-data", End::Whole, "absent");
    check("", End::Whole, "absent");
}

#[test]
fn only_what_a_limit_is_on_is_read() {
    let on = Target::parse("POST /sign-in").unwrap();
    let wanted = vec![(Scope::On(vec![on.clone()]), vec![Arc::from("body.email")])];
    let fields = Fields { wanted, exempt: Arc::new([]), overrides: MethodOverride::Drop, seed: [1; 16].into() };
    let begins = |request: &str| {
        with(&format!("{request} HTTP/1.1\ncontent-type: application/json"), |view| fields.begin(view).is_some())
    };
    assert_eq!(
        [begins("POST /sign-in"), begins("POST /SIGN-IN/"), begins("POST /other"), begins("GET /sign-in")],
        [true, true, false, false]
    );
    assert!(
        Path::parse("/sign-in", EncodedSlash::Keep).is_ok_and(|path| on.matches_exactly(&http::Method::POST, &path))
    );
}

proptest! {
    /// Whatever is sent: an answer, and never a panic.
    #[test]
    fn anything_is_read(body in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..3_usize) {
        let types = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"];
        read(&format!("content-type: {}", types[kind]), "body.email", &body, End::Whole);
    }

    #[test]
    fn almost_json_is_read(body in r#"[{}\[\]",:\\uemail0a1 .-]{0,60}"#) {
        read("content-type: application/json", "body.email", body.as_bytes(), End::Whole);
    }
}
