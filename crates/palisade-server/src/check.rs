//! What only shows when the server is built from a configuration.

use palisade_config::{Inputs, Report, Seed, Snapshot, examine};
use palisade_core::chain;
use palisade_core::config::{Code, Problem, Problems, Severity};
use palisade_core::log::Access;
use palisade_telemetry::access_log;

use crate::certificates;
use crate::live;
use crate::tls::CertificateStore;

/// Compiles the inputs, whose secrets are resolved, as [`palisade_config::load`] does, and finds also
/// what only shows when the server is built: everything that is wrong is told at once.
///
/// # Errors
///
/// The report, if it holds an error.
pub fn load(inputs: &Inputs, seed: Seed) -> Result<(Snapshot, Report), Report> {
    let (snapshot, mut report) = examine(inputs, seed);
    if let Some(snapshot) = &snapshot {
        let told = report.problems.clone();
        check(snapshot)
            .into_iter()
            .filter(|problem| !is_told(problem, &told))
            .for_each(|problem| report.problems.report(problem));
        report.problems.sort();
    }
    match snapshot {
        Some(snapshot) if !report.problems.has_errors() => Ok((snapshot, report)),
        _ => Err(report),
    }
}

/// Whether an error about the same key, or one of its table, is known: what could not be read can't
/// be used either.
fn is_told(problem: &Problem, known: &Problems) -> bool {
    let mut errors = known.iter().filter(|known| known.code.severity() == Severity::Error);
    errors.any(|known| known.place.key.starts_with(&*problem.place.key))
}

/// Why [`Process::start`](crate::Process::start) would refuse a snapshot whose secrets were
/// resolved: servers that can't be reached as it says, certificates that can't be shown, and an access
/// log that can't be opened.
pub fn check(snapshot: &Snapshot) -> Vec<Problem> {
    let invalid = |key: &str, message: String| Problem::new(Code::InvalidValue, &snapshot.spot(key), message);
    let mut problems = Vec::new();
    for (index, group) in snapshot.upstreams.iter().enumerate() {
        if let Err(error) = live::settings(snapshot, group) {
            // The first group is that of the application, the others are those of routes.
            problems.push(invalid(if index == 0 { "app.upstream" } else { "app.route" }, chain(&error)));
        }
    }
    let pairs = snapshot.app.tls.as_ref().map(certificates::pairs);
    for pairs in pairs.iter() {
        let none = pairs.is_empty().then_some(pairs.as_slice());
        let errors = pairs.chunks(1).chain(none).filter_map(|pair| CertificateStore::load(pair).err());
        problems.extend(errors.map(|error| invalid("app.tls", chain(&error))));
    }
    if let Access::File(log) = &snapshot.log.access
        && let Err(error) = access_log::probe(&log.path)
    {
        let message = format!("the access log `{}` can't be opened: {}", log.path.display(), chain(&error));
        let help = "create the folder, or name a regular file that this user may write to";
        problems.push(invalid("log.access.file", message).help(help));
    }
    problems
}

#[cfg(test)]
mod tests {
    use palisade_config::{Inputs, Seed, load};
    use rcgen::generate_simple_self_signed;

    use super::*;

    #[test]
    fn everything_that_a_start_would_refuse_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["one", "other"] {
            let issued = generate_simple_self_signed(vec!["app.example".to_owned()]).unwrap();
            std::fs::write(path(&format!("{name}.crt")), issued.cert.pem()).unwrap();
            std::fs::write(path(&format!("{name}.key")), issued.signing_key.serialize_pem()).unwrap();
        }
        std::fs::write(path("garbage"), "no PEM").unwrap();

        let one = "upstream = \"http://127.0.0.1:1\"".to_owned();
        let many: Vec<_> = (1..=65).map(|port| format!("\"http://127.0.0.1:{port}\"")).collect();
        let many = format!("upstream = [{}]", many.join(", "));
        let ca = format!("upstream = {{ url = \"https://127.0.0.1:1\", ca = \"{}\" }}", path("garbage"));
        let tls = |certificate: &str, key: &str| {
            format!("{one}\n[app.tls]\ncertificate = \"{}\"\nkey = {{ file = \"{}\" }}", path(certificate), path(key))
        };
        for (app, expected) in [
            (one.clone(), None),
            (tls("one.crt", "one.key"), None),
            (many, Some(("app.upstream", "at most 64 servers"))),
            (ca, Some(("app.upstream", "private CA"))),
            (tls("garbage", "one.key"), Some(("app.tls", "holds no certificate"))),
            (tls("one.crt", "garbage"), Some(("app.tls", "holds no private key"))),
            (tls("one.crt", "other.key"), Some(("app.tls", "is not that of the certificate"))),
        ] {
            let text = format!("[app]\n{app}\n");
            let (snapshot, _) = load(&Inputs::text("test.toml", text), Seed([0; 16])).map_err(|_| "config").unwrap();
            let found = check(&snapshot);
            assert_eq!(found.len(), usize::from(expected.is_some()), "{app}: {found:?}");
            for (problem, (key, message)) in found.iter().zip(expected) {
                assert_eq!(problem.place.key.as_ref(), key);
                assert!(problem.message.contains(message), "{problem:?}");
            }
        }
    }

    #[test]
    fn what_the_server_finds_is_told_with_all_the_rest() {
        let text = "[app]\nupsteam = \"http://127.0.0.1:1\"\n\
            [app.tls]\ncertificate = \"/no/such.crt\"\nkey = { file = \"/no/such.key\" }\n\
            [log]\naccess = { file = \"/no/such/access.log\" }\n";
        let report = super::load(&Inputs::text("test.toml", text), Seed([0; 16])).err().unwrap();
        let keys: Vec<_> = report.problems.iter().map(|problem| problem.place.key.as_ref()).collect();
        assert_eq!(keys, ["app.upsteam", "app.tls.certificate", "app.tls.key", "log.access.file"]);
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_found_and_none_is_created() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("directory")).unwrap();
        std::fs::write(path("old.log"), "").unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for (name, expected) in [
            ("old.log", None),
            ("new.log", None),
            ("missing/access.log", Some("No such file or directory")),
            ("directory", Some("no regular file")),
            ("pipe", Some("no regular file")),
        ] {
            let log = format!("[log]\naccess = {{ file = \"{}\" }}", path(name).display());
            let text = format!("[app]\nupstream = \"http://127.0.0.1:1\"\n{log}\n");
            let (snapshot, _) = load(&Inputs::text("test.toml", text), Seed([0; 16])).map_err(|_| "config").unwrap();
            let found = check(&snapshot);
            assert_eq!(found.len(), usize::from(expected.is_some()), "{name}: {found:?}");
            for (problem, message) in found.iter().zip(expected) {
                assert_eq!(problem.place.key.as_ref(), "log.access.file");
                assert!(problem.place.span.is_some());
                assert!(problem.message.contains(message), "{problem:?}");
            }
        }
        assert!(!path("new.log").exists());
    }
}
