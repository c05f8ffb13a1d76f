use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::mpsc as channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use palisade_core::Sift;
use palisade_http1::write::Writable;
use palisade_proxy::AnswerHead;
use palisade_tower::answer::Answer;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;
use crate::admission::AdmissionRule;
use crate::connection::{Arrived, Connection};
use crate::counters::{ConnectionLimit, Engine, Handshake};
use crate::limits::Limits;
use crate::listen::Sockets;
use crate::tls::{CertificateStore, Certificates, Key, Pair, watch};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers with its number, which it can be told.
#[derive(Debug)]
struct Numbered(std::cell::Cell<u32>);

impl Service for Numbered {
    type Body = Full<Bytes>;
    type Error = Infallible;

    async fn call<H: Sift + Writable>(
        &self,
        _: Arrived<H>,
        connection: Connection,
    ) -> Result<Answer<AnswerHead, Full<Bytes>>, Infallible> {
        let text = format!("{} {} {}", self.0.get(), connection.engine.name(), connection.secure);
        Ok(Answer::from(Response::new(Full::from(text))).map_head(AnswerHead::from))
    }
}

fn start(per_address_max: u32, tls: Option<Arc<Tls>>) -> (Worker<Numbered>, SocketAddr, Arc<Door>) {
    let rule = AdmissionRule { connections_max: 100, per_address_max, trusts: Box::new(|_| false) };
    let door = Arc::new(Door::new(Limits::default(), rule, palisade_proxy::Engine::Own));
    let sockets = Sockets::bind((Ipv4Addr::LOCALHOST, 0).into(), NonZeroUsize::MIN).unwrap();
    let address = sockets.address();
    let listeners =
        sockets.into_each().into_iter().map(|socket| Listener { name: "public", socket, tls: tls.clone() }).collect();
    let worker = Worker::start(0, listeners, Arc::clone(&door), || Numbered(std::cell::Cell::new(1))).unwrap();
    (worker, address, door)
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Sends a request and reads its answer, which is small.
fn ask(io: &mut (impl Read + Write)) -> String {
    io.write_all(GET).unwrap();
    let mut bytes = vec![0; 4096];
    let read = io.read(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

/// Waits for something that other threads bring about.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        thread::yield_now();
    }
}

fn tell(worker: &Worker<Numbered>, command: Command<Numbered>) {
    worker.commands.blocking_send(command).unwrap();
}

#[test]
fn a_worker_answers_and_can_be_told() {
    let (worker, address, door) = start(10, None);
    let mut client = connect(address);
    assert!(ask(&mut client).ends_with("1 http/1.1 false"));
    assert_eq!((door.admission.open(), door.counters.open(Engine::H1)), (1, 1));
    let (told, done) = channel::channel();
    tell(
        &worker,
        Command::Tell(Box::new(move |service| {
            service.0.set(2);
            told.send(()).unwrap();
        })),
    );
    done.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(ask(&mut client).ends_with("2 http/1.1 false"));
    drop(client);
    until("closed", || door.admission.open() == 0 && door.counters.open(Engine::H1) == 0);
    worker.stop().unwrap();
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let (worker, address, door) = start(1, None);
    let mut first = connect(address);
    ask(&mut first);
    let mut second = connect(address);
    assert_eq!(second.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(door.counters.limit(ConnectionLimit::PerAddress), 1);
    ask(&mut first);
    drop(first);
    until("closed", || door.admission.open() == 0);
    ask(&mut connect(address));
    worker.stop().unwrap();
}

#[test]
fn a_drained_worker_accepts_nothing_and_ends_what_it_has() {
    let (worker, address, door) = start(10, None);
    let mut idle = connect(address);
    ask(&mut idle);
    tell(&worker, Command::Drain);
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    until("closed", || door.admission.open() == 0);
    until("no longer listening", || TcpStream::connect(address).is_err());
    worker.stop().unwrap();
}

#[test]
fn stopping_ends_what_is_open() {
    let (worker, address, door) = start(10, None);
    let mut client = connect(address);
    ask(&mut client);
    worker.stop().unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(door.admission.open(), 0);
}

fn write(pair: &Pair) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["app.example".to_owned()]).unwrap();
    std::fs::write(pair.certificate.with_file_name("tls.key"), signing_key.serialize_pem()).unwrap();
    std::fs::write(&pair.certificate, cert.pem()).unwrap();
    cert.der().clone()
}

fn encrypted(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    alpn: &[&[u8]],
) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("app.example").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, connect(address));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).ok()?;
    }
    Some(stream)
}

#[test]
fn new_handshakes_show_new_files_and_old_connections_stay() {
    let directory = tempfile::tempdir().unwrap();
    let pair = Pair { certificate: directory.path().join("tls.crt"), key: Key::File(directory.path().join("tls.key")) };
    let old = write(&pair);
    let store = CertificateStore::load(std::slice::from_ref(&pair)).unwrap();
    let certificates = Arc::new(Certificates::new(store));
    let tls = Arc::new(Tls::new(Arc::clone(&certificates)).unwrap());
    let (worker, address, door) = start(10, Some(tls));
    let (changed, changes) = channel::channel();
    let watching = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let named = Arc::new(std::sync::Mutex::new(pair.clone()));
    let watched = Arc::clone(&named);
    watching.spawn(watch(
        move || vec![watched.lock().unwrap().clone()],
        certificates,
        move |change| {
            let _ = changed.send(format!("{change:?}"));
        },
    ));
    let wait = || changes.recv_timeout(Duration::from_secs(10)).unwrap();

    let mut kept = encrypted(address, &old, &[b"http/1.1"]).unwrap();
    assert!(ask(&mut kept).ends_with("1 http/1.1 true"));
    let h2 = encrypted(address, &old, &[b"h2", b"http/1.1"]).unwrap();
    assert_eq!(h2.conn.alpn_protocol(), Some(&b"h2"[..]));
    drop(h2);

    std::fs::write(&pair.certificate, "not PEM").unwrap();
    assert!(wait().starts_with("Kept(NoCertificate"));
    assert!(encrypted(address, &old, &[]).is_some());

    let new = write(&pair);
    assert_eq!(wait(), "Replaced");
    assert!(encrypted(address, &new, &[]).is_some());
    assert!(encrypted(address, &old, &[]).is_none());
    assert!(ask(&mut kept).ends_with("1 http/1.1 true"));

    // Other files are named from now on, and watched.
    let folder = directory.path().join("other");
    std::fs::create_dir(&folder).unwrap();
    let other = Pair { certificate: folder.join("tls.crt"), key: Key::File(folder.join("tls.key")) };
    let elsewhere = write(&other);
    *named.lock().unwrap() = other.clone();
    assert_eq!(wait(), "Replaced");
    assert!(encrypted(address, &elsewhere, &[]).is_some());
    let elsewhere = write(&other);
    assert_eq!(wait(), "Replaced");
    assert!(encrypted(address, &elsewhere, &[]).is_some());

    // Not TLS at all.
    let mut plain = connect(address);
    plain.write_all(GET).unwrap();
    let _ = plain.read_to_end(&mut Vec::new());
    until("failed handshakes", || door.counters.handshake(Handshake::Failed) == 2);
    assert_eq!(door.counters.handshake(Handshake::Complete), 6);
    worker.stop().unwrap();
    watching.shutdown_background();
}
