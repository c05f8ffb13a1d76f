use proptest::prelude::*;

use super::*;

/// The normal form, and whether it was sent like that; or the rule that it breaks.
fn form(raw: &str, slash: EncodedSlash) -> String {
    match Path::parse(raw, slash) {
        Ok(path) if path.as_sent() => format!("= {}", path.as_str()),
        Ok(path) => format!("> {}", path.as_str()),
        Err(malformed) => format!("{malformed:?}"),
    }
}

#[track_caller]
fn check(raw: &str, expected: &str) {
    assert_eq!(form(raw, EncodedSlash::Keep), expected, "{raw}");
}

#[test]
fn a_normal_path_is_borrowed() {
    let normal = [
        "/",
        "/a",
        "/a/",
        "/api/chat",
        "/a.b/c..",
        "/.well-known/x",
        "/...",
        "/a;v=1",
        "/a;v=1/b",
        "/a%20b",
        "/caf%C3%A9",
        "/a%2Fb",
        "/a%3Bb",
        "/a%25zz",
        "/a%2520",
        "/%E9",
        "/!$&'()*+,=:@-_~",
        "/{id}|^\"<>`[]",
        "/a%2F%2Fb",
        "/a/;x/b",
    ];
    for raw in normal {
        let path = Path::parse(raw, EncodedSlash::Keep).unwrap();
        assert_eq!(path.as_str(), raw);
        assert!(path.as_sent(), "{raw}");
        assert!(std::ptr::eq(path.as_str(), raw), "{raw} was copied");
    }
}

#[test]
fn other_spellings_are_rewritten() {
    check("/%61pi", "> /api");
    check("/%7Euser/%2D%2e%5F", "> /~user/-._");
    check("/caf\u{e9}", "> /caf%C3%A9");
    check("/%c3%a9%2f", "> /%C3%A9%2F");
    check("//", "> /");
    check("//evil.example/x", "> /evil.example/x");
    check("/a//b///c//", "> /a/b/c/");
    check("/./a", "> /a");
    check("/a/.", "> /a/");
    check("/a/./", "> /a/");
    check("/a/..", "> /");
    check("/a/b/..", "> /a/");
    check("/a/../b", "> /b");
    check("/a/../a/x", "> /a/x");
    check("/a//../b", "> /b");
    check("/a/b/../../c", "> /c");
    check("/a/%2e%2E/b", "> /b");
    check("/%2e/a", "> /a");
}

#[test]
fn what_readers_disagree_about_is_refused() {
    let cases = [
        ("NotAbsolute", &["", "*", "a", "a/b", "http://x/"][..]),
        ("Delimiter", &["/a#b", "/a?b", "/#"]),
        ("Backslash", &["/a\\b", "/a%5Cb", "/a%5cb", "/..\\x"]),
        ("Space", &["/a b", "/ "]),
        ("Control", &["/a\tb", "/a\0", "/a\x7f", "/%00", "/%0a", "/%1F", "/%7f"]),
        ("BadEscape", &["/%", "/%4", "/%zz", "/%4/", "/a%", "/%+1", "/%%41", "/%\u{e9}\u{e9}"]),
        (
            "Overlong",
            &[
                "/%C0%AE",
                "/%c1%81",
                "/%E0%80%AF",
                "/%E0%9F%BF",
                "/%F0%80%80%AF",
                "/%F0%8F%BF%BF",
                "/%F8%80%80%80%AF",
                "/%FC%80%80%80%80%AF",
            ],
        ),
        (
            "EscapedTwice",
            &["/%252e", "/%252F", "/%255c", "/%2525", "/%2500", "/%2541", "/%25%34%31", "/%25%32e", "/%25%35%63"],
        ),
        ("AboveRoot", &["/..", "/../a", "/a/../..", "/a/../../b", "/./..", "//..", "/%2e%2e"]),
        (
            "DotSegment",
            &[
                "/..;x",
                "/a/..;/b",
                "/.;",
                "/..%3Bx",
                "/..%3bx",
                "/a/..%2fx",
                "/a/x%2F..",
                "/a/x%2F.%2Fy",
                "/.%2Fx",
                "/a%2F..;v",
                "/%2e%2e;",
            ],
        ),
    ];
    for (rule, raws) in cases {
        for raw in raws {
            check(raw, rule);
        }
    }
}

#[test]
fn neighbours_of_what_is_refused_pass() {
    check("/a%C3%80", "= /a%C3%80");
    check("/%C0", "= /%C0");
    check("/%C0l", "= /%C0l");
    check("/%E0%A0%80", "= /%E0%A0%80");
    check("/%F0%90%80%80", "= /%F0%90%80%80");
    check("/%F8%88%80%80%80", "= /%F8%88%80%80%80");
    check("/%253A", "= /%253A");
    check("/%25%3A", "= /%25%3A");
    check("/...;x", "= /...;x");
    check("/a..%2Fx", "= /a..%2Fx");
    check("/.a%2F", "= /.a%2F");
    check("/a/../..b", "> /..b");
}

#[test]
fn an_escaped_slash_can_be_refused() {
    assert_eq!(form("/a%2Fb", EncodedSlash::Refuse), "EncodedSlash");
    assert_eq!(form("/a%2fb", EncodedSlash::Refuse), "EncodedSlash");
    assert_eq!(form("/a/b%3B", EncodedSlash::Refuse), "= /a/b%3B");
}

