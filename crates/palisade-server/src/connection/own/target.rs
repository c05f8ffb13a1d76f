//! The four forms of a request's target (RFC 9112 §3.2).

use http::Method;
use palisade_http1::Text;

/// A target, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Of the absolute form, and of what asks for a tunnel.
    pub(super) authority: Option<Text>,
    /// A path and perhaps a query, or `*`; empty for what asks for a tunnel.
    pub(super) target: Text,
}

/// Takes a target apart. `None` if it has none of the forms; what stands in them is checked later.
pub(super) fn parse(method: &Method, target: Text) -> Option<Target> {
    if *method == Method::CONNECT {
        // An authority alone; all else is refused when it is looked at as one.
        return Some(Target { authority: Some(target), target: Text::default() });
    }
    let text = &*target;
    // A fragment is nobody's but the client's: some readers end the target there. One in a path is
    // told apart there.
    if text.split_once('?').is_some_and(|(_, query)| query.contains('#')) {
        return None;
    }
    if text.starts_with('/') || text == "*" {
        return Some(Target { authority: None, target });
    }
    let (scheme, rest) = text.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some(Target { authority: Some(Text::from(authority.to_owned())), target: Text::from(path) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_target() {
        for (line, expected) in [
            ("GET /a?b", "- /a?b"),
            ("GET //a", "- //a"),
            ("GET /a?b#c", "none"),
            ("GET /a#b", "- /a#b"),
            ("OPTIONS *", "- *"),
            ("GET http://a/b?c", "a /b?c"),
            ("GET HTTPS://a:1/b", "a:1 /b"),
            ("GET http://a", "a /"),
            ("GET http://a?b", "a /?b"),
            ("GET http://a#b", "a /#b"),
            ("GET http://u@a/", "u@a /"),
            ("GET http:///b", " /b"),
            ("GET ftp://a/", "none"),
            ("GET a", "none"),
            ("GET a:1", "none"),
            ("CONNECT a:1", "a:1 "),
            ("CONNECT /", "/ "),
        ] {
            let (method, target) = line.split_once(' ').unwrap();
            let method: Method = method.parse().unwrap();
            let found = parse(&method, Text::from(target.to_owned())).map_or("none".to_owned(), |found| {
                format!("{} {}", found.authority.as_deref().unwrap_or("-"), found.target)
            });
            assert_eq!(found, expected, "{line}");
        }
    }
}
