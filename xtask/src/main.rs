//! Tasks of this repository: `cargo xtask <task>`.
//!
//! Everything that a person or a pipeline does here beside `cargo build` and `cargo test` is a task,
//! written in Rust, so that a fresh machine with Rust needs nothing else to begin.

mod arguments;
mod bench;
mod ci;
mod command;
mod failure;
mod gen_docs;
mod new_policy;
mod packages;
mod root;
mod soak;

use std::process::ExitCode;

use arguments::Arguments;
use failure::Failure;
use root::Root;

const USAGE: &str = "\
Tasks of this repository.

  cargo xtask ci [--only STEP] [--list]      install what the tests need and check everything
  cargo xtask gen [--check]                  write the generated pages and the schema
  cargo xtask new-policy NAME                begin a protection: folder, failing test, catalogue line
      [--shape inspect|meter|recall|examine|dress|transform]
      [--stage shed|identify|authorize|integrity|quota|shape|dress]
  cargo xtask bench proxy                    measure a request's cost beside other proxies, as root best
      [--peers palisade-hyper,nginx,haproxy,envoy,traefik,caddy]
      [--sets hardened,plain,h2,tls,down,up,rate,idle,start]
      [--rounds 5] [--secs 2] [--connections 64] [--idle-connections 2000] [--rate 4000]
      [--wake]                               application and load sleep instead of polling
      [--palisade FILE]                      measure this binary instead of building one
      [--json FILE] [--write]                keep every round; put the tables into docs/benchmarks.md
  cargo xtask bench instructions             count instructions for one request, beside the recorded count
      [--palisade FILE]                      count this binary, which should have its symbols
      [--write]                              record the count in benches/instructions.txt
  cargo xtask bench limits                   measure decisions of limits beside governor
      [--rounds 3] [--write]                 put the table into docs/benchmarks.md
  cargo xtask soak                           send mixed requests for a long time and watch the memory
      [--requests 10000000] [--seed NUMBER] [--palisade FILE]
  cargo xtask soak addresses                 send from two million addresses and watch memory and limits
      [--palisade FILE]
";

fn main() -> ExitCode {
    match task(Arguments::new(std::env::args().skip(1))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(problem)) => {
            eprintln!("xtask: {problem}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn task(mut arguments: Arguments) -> Result<(), Failure> {
    let Some(task) = arguments.word() else {
        print!("{USAGE}");
        return Ok(());
    };
    if arguments.flag("--help") || task == "help" || task == "--help" {
        print!("{USAGE}");
        return Ok(());
    }
    let root = Root::find()?;
    match task.as_str() {
        "ci" => ci::run(&root, arguments),
        "bench" => bench::run(&root, arguments),
        "gen" => gen_docs::run(&root, arguments),
        "soak" => soak::run(&root, arguments),
        "new-policy" => new_policy::run(&root, arguments),
        _ => Err(Failure::Usage(format!("there is no task `{task}`"))),
    }
}
