//! The normal form of a request target, as it is specified: what is the same to every reader is
//! written the same.

/// The path and query of a target: without scheme and authority, escapes decoded that need not be,
/// capital digits in the others, one slash for several, dots resolved.
pub(crate) fn target(target: &str) -> String {
    let origin = origin(target);
    if origin == "*" {
        return origin.to_owned();
    }
    let (path, query) = match origin.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (origin, String::new()),
    };
    let mut segments: Vec<String> = Vec::new();
    let mut is_folder = false;
    for segment in path.split('/') {
        let segment = escapes(segment);
        is_folder = matches!(segment.as_str(), "" | "." | "..");
        match segment.as_str() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let end = if is_folder && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}{query}", segments.join("/"))
}

fn origin(target: &str) -> &str {
    if target.starts_with('/') {
        return target;
    }
    match target.split_once("://") {
        Some((_, rest)) => &rest[rest.find(['/', '?']).unwrap_or(rest.len())..],
        None => target,
    }
}

fn escapes(segment: &str) -> String {
    let mut out = String::new();
    let mut bytes = segment.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        let digits = |rest: &[u8]| {
            let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let escaped = if byte == b'%' { digits(bytes.as_slice()) } else { None };
        if escaped.is_some() {
            bytes.nth(1);
        }
        match escaped {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            Some(byte) => out.push_str(&format!("%{byte:02X}")),
            None if byte.is_ascii() => out.push(char::from(byte)),
            None => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
