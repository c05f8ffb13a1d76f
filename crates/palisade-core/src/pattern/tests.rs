use http::Method;
use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn path(raw: &str) -> Path<'_> {
    match raw {
        "*" => Path::asterisk(),
        "" => Path::empty(),
        _ => Path::parse(raw, EncodedSlash::Keep).unwrap(),
    }
}

#[track_caller]
fn exactly(text: &str, matching: &[&str], others: &[&str]) {
    for raw in matching {
        assert!(pattern(text).matches_exactly(&path(raw)), "{text} should match {raw}");
        assert!(pattern(text).matches_broadly(&path(raw)), "{text} should match {raw} broadly too");
    }
    for raw in others {
        assert!(!pattern(text).matches_exactly(&path(raw)), "{text} should not match {raw}");
    }
}

#[test]
fn exact_matches() {
    exactly("/", &["/"], &["/a", "*", ""]);
    exactly("/a", &["/a", "/%61"], &["/", "/a/", "/A", "/ab", "/a/b", "/b/a", "/a;x", "/a%2F", "*"]);
    exactly("/a/", &["/a/", "/a//"], &["/a", "/a/b"]);
    exactly("/a/*", &["/a/b", "/a/;x", "/a/b%2Fc"], &["/a", "/a/", "/a/b/", "/a/b/c"]);
    exactly("/{x}/b", &["/a/b"], &["/b", "/a/c", "//b"]);
    exactly("/a/**", &["/a", "/a/", "/a/b", "/a/b/c/"], &["/", "/ab", "/A", "*"]);
    exactly("/a/{id}/**", &["/a/b", "/a/b/c"], &["/a", "/a/"]);
    exactly("/**", &["/", "/a", "/a/b/", "*", ""], &[]);
    exactly("/*", &["/a"], &["/", "*", "", "/a/"]);
    exactly("/caf\u{e9}/%7Ex", &["/caf%C3%A9/~x"], &[]);
}

#[test]
fn broad_matches() {
    let cases = [
        (
            "/api/**",
            &[
                "/API/x",
                "/api;v=1/x",
                "/api%2fx",
                "/Api.",
                "/api%20/x",
                "/api%3Bq/x",
                "/api%3b",
                "/api.%20.;x",
                "/;/api",
                "/a/../api",
            ][..],
        ),
        (
            "/api/x",
            &["//api/x", "/api/./x", "/api/x/", "/api/x;", "/api%2Fx", "/api%2Fx%2F", "/api/;y/x", "/%2Fapi/x"][..],
        ),
        ("/a/b/c", &["/a%2Fb/c", "/a/b%2Fc", "/a%2Fb%2Fc", "/A/B/C/"][..]),
        ("/a/*/c", &["/a/b%2Fc", "/a/x%2Fy/c", "/a/b/C;"][..]),
        ("/a/", &["/a", "/A/", "/a;x", "/a.;"][..]),
        ("/A.", &["/a", "/a."][..]),
        ("/", &["/", "/;x", "/%20"][..]),
        (
            "/p",
            &["/_next/data/b1/p.json", "/_next/data/b1/P.JSON", "/_next/data/b1/p.json/", "/_NEXT/data/b1/p.json;x"][..],
        ),
        ("/p/*", &["/_next/data/b1/p/7.json"][..]),
        ("/", &["/_next/data/b1/index.json"][..]),
        ("/_next/data/**", &["/_next/data/b1/p.json"][..]),
        ("/p.json", &["/p.json"][..]),
    ];
    for (text, raws) in cases {
        for raw in raws {
            assert!(pattern(text).matches_broadly(&path(raw)), "{text} and {raw}");
        }
    }
}

#[test]
fn broad_is_not_everything() {
    let cases = [
        ("/api/**", &["/", "/apis", "/x/api", "/xapi", "/api-2", "*", ""][..]),
        ("/api/x", &["/api", "/api/x/y", "/api/y", "/apix", "/api/x/api/x"][..]),
        ("/a/*", &["/a", "/a/", "/a/b/c"][..]),
        (
            "/p",
            &[
                "/_next/data/p.json",
                "/_next/data/b1/p",
                "/_next/data/b1/q/p.json",
                "/next/data/b1/p.json",
                "/_next/data/b1/p.jsonx",
            ][..],
        ),
        ("/caf\u{e9}", &["/cafe"][..]),
    ];
    for (text, raws) in cases {
        for raw in raws {
            assert!(!pattern(text).matches_broadly(&path(raw)), "{text} and {raw}");
        }
    }
}

