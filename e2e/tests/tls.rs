//! TLS: certificates change without a restart and without a broken connection.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use e2e::{Gateway, Launch, Wire, within};
use palisade_testkit::upstream::{Answer, Upstream};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Writes a fresh certificate and its key into `folder`.
fn issue(folder: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    // The key first: whoever sees the new certificate finds the key that belongs to it.
    for (name, text) in [("tls.key", signing_key.serialize_pem()), ("tls.crt", cert.pem())] {
        fs::write(folder.join(format!("{name}.new")), text).unwrap();
        fs::rename(folder.join(format!("{name}.new")), folder.join(name)).unwrap();
    }
    cert.der().clone()
}

/// A gateway that shows the certificate in `folder`, with `further` lines of configuration.
async fn start(upstream: &Upstream, folder: &Path, further: &str) -> Gateway {
    let (upstream, folder) = (upstream.url(), folder.display());
    let config = format!(
        "[app]\nupstream = \"{upstream}\"\npublic_url = \"https://localhost\"\n\
         [app.tls]\ncertificate = \"{folder}/tls.crt\"\nkey = {{ file = \"{folder}/tls.key\" }}\n{further}"
    );
    Launch::config(config).start().await
}

/// A connection that trusts exactly these certificates.
async fn open(address: SocketAddr, trusted: &[CertificateDer<'static>]) -> std::io::Result<Wire<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).unwrap();
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Wire::over(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_to_new_connections_and_breaks_no_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let old = issue(folder.path());
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = start(&upstream, folder.path(), "[limits]\nper_ip = \"off\"\n").await;

    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let mut wire = open(gateway.public, std::slice::from_ref(&old)).await.unwrap();
        let stopped = stopped.clone();
        clients.spawn(async move {
            let mut count = 0;
            while !*stopped.borrow() {
                assert_eq!(wire.get("/").await.unwrap().status, 200);
                count += 1;
            }
            count
        });
    }
    let new = issue(folder.path());
    within("the new certificate", async { while open(gateway.public, std::slice::from_ref(&new)).await.is_err() {} })
        .await;
    assert!(open(gateway.public, &[old]).await.is_err(), "a new connection was shown the old certificate");
    let before = upstream.seen().requests();
    assert!(upstream.reached(e2e::LIMIT, |seen| seen.requests() > before + 100).await);
    stop.send_replace(true);
    assert!(clients.join_all().await.into_iter().all(|count: usize| count > 0));

    // A certificate that can't be read changes nothing.
    fs::write(folder.path().join("tls.crt"), "nonsense").unwrap();
    gateway.says("tls.crt").await;
    assert_eq!(open(gateway.public, &[new]).await.unwrap().get("/").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_reload_that_names_other_files_shows_their_certificate_and_breaks_no_old_connection() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [old, new] = [&folders[0], &folders[1]].map(|folder| issue(folder.path()));
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = start(&upstream, folders[0].path(), "").await;
    let mut kept = open(gateway.public, std::slice::from_ref(&old)).await.unwrap();
    assert_eq!(kept.get("/").await.unwrap().status, 200);

    let file = gateway.home().join("palisade.toml");
    let [from, to] = [&folders[0], &folders[1]].map(|folder| folder.path().display().to_string());
    fs::write(&file, fs::read_to_string(&file).unwrap().replace(&from, &to)).unwrap();
    gateway.signal(Signal::HUP);
    gateway.line("the reload", |line| line["event"] == "reloaded").await;
    assert!(open(gateway.public, std::slice::from_ref(&old)).await.is_err(), "the old certificate was shown");
    let mut fresh = open(gateway.public, std::slice::from_ref(&new)).await.unwrap();
    assert_eq!(fresh.get("/").await.unwrap().status, 200);
    assert_eq!(kept.get("/").await.unwrap().status, 200);

    // From now on the new files are those that are watched.
    let newer = issue(folders[1].path());
    within("the newer certificate", async {
        while open(gateway.public, std::slice::from_ref(&newer)).await.is_err() {}
    })
    .await;
    assert_eq!(kept.get("/").await.unwrap().status, 200);
}

#[tokio::test]
async fn connections_beside_tls_are_counted_on_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = issue(folder.path());
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = start(&upstream, folder.path(), "redirect = \"127.0.0.1:0\"\n").await;
    let mut beside = Wire::open(gateway.listener("redirect")).await;
    let answer = beside.get("/a?b").await.unwrap();
    assert_eq!((answer.status, answer.field("location").as_deref()), (308, Some("https://localhost/a?b")));
    let mut within_tls = open(gateway.public, &[trusted]).await.unwrap();
    assert_eq!(within_tls.get("/").await.unwrap().status, 200);
    let scrape = gateway.scrape().await;
    for metric in ["palisade_connections", "palisade_connections_total"] {
        for listener in ["public", "redirect", "admin"] {
            assert_eq!(scrape.sum(metric, &[("listener", listener)]), 1.0, "{metric} {listener}");
        }
    }
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_not_forwarded() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path());
    let upstream = Upstream::start(|_| Answer::ok("ok")).unwrap();
    let gateway = start(&upstream, folder.path(), "").await;
    let mut wire = Wire::open(gateway.public).await;
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(wire.answer().await.is_err());
    assert_eq!(upstream.seen().requests(), 0);
}
