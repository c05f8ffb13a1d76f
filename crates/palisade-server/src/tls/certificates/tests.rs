use rcgen::{CertifiedKey as Generated, generate_simple_self_signed};
use tempfile::TempDir;

use super::*;

fn write(directory: &TempDir, name: &str, names: &[&str]) -> Pair {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let Generated { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let pair = Pair {
        certificate: directory.path().join(format!("{name}.crt")),
        key: Key::File(directory.path().join(format!("{name}.key"))),
    };
    fs::write(&pair.certificate, cert.pem()).unwrap();
    fs::write(pair.key.place(), signing_key.serialize_pem()).unwrap();
    pair
}

#[test]
fn the_closest_name_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let pairs = [
        write(&directory, "first", &["first.example"]),
        write(&directory, "wild", &["*.app.example", "app.example"]),
        write(&directory, "exact", &["api.app.example"]),
    ];
    let store = CertificateStore::load(&pairs).unwrap();
    let ders: Vec<_> = pairs.iter().map(|pair| load(pair).unwrap().cert[0].clone()).collect();
    for (name, expected) in [
        (None, 0),
        (Some("first.example"), 0),
        (Some("unknown.example"), 0),
        (Some("app.example"), 1),
        (Some("APP.example"), 1),
        (Some("www.app.example"), 1),
        (Some("a.b.app.example"), 0),
        (Some("api.app.example"), 2),
        (Some("localhost"), 0),
    ] {
        assert_eq!(store.choose(name).cert[0], ders[expected], "{name:?}");
    }
}

#[test]
fn a_key_from_the_environment_needs_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let files = write(&directory, "app", &["app.example"]);
    let pem = fs::read(files.key.place()).unwrap();
    let pair = |pem: Vec<u8>| Pair { certificate: files.certificate.clone(), key: Key::Given(Secret::new(pem)) };
    assert!(CertificateStore::load(&[pair(pem)]).is_ok());
    let error = CertificateStore::load(&[pair(b"nothing".to_vec())]).unwrap_err();
    assert_eq!(error.to_string(), "the environment holds no private key in PEM");
}

#[test]
fn errors_name_the_file_and_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let good = write(&directory, "good", &["a.example"]);
    let other = write(&directory, "other", &["a.example"]);
    let text = directory.path().join("text");
    fs::write(&text, "no PEM at all").unwrap();
    let missing = directory.path().join("missing");
    let pair =
        |certificate: &Path, key: &Path| Pair { certificate: certificate.to_owned(), key: Key::File(key.to_owned()) };
    for (pairs, expected) in [
        (vec![], "no certificate is configured"),
        (vec![pair(&missing, &good.key.place())], "cannot read {}/missing"),
        (vec![pair(&good.certificate, &missing)], "cannot read {}/missing"),
        (vec![pair(&text, &good.key.place())], "{}/text holds no certificate in PEM"),
        (vec![pair(&good.key.place(), &good.key.place())], "{}/good.key holds no certificate in PEM"),
        (vec![pair(&good.certificate, &text)], "{}/text holds no private key in PEM"),
        (
            vec![pair(&good.certificate, &other.key.place())],
            "the key in {}/other.key is not that of the certificate in {}/good.crt",
        ),
        (vec![good.clone(), pair(&text, &good.key.place())], "{}/text holds no certificate in PEM"),
    ] {
        let expected = expected.replace("{}", &directory.path().display().to_string());
        assert_eq!(CertificateStore::load(&pairs).unwrap_err().to_string(), expected);
    }
}