#[test]
fn patterns_that_can_never_match_are_errors() {
    let cases = [
        ("", "`` does not begin with a slash"),
        ("api", "`api` does not begin with a slash"),
        ("/a/**/b", "`**` can only be the last segment; write `*` for one segment of any text"),
        ("/**/", "`**` can only be the last segment; write `*` for one segment of any text"),
        ("/a//b", "`//` never matches: paths have their slashes merged"),
        ("/a/../b", "`.` and `..` never match: paths have them resolved"),
        ("/.", "`.` and `..` never match: paths have them resolved"),
        ("/..;x", "`..;x` never matches: it has a dot segment with parameters or beside an escaped slash"),
        ("/a/x*", "`x*` mixes text and wildcards; a segment is literal, `*` or `{name}`"),
        ("/{a}.{b}", "`{a}.{b}` mixes text and wildcards; a segment is literal, `*` or `{name}`"),
        ("/{}", "`{}` needs a name of letters, digits, `_`, `-` and `.`"),
        ("/{a b}", "`{a b}` needs a name of letters, digits, `_`, `-` and `.`"),
        ("/a b", "`a b` never matches: it holds a raw space"),
        ("/a?b", "`a?b` never matches: it holds a raw `#` or `?`"),
        ("/%", "`%` never matches: it holds a `%` that is not followed by two hexadecimal digits"),
    ];
    for (text, message) in cases {
        assert_eq!(Pattern::parse(text).unwrap_err().to_string(), message, "{text}");
    }
    assert!(Pattern::parse(&"/a".repeat(64)).is_ok());
    assert_eq!(Pattern::parse(&"/a".repeat(65)), Err(PatternError::TooLong));
}

#[test]
fn more_specific_patterns_come_first() {
    let sorted = [
        "/", "/a", "/a/b", "/a/b/{y}", "/a/b/**", "/a/{x}/c", "/a/{y}/c", "/a/*/**", "/a/**", "/b", "/{x}", "/{x}/b",
        "/**",
    ];
    let mut patterns: Vec<Pattern> = sorted.iter().rev().map(|text| pattern(text)).collect();
    patterns.sort();
    let texts: Vec<&str> = patterns.iter().map(Pattern::as_str).collect();
    assert_eq!(texts, sorted);
    assert!(pattern("/a/{x}").is_same_path(&pattern("/a/*")));
    assert!(!pattern("/a/{x}").is_same_path(&pattern("/a/x")));
}

#[test]
fn targets_are_read() {
    let cases = [
        ("POST /api/chat", "POST /api/chat"),
        ("GET,POST /x", "GET,POST /x"),
        ("/**", "/**"),
        ("get /x", "error: `get` is not a method; write `GET /path` or `GET,POST /path`"),
        ("GET, POST /x", "error: `` is not a method; write `GET /path` or `GET,POST /path`"),
        ("GET,POST", "error: `GET,POST` does not begin with a slash"),
        ("GET  /x", "error: ` /x` does not begin with a slash"),
        (" /x", "error: `` is not a method; write `GET /path` or `GET,POST /path`"),
    ];
    for (text, expected) in cases {
        let read = Target::parse(text).map_or_else(|error| format!("error: {error}"), |target| target.to_string());
        assert_eq!(read, expected, "{text}");
    }
}

#[test]
fn targets_match_broadly_for_protections_and_exactly_for_exemptions() {
    // Target, method, path, covered by a protection, covered by an exemption.
    let cases = [
        ("POST /x", "POST", "/x", true, true),
        ("POST /x", "GET", "/x", false, false),
        ("POST /x", "post", "/x", false, false),
        ("GET /x", "HEAD", "/x", true, false),
        ("HEAD /x", "HEAD", "/x", true, true),
        ("HEAD /x", "GET", "/x", false, false),
        ("/x", "HEAD", "/x", true, true),
        ("/x", "GET", "/X", true, false),
        ("/x", "GET", "/x/", true, false),
        ("/x", "GET", "/x;y", true, false),
        ("/x", "GET", "//x", true, false),
        ("/x", "GET", "/%78", true, false),
        ("/x", "GET", "/a/../x", true, false),
        ("/x/**", "GET", "/x/y", true, true),
        ("/**", "OPTIONS", "*", true, true),
    ];
    for (target, method, raw, protected, exempt) in cases {
        let wanted = Target::parse(target).unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(wanted.matches_broadly(&method, &path(raw)), protected, "{target} protects {method} {raw}");
        assert_eq!(wanted.matches_exactly(&method, &path(raw)), exempt, "{target} exempts {method} {raw}");
    }
}

