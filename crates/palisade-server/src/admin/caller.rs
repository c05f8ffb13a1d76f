//! Whether a request comes from somebody who meant this listener.

use http::Request;
use http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use palisade_core::{Head, Reason, Single};
use palisade_policy::host::Authority;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Names of this machine that no foreign page can have, with any port.
const LOOPBACK: [&str; 4] = ["127.0.0.1", "localhost", "[::1]", "palisade.localhost"];

/// Refuses a `Host` that isn't ours. A page can make its own name lead to 127.0.0.1, and the
/// browser then lets it read our answers; what gives it away is the name.
pub(super) fn check_host<B>(request: &Request<B>, hosts: &[Authority]) -> Result<(), Reason> {
    let authority = host(request.headers())?;
    // A target in absolute form names the host, too; what `Host` says must be the same (RFC 9112
    // §3.2.2 lets the target win, and two readers could each believe another one).
    let same =
        request.uri().authority().is_none_or(|target| Authority::parse(target.as_str()).as_ref() == Some(&authority));
    if !same {
        return Err(Reason::HttpMalformed);
    }
    let is_listed = |listed: &Authority| {
        listed.host() == authority.host() && (listed.port().is_none() || listed.port() == authority.port())
    };
    if LOOPBACK.contains(&authority.host()) || hosts.iter().any(is_listed) {
        Ok(())
    } else {
        Err(Reason::AdminUnknownHost)
    }
}

/// Refuses a change that a page of another origin asks for. Tools send neither field.
pub(super) fn check_origin<B>(request: &Request<B>) -> Result<(), Reason> {
    let head = request.headers();
    let is_own_page = match head.single(&SEC_FETCH_SITE) {
        Single::Absent => true,
        Single::One(site) => site == b"same-origin",
        Single::Repeated => false,
    };
    let authority = host(head)?;
    let is_own_origin = match head.single(&ORIGIN) {
        Single::Absent => true,
        Single::One(origin) => {
            let origin = std::str::from_utf8(origin).ok().and_then(|origin| origin.strip_prefix("http://"));
            origin.and_then(Authority::parse) == Some(authority)
        }
        Single::Repeated => false,
    };
    if is_own_page && is_own_origin { Ok(()) } else { Err(Reason::CsrfCrossSite) }
}

fn host(head: &HeaderMap) -> Result<Authority, Reason> {
    let Single::One(host) = head.single(&HOST) else { return Err(Reason::HttpMalformed) };
    std::str::from_utf8(host).ok().and_then(Authority::parse).ok_or(Reason::HttpMalformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request from its target and its fields, one per line.
    fn request(target: &str, fields: &str) -> Request<()> {
        let mut request = Request::builder().uri(target);
        for (name, value) in fields.lines().map(|field| field.split_once(": ").unwrap()) {
            request = request.header(name, value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn only_our_own_names_are_answered() {
        let hosts = [Authority::parse("ops.example").unwrap(), Authority::parse("other.example:444").unwrap()];
        for (target, fields, expected) in [
            ("/", "host: 127.0.0.1:9901", "ok"),
            ("/", "host: 127.0.0.1", "ok"),
            ("/", "host: localhost:1", "ok"),
            ("/", "host: LOCALHOST", "ok"),
            ("/", "host: [::1]:9901", "ok"),
            ("/", "host: palisade.localhost", "ok"),
            ("/", "host: ops.example:9901", "ok"),
            ("/", "host: other.example:444", "ok"),
            ("/", "host: other.example:445", "admin.unknown_host"),
            ("/", "host: evil.example", "admin.unknown_host"),
            ("/", "host: localhost.evil.example", "admin.unknown_host"),
            ("/", "host: 127.0.0.1.evil.example", "admin.unknown_host"),
            ("/", "host: 127.0.0.2", "admin.unknown_host"),
            ("/", "", "http.malformed"),
            ("/", "host: localhost\nhost: localhost", "http.malformed"),
            ("/", "host: localhost/", "http.malformed"),
            ("http://localhost/", "host: localhost", "ok"),
            ("http://localhost/", "host: 127.0.0.1", "http.malformed"),
            ("http://evil.example/", "host: localhost", "http.malformed"),
        ] {
            let checked = check_host(&request(target, fields), &hosts).map_or_else(Reason::code, |()| "ok");
            assert_eq!(checked, expected, "{target} {fields:?}");
        }
    }

    #[test]
    fn pages_of_other_origins_change_nothing() {
        for (fields, expected) in [
            ("", "ok"),
            ("origin: http://localhost:9901", "ok"),
            ("origin: http://localhost:9901\nsec-fetch-site: same-origin", "ok"),
            ("origin: http://localhost:3000", "csrf.cross_site"),
            ("origin: https://localhost:9901", "csrf.cross_site"),
            ("origin: null", "csrf.cross_site"),
            ("origin: https://evil.example", "csrf.cross_site"),
            ("sec-fetch-site: cross-site", "csrf.cross_site"),
            ("sec-fetch-site: same-site", "csrf.cross_site"),
            ("sec-fetch-site: none", "csrf.cross_site"),
            ("sec-fetch-site: same-origin\nsec-fetch-site: same-origin", "csrf.cross_site"),
        ] {
            let request = request("/", &format!("host: localhost:9901\n{fields}"));
            let checked = check_origin(&request).map_or_else(Reason::code, |()| "ok");
            assert_eq!(checked, expected, "{fields:?}");
        }
    }
}
