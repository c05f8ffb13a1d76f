//! Our own engine beside hyper, nginx and HAProxy: the same bytes to each of them, and what reached
//! the applications behind them.
//!
//! Where ours forwards, and another does too, both forwarded the same. Ours never forwards more than
//! was sent, as a strict reader counts it. Whoever disagrees does so for a reason that stands in
//! `docs/framing.md`, and every reason there is seen.
//!
//! `DIFFERENTIAL_SEED=random` or a number, and `DIFFERENTIAL_MUTATIONS=20000`, look further.

mod corpus;
mod differences;
mod lanes;
mod normal;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../fuzz/src/strict.rs"]
mod strict;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use e2e::peers::{self, Peer, Program};
use e2e::{Gateway, Launch};
use palisade_testkit::upstream::{Upstream, digest};

use corpus::{Case, Own, Random};
use differences::{Difference, Other, Request, Side, differences};
use lanes::{END, Forwarded, Outcome};

/// The same on every machine, so that what passes here passes there.
const SEED: u64 = 1;
const MUTATIONS: usize = 3_000;

/// A good request, to be put before a case: then everybody forwards something.
const FIRST: &[u8] = b"GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// All four, each before an application of its own.
struct Row {
    own: (Gateway, Upstream),
    hyper: (Gateway, Upstream),
    nginx: (Peer, Upstream),
    haproxy: (Peer, Upstream),
}

/// What all four made of the same cases.
struct Outcomes {
    own: Outcome,
    others: [(Other, Outcome); 3],
}

impl Row {
    async fn start() -> Self {
        peers::installed(&[Program::Nginx, Program::Haproxy]);
        let [own, hyper, nginx, haproxy] = [(); 4].map(|()| lanes::application());
        Self {
            own: (palisade("own", &own).await, own),
            hyper: (palisade("hyper", &hyper).await, hyper),
            nginx: (Program::Nginx.start(&nginx).await, nginx),
            haproxy: (Program::Haproxy.start(&haproxy).await, haproxy),
        }
    }

    async fn run(&self, cases: &Arc<Vec<Case>>) -> Outcomes {
        let run = |public: SocketAddr, upstream| lanes::run(cases, public, upstream);
        let (own, hyper, nginx, haproxy) = tokio::join!(
            run(self.own.0.public, &self.own.1),
            run(self.hyper.0.public, &self.hyper.1),
            run(self.nginx.0.public, &self.nginx.1),
            run(self.haproxy.0.public, &self.haproxy.1),
        );
        Outcomes { own, others: [(Other::Hyper, hyper), (Other::Nginx, nginx), (Other::Haproxy, haproxy)] }
    }
}

async fn palisade(engine: &str, upstream: &Upstream) -> Gateway {
    let config = format!(
        "[app]\nupstream = \"{}\"\nengine = \"{engine}\"\n[limits]\nper_ip = \"off\"\n[log]\naccess = \"off\"\n",
        upstream.url()
    );
    Launch::config(config).start().await
}

/// The committed cases, each once more behind a good request.
fn committed() -> Vec<Case> {
    let alone = corpus::committed();
    let behind = alone.iter().map(|case| Case {
        name: format!("{}, behind a good one", case.name),
        bytes: [FIRST, &case.bytes].concat(),
        own: case.own.map(|own| match own {
            Own::Passes(count) => Own::Passes(count + 1),
            Own::Ends(count) => Own::Ends(count + 1),
        }),
    });
    let behind: Vec<Case> = behind.collect();
    [alone, behind].concat()
}

/// The whole requests that a strict reader finds, in normal form, and where each begins.
fn sent(input: &[u8]) -> Vec<(usize, Forwarded)> {
    let (mut sent, mut start) = (Vec::new(), 0);
    while let Ok(message) = strict::request(input, start) {
        let [method, target, _] = &message.line[..] else { break };
        let Ok(strict::End::At(end)) = message.end else { break };
        let request = Forwarded {
            method: method.clone(),
            target: normal::target(target),
            body_bytes: message.body.len() as u64,
            body_digest: digest(&message.body),
        };
        sent.push((start, request));
        start = end;
    }
    sent.push((start, Forwarded::nothing()));
    sent
}

/// A disagreement with our own engine: about the request that begins there, and who takes it.
struct Disagreement {
    other: Other,
    side: Side,
    start: usize,
}