fn some_pattern() -> impl Strategy<Value = Pattern> {
    let segment = prop_oneof![3 => "[aAb]", 1 => Just("*".to_owned()), 1 => "[ab](;|\\.|%2F|%20)", 1 => Just("_next/data".to_owned())];
    let end = prop_oneof![Just(""), Just("/"), Just("/**")];
    (prop::collection::vec(segment, 1..5), end)
        .prop_map(|(segments, end)| Pattern::parse(&format!("/{}{end}", segments.join("/"))).unwrap())
}

fn some_path() -> impl Strategy<Value = String> {
    let segment =
        prop_oneof![4 => "[aAb]", 1 => "[ab](;x|\\.|%2F|%20|%3B|%2Fb|\\.json)", 1 => Just("_next/data".to_owned())];
    let end = prop_oneof![3 => Just(""), 1 => Just("/")];
    (prop::collection::vec(segment, 0..5), end).prop_map(|(segments, end)| format!("/{}{end}", segments.join("/")))
}

/// Broad matching by trying everything: all readings of the path against all ways to take it.
fn naive(pattern: &Pattern, inside: &str) -> bool {
    fn readings(segments: &[&str]) -> Vec<Vec<String>> {
        let Some((first, rest)) = segments.split_first() else { return vec![Vec::new()] };
        let heads = [vec![*first], first.split("%2F").collect()];
        let tails = readings(rest);
        heads
            .iter()
            .flat_map(|head| tails.iter().map(|tail| head.iter().map(|s| s.to_string()).chain(tail.clone()).collect()))
            .collect()
    }
    fn fold(segment: &str) -> String {
        let cut = segment.to_lowercase().replace("%3b", ";").split(';').next().unwrap().replace("%20", " ");
        cut.trim_end_matches(['.', ' ']).to_owned()
    }
    fn fits(wanted: &[Segment], found: &[String]) -> bool {
        match (wanted.split_first(), found.split_first()) {
            (None, None) => true,
            (_, Some((empty, found))) if fold(empty).is_empty() && fits(wanted, found) => true,
            (Some((Segment::Rest, _)), _) => true,
            (Some((Segment::Literal(text), wanted)), _) if fold(text).is_empty() && fits(wanted, found) => true,
            (Some((Segment::Literal(text), wanted)), Some((first, found))) => {
                fold(text) == fold(first) && fits(wanted, found)
            }
            (Some((Segment::Any, wanted)), Some((first, found))) => !first.is_empty() && fits(wanted, found),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    let segments: Vec<&str> = inside.split('/').collect();
    readings(&segments).iter().any(|found| fits(&pattern.segments, found))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn exact_is_also_broad(pattern in some_pattern(), raw in some_path()) {
        let path = path(&raw);
        prop_assert!(!pattern.matches_exactly(&path) || pattern.matches_broadly(&path));
    }

    #[test]
    fn broad_is_the_naive_comparison(pattern in some_pattern(), raw in some_path()) {
        let path = path(&raw);
        if !path.as_str().to_ascii_lowercase().contains(".json") {
            prop_assert_eq!(pattern.matches_broadly(&path), naive(&pattern, path.segments().unwrap()));
        }
    }

    #[test]
    fn ignored_differences_change_nothing(pattern in some_pattern(), raw in some_path(), tail in "(;x|%3By|\\.|%20){0,3}/?") {
        let raw = raw.trim_end_matches('/');
        // A path without segments has nothing to differ in; too many to be rejected.
        if raw.is_empty() {
            return Ok(());
        }
        let spelled = format!("{}{tail}", raw.to_ascii_uppercase());
        // Some tails make a dot segment with parameters, which is refused before it is compared.
        if let Ok(odd) = Path::parse(&spelled, EncodedSlash::Keep) {
            prop_assert!(!pattern.matches_broadly(&path(raw)) || pattern.matches_broadly(&odd), "{} {}", raw, spelled);
        }
    }
}

#[test]
fn what_others_write_is_told_how_it_is_written_here() {
    for (text, expected) in [
        ("/api/[id]", "`[id]` is not a variable here: write `{name}`"),
        ("/api/auth/[...nextauth]", "`[...nextauth]` is not a variable here: write `**`"),
        ("/api/[[...slug]]", "`[[...slug]]` is not a variable here: write `**`"),
        ("/chat/:id", "`:id` is not a variable here: write `{name}`"),
        ("PSOT /api/x", "nobody sends `PSOT`: did you mean `POST`?"),
        ("GET,DELEET /x", "nobody sends `DELEET`: did you mean `DELETE`?"),
    ] {
        assert_eq!(Target::parse(text).unwrap_err().to_string(), expected, "{text}");
    }
    for text in ["PURGE /x", "/v1/users:batch", "/a/%5Bid%5D", "PROPFIND,GET /dav/**"] {
        assert!(Target::parse(text).is_ok(), "{text}");
    }
}
