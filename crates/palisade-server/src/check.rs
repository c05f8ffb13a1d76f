//! What only shows when the server is built from a configuration.

use palisade_config::Snapshot;
use palisade_core::chain;
use palisade_core::config::{Code, Problem};
use palisade_core::log::Access;
use palisade_telemetry::access_log;

use crate::certificates;
use crate::live;
use crate::tls::CertificateStore;

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
        problems.push(invalid("log.access.file", message));
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
