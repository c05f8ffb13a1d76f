//! Load generator and application without a proxy between them.

// All of this is test code.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

/// The application. Killed when dropped.
struct Backend {
    child: Child,
    address: String,
}

impl Backend {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_backend")).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim().to_owned() }
    }

    fn load(&self, arguments: &str) -> String {
        let mut load = Command::new(env!("CARGO_BIN_EXE_load"));
        load.args(arguments.split(' ')).args(["--to", &self.address]);
        let output = load.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn every_request_is_answered() {
    let backend = Backend::start();
    for (arguments, done) in [
        ("closed --connections 8 --requests 1000 --seconds 20", 1_000),
        ("closed --connections 8 --requests 1000 --seconds 20 --spin", 1_000),
        ("closed --connections 2 --requests 20 --seconds 20 --path /bytes/3000000", 20),
        ("closed --connections 2 --requests 20 --seconds 20 --body 3000000", 20),
        ("open --connections 4 --rate 2000 --requests 500 --seconds 20", 500),
        ("idle --connections 150 --seconds 20", 150),
    ] {
        let said = backend.load(arguments);
        assert!(said.contains(&format!("\"done\":{done},\"bad\":0,\"broken\":0")), "{arguments}: {said}");
    }
}

#[test]
fn idle_connections_are_held_until_they_are_let_go() {
    let backend = Backend::start();
    let mut load = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["idle", "--connections", "20", "--seconds", "20", "--to", &backend.address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(load.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("\"done\":20"), "{line}");
    assert_eq!(load.try_wait().unwrap(), None);
    load.stdin.take().unwrap().flush().unwrap();
    assert!(load.wait().unwrap().success());
}

#[test]
fn answers_that_are_no_answers_are_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        BufReader::new(socket.try_clone().unwrap()).lines().find(|line| line.as_ref().unwrap().is_empty());
        socket.write_all(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n").unwrap();
    });
    let mut load = Command::new(env!("CARGO_BIN_EXE_load"));
    load.args(["closed", "--connections", "1", "--requests", "1", "--seconds", "20", "--to", &address]);
    let said = String::from_utf8(load.output().unwrap().stdout).unwrap();
    server.join().unwrap();
    assert!(said.contains("\"done\":1,\"bad\":1,\"broken\":0"), "{said}");
}
