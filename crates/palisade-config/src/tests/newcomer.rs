//! Mistakes of a first day: each is told once, at its place, with the way out.

use super::{SEED, list};
use crate::{Color, Format, Inputs};

/// The problems of a whole text, `upstream` included.
fn found(text: &str) -> Vec<String> {
    crate::load(&Inputs::text("palisade.toml", text), SEED).map_or_else(|report| list(&report), |_| Vec::new())
}

fn rendered(text: &str) -> String {
    let report = crate::load(&Inputs::text("palisade.toml", text), SEED).err().unwrap();
    report.render(Format::Human(Color::Plain))
}

#[test]
fn a_misspelled_key_that_is_needed_is_one_problem() {
    let typo = "unknown_key 2:1 `upsteam` is not a key of [app] (did you mean `upstream`?)";
    assert_eq!(found("[app]\nupsteam = \"http://127.0.0.1:3000\""), [typo]);
    assert_eq!(
        found("[app]\nupsteam = \"http://127.0.0.1:3000\"\n[log]\nonyl = \"all\""),
        [typo, "unknown_key 4:1 `onyl` is not a key of [log] (did you mean `only`?)"]
    );
}

#[test]
fn what_is_needed_and_missing_hides_nothing_else() {
    let tls = "[app.tls]\ncertificate = \"/no/such.crt\"\nkey = { file = \"/no/such.key\" }\n";
    for app in ["upsteam = \"http://127.0.0.1:3000\"", "", "upstream = true", "upstream = \"127.0.0.1\""] {
        let found = found(&format!("[app]\n{app}\n{tls}"));
        assert_eq!(found.len(), 3, "{app}: {found:?}");
        for path in ["/no/such.crt", "/no/such.key"] {
            assert!(found.iter().any(|problem| problem.contains(path)), "{app}: {found:?}");
        }
    }
}

/// What is meant depends on the table.
#[test]
fn a_rate_under_another_name_is_that_of_its_table() {
    for word in ["per_minute", "per_second", "rps", "rate"] {
        let told = found(&format!("[app]\nupstream = \"http://127.0.0.1:3000\"\n[limits]\n{word} = \"20/m\""));
        let expected = format!("unknown_key 4:1 `{word}` is not a key of [limits] (did you mean `per_ip`?)");
        assert_eq!(told, [expected]);
    }
}

#[test]
fn a_wrong_type_says_how_a_right_one_looks() {
    for (text, expected) in [
        ("[limits]\nper_ip = 300", "a rate such as \"300/m\""),
        ("[app]\nlisten = 8080", "an address with port such as \"127.0.0.1:8080\""),
        ("[app]\ncompress = \"gzip\"", "a list such as [\"zstd\"]"),
        ("[app]\nworkers = \"four\"", "a number, 0 to 1024"),
        ("[app]\nwatch = \"yes\"", "true or false"),
        ("[app]\nhosts = true", "a list such as [\"admin.briefly.example\"]"),
        ("[app]\nupstream = 3000", "an address such as \"http://127.0.0.1:3000\" or a table"),
        ("[app]\ntimeouts = 10", "a table"),
        ("[log]\nonly = true", "\"all\" or \"notable\""),
    ] {
        let report = crate::load(&Inputs::text("palisade.toml", text), SEED).err().unwrap();
        let found = list(&report);
        assert!(found.iter().any(|problem| problem.ends_with(&format!("; expected {expected}"))), "{text}: {found:?}");
    }
}

#[test]
fn an_address_says_which_schemes_there_are() {
    for (app, expected) in [
        ("upstream = \"ftp://a\"", "http://, https:// or unix:"),
        ("upstream = \"ftp://a\"", "write \"http://a\""),
        ("upstream = \"localhost\"", "write \"http://localhost\""),
        ("upstream = \"3000\"", "write \"http://127.0.0.1:3000\""),
        ("upstream = \":3000\"", "write \"http://127.0.0.1:3000\""),
        ("listen = \"0.0.0.0\"", "write \"0.0.0.0:8080\", say"),
        ("listen = \"::\"", "write \"[::]:8080\", say"),
        ("upstream = \"http://127.0.0.1:99999\"", "between 1 and 65535"),
        ("public_url = \"briefly.example\"", "write \"https://briefly.example\""),
        ("public_url = \"ftp://briefly.example\"", "write \"https://briefly.example\""),
        ("public_url = \"https://briefly.example:70000\"", "between 1 and 65535"),
        ("listen = \"127.0.0.1:99999\"", "between 1 and 65535"),
    ] {
        let found = found(&format!("[app]\n{app}"));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{app}: {found:?}");
    }
    let told = found("[app]\nupstream = \"ftp://user:hunter2@a\"");
    assert!(!told.iter().any(|problem| problem.contains("hunter2")), "{told:?}");
}

