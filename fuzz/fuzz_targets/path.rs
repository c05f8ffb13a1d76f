//! The path in normal form, and the names of a query. The input is the path, or the query.

#![cfg_attr(fuzzing, no_main)]

use palisade_core::Path;
use palisade_core::path::{EncodedSlash, MalformedPath, query_names};

palisade_fuzz::target!(law);

fn law(input: &[u8]) {
    let Ok(raw) = str::from_utf8(input) else { return };
    let kept = Path::parse(raw, EncodedSlash::Keep);
    match Path::parse(raw, EncodedSlash::Refuse) {
        Err(MalformedPath::EncodedSlash) => {}
        refused => assert_eq!(refused, kept, "refusing escaped slashes changes nothing else"),
    }
    if let Ok(path) = kept {
        is_a_fixpoint(raw, &path);
        is_normal(path.as_str());
        hides_no_dots(path.as_str());
        assert_eq!(read(raw), read(path.as_str()), "it means what was sent");
        assert!(path.as_str().len() <= 3 * raw.len());
    }
    let names: Vec<_> = query_names(raw).collect();
    assert!(names.len() <= 32 && names.iter().all(|name| name.len() <= 64));
}

fn is_a_fixpoint(raw: &str, path: &Path<'_>) {
    let again = Path::parse(path.as_str(), EncodedSlash::Keep).expect("a normal form has one");
    assert_eq!(again.as_str(), path.as_str());
    assert!(again.as_sent());
    assert_eq!(path.as_sent(), path.as_str() == raw);
}

fn is_normal(text: &str) {
    assert!(text.starts_with('/') && !text.contains("//"));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !b"#?\\".contains(&byte)));
    for escape in text.split('%').skip(1) {
        let digits = &escape[..2];
        assert!(digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')));
        let byte = u8::from_str_radix(digits, 16).expect("two digits");
        assert!(!byte.is_ascii_alphanumeric() && !byte.is_ascii_control() && !b"-._~\\".contains(&byte));
    }
}

/// Whoever decodes once, decodes slashes, and drops parameters sees no dot segment; nor does
/// whoever decodes twice.
fn hides_no_dots(text: &str) {
    let once = decode(text.as_bytes());
    let twice = decode(&once);
    let is_dots = |name: &[u8]| name == b"." || name == b"..";
    let without_parameters = |segment: &[u8]| segment.split(|&byte| byte == b';').next().is_some_and(is_dots);
    assert!(!text.as_bytes().split(|&byte| byte == b'/').any(without_parameters));
    assert!(!once.split(|&byte| byte == b'/').any(without_parameters));
    assert!(!twice.split(|&byte| byte == b'/' || byte == b'\\').any(is_dots));
}

/// The segments as a reader sees them that splits first, then decodes, then resolves.
fn read(raw: &str) -> Vec<Vec<u8>> {
    let segments: Vec<Vec<u8>> = raw.split('/').skip(1).map(|segment| decode(segment.as_bytes())).collect();
    let is_folder = segments.last().is_some_and(|last| matches!(last.as_slice(), b"" | b"." | b".."));
    let mut out = Vec::new();
    for segment in segments {
        match segment.as_slice() {
            b"" | b"." => {}
            b".." => drop(out.pop().expect("above the root")),
            _ => out.push(segment),
        }
    }
    out.extend(is_folder.then(Vec::new));
    out
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escape = after.get(..2).filter(|_| *first == b'%').and_then(|digits| str::from_utf8(digits).ok());
        let digits = escape.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}
