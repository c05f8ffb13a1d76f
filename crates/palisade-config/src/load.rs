//! From inputs to a snapshot.

use palisade_core::config::{Code, Decode as _, File, Files, Node, Part, Place, Problem, Problems, Span, Table, Value};
use palisade_policy::demo::Demo;
use palisade_policy::{Context, catalog, limits};

use crate::document::Document;
use crate::inputs::{Inputs, Override, Source};
use crate::report::Report;
use crate::root::RawConfig;
use crate::snapshot::{EdgeSettings, Snapshot};
use crate::store::CounterStore;
use crate::{admin, app, log, merge, parse, performance, routes, store};

/// Says that nobody tells users apart yet: whoever gives them a rate of their own would think that it
/// counts.
fn report_anonymous(limits: &limits::Roster, problems: &mut Problems) {
    let names: Vec<_> = limits.of_users().map(|limit| format!("`{}`", limit.name)).collect();
    if names.is_empty() {
        return;
    }
    let message = format!(
        "everybody is anonymous until sign-in is there, so {} count by address, with the rate of `anon`",
        names.join(", ")
    );
    let place = Place::top().child("limits", None);
    problems.report(
        Problem::new(Code::Weak, &place, message).help("a rate by address, `key = \"ip\"`, says the same today"),
    );
}

/// Random bits, drawn once and kept with the counters: nobody outside can tell which keys share one. A
/// reload passes the same ones again, else every counter would begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub [u8; 16]);

/// Compiles the inputs. Both results say everything that was found, not only the first problem:
/// beside a snapshot there may be warnings and notices.
///
/// # Errors
///
/// The report, if it holds an error.
pub fn load(inputs: &Inputs, seed: Seed) -> Result<(Snapshot, Report), Report> {
    let (snapshot, report) = examine(inputs, seed);
    match snapshot {
        Some(snapshot) if !report.problems.has_errors() => Ok((snapshot, report)),
        _ => Err(report),
    }
}

/// What [`load`] finds, and a snapshot also beside errors, as far as one can be made: it must not be
/// used, only looked at for what else is wrong.
pub fn examine(inputs: &Inputs, seed: Seed) -> (Option<Snapshot>, Report) {
    let mut problems = Problems::default();
    let read = read(inputs, &mut problems);
    let snapshot = build(read.root, &read.files, inputs, seed, &mut problems);
    if read.state == State::Partial {
        problems = without_missing(problems);
    }
    problems.sort();
    (snapshot, Report { files: read.files, problems })
}

/// What to do about a configuration that can't be read.
const FILES: &str = "name the file with --config FILE; with --env NAME, palisade.NAME.toml must be beside it";

/// The texts, and the tree that they make.
struct Read {
    files: Files,
    root: Node,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Everything was read.
    Whole,
    /// A file was not: what seems to be missing may be in it.
    Partial,
}

fn read(inputs: &Inputs, problems: &mut Problems) -> Read {
    let mut read =
        Read { files: Files::default(), root: Node::unplaced(Value::Table(Table::default())), state: State::Whole };
    for source in &inputs.sources {
        match read_source(source.clone(), &mut read.files, problems) {
            Some(tree) => read.root = merge::merge(read.root, tree),
            None => read.state = State::Partial,
        }
    }
    for Override { name, path, text } in &inputs.overrides {
        let file = File::Override { name: name.as_str().into(), text: text.as_str().into() };
        let span = Span { file: read.files.push(file), start: 0, end: text.len() };
        let node = Node { value: Value::Text(text.clone()), span: Some(span) };
        read.root = merge::put(read.root, path, node);
    }
    read
}

fn read_source(source: Source, files: &mut Files, problems: &mut Problems) -> Option<Node> {
    let (name, text) = source.into_text();
    match text {
        Ok(text) => {
            let file = files.push(File::Toml { name: name.into(), text: text.as_str().into() });
            parse::parse(&text, file, problems)
        }
        Err(why) => {
            problems.report(Problem::new(Code::FileUnreadable, &Place::top(), format!("{name} {why}")).help(FILES));
            None
        }
    }
}

fn build(root: Node, files: &Files, inputs: &Inputs, seed: Seed, problems: &mut Problems) -> Option<Snapshot> {
    let top = Place::top().spanning(root.span);
    let raw = match RawConfig::decode(&root, &top, problems) {
        Some(raw) => raw,
        // Was it only the application's address? Then everything else is still looked at.
        None => RawConfig::decode(&with_stand_in(root.clone()), &top, &mut Problems::default())?,
    };
    let RawConfig { app, policies: Part(policies), store, log, performance, admin } = raw;
    let app = app::compile(app.value, &inputs.directory, inputs.secrets, problems);
    let admin = admin::compile(admin.value, &app.app, problems);
    let (store, state) = store::compile(store.value, inputs, problems);
    let log = log::compile(log.value, &inputs.directory);
    let (performance, patterns) = performance::compile(performance.value);

    let seed = match store {
        CounterStore::Memory => limits::Seed::Secret(seed.0),
        CounterStore::Shared(_) => limits::Seed::Shared,
    };
    let context = Context { files, public: app.public, hosts: app.hosts, demo: inputs.demo, seed };
    let raw = catalog::Raw { policies, method_override: app.method_override, compress: app.compress };
    let catalog::Compiled { questions, limits, table, store_deadline, inbound } =
        catalog::compile(raw, &context, problems);
    if inputs.demo == Demo::Never {
        report_anonymous(&limits, problems);
    }
    let questions = questions.into();
    let (routes, forwarding) = routes::compile(app.routes, patterns, app.forwarding, &questions, problems)?;
    let document = Document { files: files.clone(), root };
    Some(Snapshot {
        app: app.app,
        edge: EdgeSettings { hops: app.hops, encoded_slash: app.encoded_slash, inbound },
        routes: routes.into(),
        questions,
        limits,
        table,
        counters: store,
        store_deadline,
        state,
        upstreams: app.upstreams,
        log,
        performance,
        admin,
        forwarding,
        hash: document.hash(),
        document,
    })
}

/// The tree with an address of the application that suits every other setting. What is made of it is
/// never used: whoever has no address has a problem already.
fn with_stand_in(root: Node) -> Node {
    let is_h2 = root.at(&["app", "protocol"]).is_some_and(|node| node.value == Value::from("h2"));
    let address = if is_h2 { "https://app.invalid" } else { "unix:/app.invalid" };
    merge::put(root, &["app", "upstream"], Node::unplaced(Value::from(address)))
}

/// The problems but for keys that may be in a file that could not be read.
fn without_missing(problems: Problems) -> Problems {
    let mut kept = Problems::default();
    for problem in problems.iter().filter(|problem| problem.code != Code::MissingKey) {
        kept.report(problem.clone());
    }
    kept
}