/// Whatever is wrong: where it stands, with a caret, and a line that helps.
#[test]
fn every_problem_is_shown_and_helped() {
    for text in [
        "[app]\nupsteam = \"http://a\"",
        "[app]\nupstream = 1",
        "[app]\nworkers = 1",
        "[app]\nupstream = \"http://a\"\nlisten = 8080",
        "[app]\nupstream = \"http://a\"\nmirror = 1",
        "[app]\nupstream = \"http://a\"\nworkers = 5000",
        "[app]\nupstream = \"http://a\"\nmax_body = 5",
        "[app]\nupstream = \"http://a\"\n[app.tls]\ncertificate = \"/no/such\"\nkey = { env = \"PALISADE_NO_SUCH\" }",
        "[app]\nupstream = \"http://a\"\n[limits]\nper_ip = \"many\"",
        "[app]\nupstream = \"http://127.0.0.1:8080\"",
        "[app\nupstream = 1",
    ] {
        let text = rendered(text);
        let problems = text.matches("error[").count();
        assert!(problems > 0);
        for (what, count) in [(" ^", "carets"), ("\n  help: ", "help lines")] {
            assert!(text.matches(what).count() >= problems, "{count}:\n{text}");
        }
    }
}

#[test]
fn help_is_typed_as_it_stands() {
    let text = rendered("[app]\nupstream = \"http://a\"\n[app.route.\"/api/it's\"]\nmax_boddy = \"1MiB\"");
    assert!(text.contains(r#"help: palisade explain 'app.route."/api/it'\''s".max_body'"#), "{text}");
    let text = rendered("[app]\nupstream = \"http://a\"\n[app.route.\"/api/*\".timeouts]\nrespons = \"1s\"");
    assert!(text.contains(r#"help: palisade explain 'app.route."/api/*".timeouts.response'"#), "{text}");
}

#[test]
fn a_key_of_another_table_is_found_there() {
    let text = rendered("upstream = \"http://127.0.0.1:3000\"");
    assert!(
        text.contains("is not a key of the file") && text.contains("help: palisade explain app.upstream"),
        "{text}"
    );
}

/// Forms that a key takes beside the one that was tried.
#[test]
fn another_form_is_shown() {
    let upstream = "[app]\nupstream = \"http://a\"\n";
    let text = rendered(&format!("{upstream}[log]\naccess = \"access.log\""));
    assert!(text.contains("must be one of stdout, off") && text.contains("or a table: { file = … }"), "{text}");
    let text = rendered(&format!("{upstream}[app.tls]\ncertificate = \"a\"\nkey = \"b\""));
    assert!(text.contains("expected { env = variable } or { file = path }"), "{text}");
}

#[test]
fn two_listeners_need_two_addresses() {
    let tls = "public_url = \"https://a.example\"\n[app.tls]\ncertificate = \"a\"\nkey = { file = \"b\" }\n";
    let app = format!("[app]\nupstream = \"http://a\"\nlisten = \"127.0.0.1:8443\"\n{tls}");
    let conflicts = |rest: &str| {
        let found = found(&format!("{app}{rest}"));
        found.into_iter().filter(|problem| problem.starts_with("conflict")).collect::<Vec<_>>()
    };
    let same = |one: &str, other: &str| format!("`{one}` and `{other}` are the same address");
    let check = |rest: &str, expected: &[String]| {
        let found = conflicts(rest);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(found.iter().zip(expected).all(|(found, expected)| found.contains(expected)), "{found:?}");
    };
    check("redirect = \"127.0.0.1:8443\"", &[same("app.tls.redirect", "app.listen")]);
    check("redirect = \"127.0.0.1:8080\"", &[]);
    let admin = "redirect = \"127.0.0.1:8080\"\n[admin]\nlisten = \"127.0.0.1:8080\"";
    check(admin, &[same("admin.listen", "app.tls.redirect")]);
}

#[test]
fn a_file_that_is_missing_says_what_to_do() {
    let inputs = Inputs::file(std::path::Path::new("/no/such/palisade.toml"), None);
    let text = crate::load(&inputs, SEED).err().unwrap().render(Format::Human(Color::Plain));
    assert!(text.contains("/no/such/palisade.toml") && text.contains("--config"), "{text}");
    let text =
        rendered("[app]\nupstream = \"http://a\"\n[app.tls]\ncertificate = \"no.crt\"\nkey = { file = \"no.key\" }");
    for part in ["no.crt", "no.key", "relative paths begin at the folder of the configuration"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[test]
fn what_may_be_a_secret_is_not_repeated() {
    for text in [
        "[app]\nupstream = \"ftp://user:hunter2@a\"",
        "[app]\nupstream = \"user:hunter2@a\"",
        "[app]\nupstream = \"http://a\"\ntls = { certificat = \"x\", key = \"hunter2\" }",
        "[app]\nupstream = \"http://a\"\n[app.tls]\ncertificate = \"x\"\nkey = { env = \"X\", file = \"hunter2\" }",
        "[app]\nupstream = \"http://a\"\n[app.tls]\ncertificate = \"x\"\nkey = \"\"\"a\nhunter2\"\"\"",
    ] {
        let text = rendered(text);
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("****"), "{text}");
    }
}