/// What is wrong about one case, and the disagreements about it.
fn judge(case: &Case, own: &[Forwarded], others: &[(Other, Vec<Forwarded>)]) -> (Vec<String>, Vec<Disagreement>) {
    let sent = sent(&[&case.bytes, END].concat());
    let mut wrong = Vec::new();
    let mut left = sent.iter().map(|(_, request)| request);
    if !own.iter().all(|forwarded| left.any(|sent| sent == forwarded)) {
        wrong.push("our own engine forwarded what was not sent".to_owned());
    }
    let is_end = |request: &Forwarded| request.target == "/end";
    let reached = own.last().is_some_and(is_end);
    let as_told = match case.own {
        Some(Own::Passes(count)) => own.len() == count + 1 && reached,
        Some(Own::Ends(count)) => own.len() == count && !reached,
        None => true,
    };
    if !as_told {
        wrong.push(format!("our own engine: not {:?}", case.own));
    }
    let mut disagreements = Vec::new();
    for (other, forwarded) in others {
        let theirs: Vec<Forwarded> = forwarded.iter().map(Forwarded::normal).collect();
        // Who forwards nothing disagrees with nobody; our two engines are held to each other always.
        let counts = *other == Other::Hyper || !own.is_empty() && !theirs.is_empty();
        if counts && theirs != own {
            let same = own.iter().zip(&theirs).take_while(|(own, theirs)| own == theirs).count();
            let (start, about) = &sent[same.min(sent.len() - 1)];
            // A request that neither takes may still end the connection for one of them alone.
            let is_ours = own.get(same) == Some(about) || own.len() > theirs.len();
            let side = if is_ours { Side::Ours } else { Side::Theirs };
            disagreements.push(Disagreement { other: *other, side, start: *start });
        }
    }
    (wrong, disagreements)
}

/// What is wrong with these cases. Notes which reasons were seen.
fn judge_all(
    cases: &[Case],
    outcomes: &Outcomes,
    differences: &[Difference],
    seen: &mut BTreeSet<(Side, String, Other)>,
) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let own = &outcomes.own.forwarded[number];
        let others = outcomes.others.each_ref().map(|(other, outcome)| (*other, outcome.forwarded[number].clone()));
        let (mut wrong, disagreements) = judge(case, own, &others);
        let input = [&case.bytes, END].concat();
        for Disagreement { other, side, start } in disagreements {
            let request = Request::new(&input, start);
            let reasons = differences.iter().filter(|difference| difference.explains(side, other, &request));
            let reasons: Vec<_> = reasons.map(|difference| (side, difference.reason.clone(), other)).collect();
            if reasons.is_empty() {
                wrong.push(format!("{other:?} disagrees at {start}, taken by {side:?}"));
            }
            seen.extend(reasons);
        }
        if !wrong.is_empty() {
            let others: Vec<String> =
                others.iter().map(|(other, forwarded)| format!("{other:?} {}", shown(forwarded))).collect();
            let what = format!("{}\n  {case}\n  Own {}\n  {}", wrong.join("; "), shown(own), others.join("\n  "));
            all.push((number, what));
        }
    }
    all
}

fn shown(forwarded: &[Forwarded]) -> String {
    let requests = forwarded.iter().map(|request| {
        let target: String = request.target.chars().take(40).collect();
        format!("{} {target} +{}", request.method, request.body_bytes)
    });
    requests.collect::<Vec<_>>().join(", ")
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable).as_deref() {
        Ok("random") => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64,
        Ok(number) => number.parse().unwrap(),
        Err(_) => default,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_forwards_forwards_the_same() {
    let seed = number("DIFFERENTIAL_SEED", SEED);
    let count = number("DIFFERENTIAL_MUTATIONS", MUTATIONS as u64) as usize;
    println!("DIFFERENTIAL_SEED={seed} DIFFERENTIAL_MUTATIONS={count}");
    let differences = differences();
    let row = Row::start().await;

    let committed = Arc::new(committed());
    let mut seen = BTreeSet::new();
    let outcomes = row.run(&committed).await;
    let wrong = judge_all(&committed, &outcomes, &differences, &mut seen);
    report(&wrong);
    let listed: BTreeSet<_> = differences
        .iter()
        .flat_map(|row| row.others.iter().map(|other| (row.side, row.reason.clone(), *other)))
        .collect();
    let stale: Vec<_> = listed.difference(&seen).collect();
    assert!(stale.is_empty(), "listed in docs/framing.md, and not seen: {stale:#?}");

    let mutations = Arc::new(corpus::mutations(&committed, count, &mut Random(seed)));
    let outcomes = row.run(&mutations).await;
    let wrong = judge_all(&mutations, &outcomes, &differences, &mut BTreeSet::new());
    // Once more, alone: a busy machine is not what is to be found.
    let again: Vec<Case> = wrong.iter().map(|(number, _)| mutations[*number].clone()).collect();
    let again = Arc::new(again);
    let outcomes = row.run(&again).await;
    report(&judge_all(&again, &outcomes, &differences, &mut BTreeSet::new()));

    for (name, upstream) in [("own", &row.own.1), ("hyper", &row.hyper.1)] {
        let stray = lanes::stray(upstream);
        assert!(stray.is_empty(), "{name} forwarded what no client sent: {stray:?}");
    }
}

fn report(wrong: &[(usize, String)]) {
    let shown: Vec<&str> = wrong.iter().take(40).map(|(_, what)| what.as_str()).collect();
    assert!(wrong.is_empty(), "{} cases\n{}", wrong.len(), shown.join("\n"));
}