#[test]
fn paths_that_are_not_parsed() {
    assert_eq!(Path::asterisk().as_str(), "*");
    assert!(Path::asterisk().as_sent());
    assert_eq!(Path::empty().as_str(), "");
    assert!(!Path::empty().as_sent());
}

#[test]
fn an_owned_path_is_the_same_path() {
    for raw in ["/a", "//a", "/a/./b"] {
        let path = Path::parse(raw, EncodedSlash::Keep).unwrap();
        assert_eq!(path.clone().into_owned(), path);
    }
}

#[test]
fn names_of_a_query() {
    let names = |query: &str| query_names(query).map(String::from).collect::<Vec<_>>();
    let cases = [
        ("token=abc&code=def", &["token", "code"][..]),
        ("", &[]),
        ("&&a&&b=&", &["b"]),
        // The token of a link that holds nothing else.
        ("eyJhbGciOiJIUzI1NiJ9", &[]),
        ("a%3DSECRET", &[]),
        ("=x", &[""]),
        ("a=b=c", &["a"]),
        ("a%5B0%5d=1&a+b=2", &["a[0]", "a b"]),
        ("%=", &["%"]),
        ("%4=&%zz=1", &["%4", "%zz"]),
        ("%ff%C3%A9=", &["\u{fffd}\u{e9}"]),
        ("a=&a=", &["a", "a"]),
    ];
    for (query, expected) in cases {
        assert_eq!(names(query), expected, "{query}");
    }
    assert_eq!(names(&"a=&".repeat(33)).len(), 32);
    let x = |count| "x".repeat(count);
    assert_eq!(names(&(x(64) + "=")), [x(64)]);
    assert_eq!(names(&(x(65) + "=")), [x(64)]);
    assert_eq!(names(&format!("{}%C3%A9=", x(63))), [x(63)]);
    assert_eq!(names(&format!("{}%C3%A9=", x(62))), [format!("{}\u{e9}", x(62))]);
    assert_eq!(names(&format!("{}%F0%9F%98%80=", x(61))), [x(61)]);
    assert_eq!(names(&format!("{}%F0%9F%98%80=", x(60))), [format!("{}\u{1f600}", x(60))]);
}

/// Paths of the pieces that rules are about.
fn odd_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("/"), 2 => Just("."), 2 => Just(".."), 2 => Just("a"), 1 => Just("B"), 1 => Just("%2F"), 1 => Just("%2e"),
        1 => Just("%25"), 1 => Just("%61"), 1 => Just("%32"), 1 => Just("%35"), 1 => Just("2"), 1 => Just("5"), 1 => Just(";"),
        1 => Just("%3b"), 1 => Just("%20"), 1 => Just("\u{e9}"), 1 => Just("%C3%A9"), 1 => Just("%C0"), 1 => Just("%AE"),
        1 => Just("%5C"), 1 => Just("%"), 1 => Just("#"), 1 => Just("{"),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// What a reader makes of a path that decodes it once and resolves it segment by segment, without
/// any idea of how to rewrite text. `None`: above the root.
fn naive(raw: &str) -> Option<Vec<Vec<u8>>> {
    let segments: Vec<Vec<u8>> = raw.split('/').skip(1).map(decode).collect();
    let mut out: Vec<Vec<u8>> = Vec::new();
    let last = segments.last().cloned().unwrap_or_default();
    for segment in segments {
        match segment.as_slice() {
            b"" | b"." => {}
            b".." => drop(out.pop()?),
            _ => out.push(segment),
        }
    }
    if matches!(last.as_slice(), b"" | b"." | b"..") {
        out.push(Vec::new());
    }
    Some(out)
}

fn decode(segment: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        match after {
            [high, low, after @ ..] if *first == b'%' => {
                out.push(u8::from_str_radix(&format!("{}{}", *high as char, *low as char), 16).unwrap());
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_normal_form_is_its_own(raw in odd_path()) {
        if let Ok(path) = Path::parse(&raw, EncodedSlash::Keep) {
            let again = Path::parse(path.as_str(), EncodedSlash::Keep).unwrap();
            prop_assert_eq!(again.as_str(), path.as_str());
            prop_assert!(again.as_sent());
            prop_assert_eq!(path.as_sent(), path.as_str() == raw);
        }
    }

    #[test]
    fn a_normal_form_means_what_was_sent(raw in odd_path()) {
        if let Ok(path) = Path::parse(&raw, EncodedSlash::Keep) {
            let meant: Vec<Vec<u8>> = path.as_str().split('/').skip(1).map(decode).collect();
            prop_assert_eq!(naive(&raw), Some(meant));
        }
    }

    #[test]
    fn both_ways_agree(raw in "/[a-c./;%2F]{0,12}") {
        if normal::is_plain(&raw) {
            prop_assert_eq!(normal::form(&raw, EncodedSlash::Refuse).unwrap(), Cow::Borrowed(raw.as_str()));
        }
    }

    #[test]
    fn refusing_escaped_slashes_only_refuses_more(raw in odd_path()) {
        let kept = Path::parse(&raw, EncodedSlash::Keep);
        match Path::parse(&raw, EncodedSlash::Refuse) {
            Ok(path) => prop_assert_eq!(Ok(path), kept),
            Err(MalformedPath::EncodedSlash) => prop_assert!(raw.to_ascii_uppercase().contains("%2F")),
            Err(other) => prop_assert_eq!(Err(other), kept),
        }
    }
}
