//! The gateway over a real socket, with policies that no configuration has.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::time::Duration;

use palisade_config::{Inputs, Seed, load};
use palisade_core::route::Treatment;
use palisade_core::{Decision, Inspect, Mode, Outcome, Policy, Question, RouteTable, View};
use palisade_store::counters::memory::Table;
use palisade_store::{Counters, Records};
use palisade_telemetry::{Format, Settings, Telemetry};

use super::*;
use crate::accept::Door;
use crate::gauges::{Board, gauges};
use crate::listen::Sockets;
use crate::seat::Seat;
use crate::settings;
use crate::worker::{Listener, Worker};

/// Panics for one path, and lets all others pass.
struct Panics;

impl Inspect for Panics {
    fn decide(&self, view: &View<'_>) -> Decision {
        assert_ne!(view.path.as_str(), "/panic", "as the test asked");
        Decision::allow()
    }
}

/// A worker whose only question panics, with what is needed to look at it.
struct Running {
    worker: Worker<Gateway>,
    address: SocketAddr,
    telemetry: Telemetry,
}

fn start() -> Running {
    let text = "[app]\nupstream = \"http://127.0.0.1:1\"\n[log]\naccess = \"off\"\n";
    let (snapshot, _) = load(&Inputs::text("test.toml", text), Seed([0; 16])).map_err(|_| "config").unwrap();
    let question = Question {
        name: "panics",
        stage: Stage::Shed,
        mode: Mode::Enforce,
        place: "test".into(),
        about: "".into(),
        policy: Policy::Inspect(Arc::new(Panics)),
    };
    let treatment = Treatment { kind: Kind::Api, questions: [question].into(), max_body: 1 << 20, settings: 0 };
    let mut plan = Plan::new(Arc::new(snapshot), [0; 16]).unwrap();
    plan.protection.routes = Arc::new(RouteTable::new(Vec::new(), treatment).unwrap());
    let sockets = Sockets::bind("127.0.0.1:0".parse().unwrap(), NonZeroUsize::MIN).unwrap();
    let address = sockets.address();
    let telemetry = Telemetry::start(Settings::default(), ["unmatched"]).unwrap();
    let door = Arc::new(Door::new(
        settings::limits(&plan.snapshot),
        settings::admission(&plan.snapshot),
        palisade_proxy::Engine::Own,
    ));
    let seat = Seat {
        index: 0,
        workers: 1,
        plan: Arc::new(plan),
        stores: Arc::new(Stores {
            counters: Counters::Memory(Table::new(Default::default())).into(),
            records: Records::new(1),
        }),
        status: Arc::default(),
        board: Arc::default(),
        telemetry: telemetry.worker(),
        memory: door.memory.clone(),
    };
    let listeners = sockets.into_each().into_iter().map(|socket| Listener { name: "public", socket, tls: None });
    let worker = Worker::start(0, listeners.collect(), door, move || seat.take()).unwrap();
    Running { worker, address, telemetry }
}

/// One request on a kept connection, and its answer.
fn ask(stream: &mut TcpStream, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut byte = [0; 512];
    while !answer.ends_with(b"}") {
        match stream.read(&mut byte).unwrap() {
            0 => break,
            count => answer.extend_from_slice(&byte[..count]),
        }
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_panic_costs_one_request_and_is_counted() {
    let running = start();
    let mut other = TcpStream::connect(running.address).unwrap();
    other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(ask(&mut other, "/before").starts_with("HTTP/1.1 502"), "there is no application");
    let mut stream = TcpStream::connect(running.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let answer = ask(&mut stream, "/panic");
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(answer.contains("\"code\":\"internal.panic\"") && answer.contains("\"request_id\":\"01"), "{answer}");
    assert!(ask(&mut other, "/after").starts_with("HTTP/1.1 502"), "others go on");
    drop((stream, other));
    running.worker.stop().unwrap();

    let metrics = running.telemetry.render_metrics(&numbers(), Format::Prometheus);
    running.telemetry.shutdown();
    let outcomes = |outcome: Outcome| {
        let label = format!("outcome=\"{}\"", outcome.name());
        let lines = metrics.lines().filter(|line| line.starts_with("palisade_requests_total") && line.contains(&label));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    assert_eq!((outcomes(Outcome::InternalError), outcomes(Outcome::UpstreamError)), (1.0, 2.0), "{metrics}");
}

fn numbers() -> palisade_telemetry::Gauges {
    let text = "[app]\nupstream = \"http://127.0.0.1:1\"\n";
    let (snapshot, _) = load(&Inputs::text("test.toml", text), Seed([0; 16])).map_err(|_| "config").unwrap();
    let door = Door::new(settings::limits(&snapshot), settings::admission(&snapshot), palisade_proxy::Engine::Own);
    let stores = Stores { counters: Counters::Memory(Table::new(Default::default())).into(), records: Records::new(1) };
    gauges(&door, &crate::status::Status::default(), &stores, &Board::default(), "0".into())
}
