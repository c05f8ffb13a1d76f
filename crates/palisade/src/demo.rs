//! `palisade demo`: the gateway in front of the reference application, on loopback.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use palisade_config::Inputs;
use palisade_server::{Ended, Process, Read, StartError};

use crate::cli::Demo;
use crate::exit::Exit;
use crate::run;

/// The configuration that protects the reference application.
const CONFIG: &str = include_str!("../../../examples/briefly/palisade.toml");

/// Between two requests of `--traffic`.
const PAUSE: Duration = Duration::from_millis(250);

/// Runs the command.
pub(crate) fn run(demo: &Demo) -> Exit {
    let application = match start_application() {
        Ok(address) => address,
        Err(error) => {
            eprintln!("palisade: the reference application can't be started: {error}");
            return Exit::Config;
        }
    };
    // Between the look and the start somebody else may have taken a port: then any will do.
    let started = start(application, [preferred(8080), preferred(9901)]).or_else(|error| match error {
        StartError::Listen(_) => start(application, [ANY; 2]),
        other => Err(other),
    });
    let process = match started {
        Ok(process) => process,
        Err(error) => return run::refuse(&error),
    };
    introduce(&process, application);
    if demo.traffic {
        let public = process.public();
        // Ends with the process: it holds nothing.
        thread::spawn(move || send_traffic(public));
    }
    match process.run() {
        // Nobody waits for what is cut here, so it is no news.
        Ended::Complete | Ended::Cut => Exit::Good,
        Ended::Interrupted => Exit::Interrupted,
    }
}

/// A loopback address with whichever port is free.
const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Starts the gateway. No load balancer looks at it and nobody's work is under way, so it ends at
/// once.
fn start(application: SocketAddr, [listen, admin]: [SocketAddr; 2]) -> Result<Process, StartError> {
    let here = format!(
        "[app]\nlisten = \"{listen}\"\nupstream = \"http://{application}\"\n\
         drain_delay = \"0s\"\ndrain = \"0s\"\n[admin]\nlisten = \"{admin}\"\n"
    );
    let read: Read = Box::new(move || Inputs::text("demo.toml", CONFIG).and_text("here", here.clone()).for_demo());
    Process::start(read)
}

/// A loopback address with this port if it is free, else with any.
fn preferred(port: u16) -> SocketAddr {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if TcpListener::bind(address).is_ok() { address } else { ANY }
}

/// Starts the application on a thread of its own. It ends with the process.
fn start_application() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("application".into()).spawn(move || {
        runtime.block_on(async move {
            let served = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => briefly::serve(listener).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                eprintln!("palisade: the reference application has ended: {error}");
            }
        });
    })?;
    Ok(address)
}

/// Addresses, and things to try. Each line works as it is pasted.
fn introduce(process: &Process, application: SocketAddr) {
    let public = process.public();
    eprintln!(
        "Briefly, a small application, is at http://{application}\n\
         Palisade stands in front of it at  http://{public}\n"
    );
    if let Some(admin) = process.admin() {
        eprintln!("Metrics, health and traces are at  http://{admin}\n");
    }
    eprintln!(
        "Try, in another terminal:\n\
         \n  A page, with what browsers should be told:\n    curl -i http://{public}/\n\
         \n  A chat that streams, word by word:\n    curl -N http://{public}/api/chat -H 'content-type: application/json' \
         -d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n\
         \n  The same as a user of a plan, whose requests count together wherever they come from (only the demo believes that):\n    \
         curl -i http://{public}/api/chat -H 'Demo-User: anna' -H 'Demo-Plan: free' -H 'content-type: application/json' \
         -d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n\
         \n  A webhook that no limit but its own ceiling is on, and a spelling that is not exempt:\n    \
         curl -i http://{public}/api/billing/webhook -d '{{\"type\":\"invoice.paid\"}}'\n    \
         curl -i http://{public}/api/billing//webhook -d '{{\"type\":\"invoice.paid\"}}'\n\
         \n  A path that two servers would read differently:\n    curl -i --path-as-is 'http://{public}/a/..%2fadmin'\n\
         \n  A field that only a gateway may set; the application answers with what it received, and that is not there:\n    \
         curl -s http://{public}/api/request -H 'X-Forwarded-User: admin'\n\
         \n  More requests than an address may make (those beyond get 429):\n    \
         curl -s -o /dev/null -w '%{{http_code}}\\n' 'http://{public}/api/auth/tiers?[1-400]' | sort | uniq -c"
    );
    if let Some(admin) = process.admin() {
        eprintln!("\n  What happened so far:\n    curl -s http://{admin}/metrics | grep palisade_requests_total");
    }
    eprintln!("\nCtrl-C ends everything. One line of JSON follows for each request.\n");
}

/// A little of everything: pages, an API, a path that isn't there.
fn send_traffic(public: SocketAddr) {
    for path in ["/", "/api/auth/tiers", "/briefly/app", "/static/app.js", "/api/nothing"].iter().cycle() {
        // Whatever goes wrong is in the record of the request, or there is no gateway any more.
        let _ = send(public, path);
        thread::sleep(PAUSE);
    }
}

fn send(public: SocketAddr, path: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(public)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {public}\r\nUser-Agent: demo\r\nConnection: close\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}
