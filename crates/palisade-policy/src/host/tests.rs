use palisade_core::Inspect as _;

use super::*;
use crate::testing::{decision, with};

fn authority(text: &str) -> Authority {
    Authority::parse(text).unwrap()
}

#[test]
fn decisions() {
    let hosts = Hosts {
        public: authority("Briefly.example"),
        further: vec![authority("admin.briefly.example"), authority("old.example:8443"), authority("[2001:db8::7]")],
    };
    let check = |request: &str, expected: &str| {
        assert_eq!(with(request, |view| decision(&hosts.decide(view))), expected, "{request}");
    };
    let refuse = "refuse http.unknown_host 421";
    check("GET /x HTTP/1.1\nHost: briefly.example", "allow");
    check("GET /x HTTP/1.1\nHost: BRIEFLY.EXAMPLE", "allow");
    check("GET /x HTTP/1.1\nHost: briefly.example:8443", "allow");
    check("GET /x HTTP/1.1\nHost: evil.example", refuse);
    check("GET /x HTTP/1.1\nHost: briefly.example.evil.example", refuse);
    check("GET /x HTTP/1.1\nHost: evilbriefly.example", refuse);
    check("GET /x HTTP/1.1\nHost: briefly.example.", refuse);
    check("GET /x HTTP/1.1\nHost: user@briefly.example", refuse);
    check("GET /x HTTP/1.1\nHost: briefly.example:", refuse);
    check("GET /x HTTP/1.1\nHost: briefly.example:65536", refuse);
    check("GET /x HTTP/1.1\nHost: briefly.example:+80", refuse);
    check("GET /x HTTP/1.1\nHost: briefly.example:80:80", refuse);
    check("GET /x HTTP/1.1\nHost: ", refuse);
    check("GET /x HTTP/1.0", refuse);

    check("GET /x HTTP/1.1\nHost: admin.briefly.example", "allow");
    check("GET /x HTTP/1.1\nHost: admin.briefly.example:443", "allow");
    check("GET /x HTTP/1.1\nHost: admin.briefly.example:1337", refuse);
    check("GET /x HTTP/1.1\nHost: old.example:8443", "allow");
    check("GET /x HTTP/1.1\nHost: old.example", refuse);
    check("GET /x HTTP/1.1\nHost: [2001:DB8::7]", "allow");
    check("GET /x HTTP/1.1\nHost: [2001:db8::8]", refuse);

    check("GET /x HTTP/1.1\nHost: localhost:8080", "allow");
    check("GET /x HTTP/1.1\nHost: briefly.LocalHost", "allow");
    check("GET /x HTTP/1.1\nHost: 127.8.9.10:1", "allow");
    check("GET /x HTTP/1.1\nHost: [::1]:8080", "allow");
    check("GET /x HTTP/1.1\nHost: .localhost", refuse);
    check("GET /x HTTP/1.1\nHost: evillocalhost", refuse);
    check("GET /x HTTP/1.1\nHost: 127.0.0.1.evil.example", refuse);
    check("GET /x HTTP/1.1\nHost: 128.0.0.1", refuse);
    check("GET /x HTTP/1.1\nHost: 0.0.0.0", refuse);
}

#[test]
fn without_a_public_url_nothing_is_asked() {
    let files = palisade_core::config::Files::default();
    let mut context = Context {
        files: &files,
        public: None,
        hosts: Vec::new(),
        demo: crate::demo::Demo::Never,
        seed: [0; 16].into(),
    };
    assert!(compile(&context).is_empty());
    let place = palisade_core::config::Place::top();
    context.public = Some(palisade_core::config::Setting { value: authority("briefly.example"), place });
    let questions = compile(&context);
    assert_eq!(
        questions.iter().map(|question| (question.name, question.mode)).collect::<Vec<_>>(),
        [("host", Mode::Enforce)]
    );
}

#[test]
fn authorities() {
    let check = |text: &str, expected: Option<&str>| {
        assert_eq!(Authority::parse(text).map(|authority| authority.to_string()).as_deref(), expected, "{text}");
    };
    check("Briefly.example", Some("briefly.example"));
    check("briefly.example:8443", Some("briefly.example:8443"));
    check("[::1]:80", Some("[::1]:80"));
    check("192.0.2.1", Some("192.0.2.1"));
    for text in ["", ":80", "::1", "[::1", "[]", "[::1]x", "a b", "a/b", "user@a", "*", "*.example", "a:x", "ä.example"]
    {
        check(text, None);
    }
}

#[test]
fn a_host_is_an_address_or_a_name() {
    for (text, expected) in [
        ("127.0.0.1:80", Some("127.0.0.1")),
        ("[::1]:80", Some("::1")),
        ("[2001:DB8::7]", Some("2001:db8::7")),
        ("localhost", None),
        ("127.0.0.1.example", None),
        ("127.1", None),
    ] {
        assert_eq!(authority(text).address().map(|address| address.to_string()).as_deref(), expected, "{text}");
    }
}
